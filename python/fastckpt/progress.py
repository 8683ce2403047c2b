"""Reporting progress: one small object between the readers and whoever watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from fastckpt.errors import InvalidArgumentError

__all__ = ["Progress", "ProgressLike", "Reporter", "reporter"]

# Seconds between two reports: to a callable or a bar, and as lines off a terminal.
_INTERVAL_S = 0.1
_LINE_INTERVAL_S = 1.0

# Narrower terminals show the share done: bytes and speed would take a second line.
_NARROW_COLUMNS = 60


class Progress(NamedTuple):
    """How far an operation has come.

    Attributes
    ----------
    bytes_done, bytes_total : int
        Bytes of tensor data.
    tensors_done : int
        Tensors completed.
    name : str
        The tensor in work or completed last; empty where none is.
    """

    bytes_done: int
    bytes_total: int
    tensors_done: int
    name: str


ProgressLike = bool | Callable[[Progress], object] | None


class Reporter:
    """Passes progress on at a bounded rate, always from the thread that calls :meth:`update`.

    A context manager: leaving it reports the last state once more if that has not been delivered;
    leaving it by an exception only takes the bar away. What the receiver raises comes out of
    :meth:`update` and cancels the operation.
    """

    def __init__(
        self,
        deliver: Callable[[Progress], object],
        bytes_total: int,
        *,
        finish: Callable[[], object] = lambda: None,
        interval_s: float = _INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._finish = finish
        self._interval_s = interval_s
        self._clock = clock
        self._due = clock()
        self._last = Progress(0, bytes_total, 0, "")
        self._delivered = False
        self._closed = False

    def update(self, bytes_done: int, tensors_done: int, name: str) -> None:
        """Tell the state; passed on when the last report is a tenth of a second old."""
        self._last = Progress(bytes_done, self._last.bytes_total, tensors_done, name)
        self._delivered = False
        now = self._clock()
        if now >= self._due:
            self._due = now + self._interval_s
            self._report()

    def close(self) -> None:
        """Report the last state unless that is done, and take the bar away; idempotent."""
        if self._closed:
            return
        try:
            if not self._delivered:
                self._report()
        finally:
            self._end()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._end()

    def _report(self) -> None:
        self._delivered = True
        self._deliver(self._last)

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._finish()


class _Silent(Reporter):
    """The reporter for ``progress=None``: costs a call and nothing else."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, 0)

    def update(self, bytes_done: int, tensors_done: int, name: str) -> None:
        """Do nothing."""


def reporter(progress: ProgressLike, *, label: str, bytes_total: int = 0) -> Reporter:
    """Make the reporter for a `progress` argument.

    Parameters
    ----------
    progress : None, bool or callable
        None or False: silent. True: a bar on a terminal where rich is installed, plain lines on
        stderr otherwise. A callable is given :class:`Progress` at most ten times a second, and
        once at the end.
    label : str
        What is being done, such as ``"verify"``; shown with the bar.
    bytes_total : int
        Bytes of tensor data to expect; 0 where unknown.

    Returns
    -------
    Reporter
        To be used as a context manager.
    """
    if progress is None or progress is False:
        return _Silent()
    if progress is True:
        return _bar(label, bytes_total) or _lines(label, bytes_total, sys.stderr)
    if callable(progress):
        return Reporter(progress, bytes_total)
    raise InvalidArgumentError(
        f"progress must be None, a bool or a callable, not {type(progress).__name__}"
    )


def _bar(label: str, bytes_total: int) -> Reporter | None:
    """Make a rich bar, or None where stderr is no terminal or rich is not installed."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        import rich.console
        import rich.progress as bars
    except ImportError:
        return None
    console = rich.console.Console(stderr=True)
    columns: list[Any] = ["{task.description}", bars.BarColumn()]
    if console.width < _NARROW_COLUMNS:
        columns.append(bars.TaskProgressColumn())
    else:
        columns += [bars.DownloadColumn(binary_units=True), bars.TransferSpeedColumn()]
    columns.append(bars.TimeRemainingColumn())
    # Without a refresh thread every redraw happens in update(), at the rate kept there.
    bar = bars.Progress(*columns, console=console, auto_refresh=False, transient=True)
    task = bar.add_task(label, total=bytes_total or None)
    bar.start()

    def deliver(state: Progress) -> None:
        bar.update(task, completed=state.bytes_done, refresh=True)

    return Reporter(deliver, bytes_total, finish=bar.stop)


def _lines(label: str, bytes_total: int, stream: TextIO | None) -> Reporter:
    def deliver(state: Progress) -> None:
        if stream is not None:
            print(_line(label, state), file=stream, flush=True)

    return Reporter(deliver, bytes_total, interval_s=_LINE_INTERVAL_S)


def _line(label: str, state: Progress) -> str:
    done = f"{state.bytes_done / 2**20:.1f}"
    if not state.bytes_total:
        return f"{label}: {done} MiB, {state.tensors_done} tensors"
    share = 100 * state.bytes_done // state.bytes_total
    return (
        f"{label}: {done} of {state.bytes_total / 2**20:.1f} MiB ({share} %), "
        f"{state.tensors_done} tensors"
    )
