"""Saving while the caller goes on: a snapshot first, the files afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from fastckpt._core import Snapshot, has_no_writer
from fastckpt.checkpoint.inputs import Input, check_name, prepare
from fastckpt.checkpoint.options import WriteBackend, resolve_num_threads
from fastckpt.checkpoint.writer import CheckpointWriter, check_mapping, default_num_shards
from fastckpt.errors import CheckpointError
from fastckpt.progress import Progress, ProgressLike
from fastckpt.storage.destination import destination

__all__ = ["AsyncSave", "Named", "Writing", "is_frozen", "save_async", "start_save"]


def save_async(
    prefix: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    *,
    num_shards: int | None = None,
    alignment: int = 64,
    block_crcs: bool = True,
    sync: bool = True,
    num_threads: int | None = None,
    backend: WriteBackend = "auto",
    progress: ProgressLike = None,
) -> AsyncSave:
    """Start a save and return as soon as the arrays may change again.

    The arrays are copied into one buffer, which the process keeps for the next such save, and
    written by a thread of its own. What nobody changes is not copied: JAX arrays, strings,
    read-only arrays that are not views of a writable one.

    Parameters
    ----------
    prefix, tensors, num_shards, alignment, block_crcs, sync, num_threads, backend
        As in :func:`save`.
    progress : callable, optional
        As in :func:`save`, but called in the writing thread; what it raises cancels the save.

    Returns
    -------
    AsyncSave
        Call :meth:`AsyncSave.result`, or the next ``save_async`` will raise what went wrong.

    Raises
    ------
    CheckpointError
        A wrong argument; or the failure of the save before, where nobody asked for its result.

    Notes
    -----
    One save is under way at a time: a second call waits for the first to be complete. The
    interpreter does not exit before it is. Memory: one copy of the data, which stays reserved;
    the first save pays for its first touch. A forked child has no saves under way.

    Examples
    --------
    >>> handle = fastckpt.save_async("ckpt-1", weights)  # doctest: +SKIP
    >>> train(weights)                                   # doctest: +SKIP
    >>> handle.result()                                  # doctest: +SKIP
    'ckpt-1'
    """
    check_mapping(tensors)
    path = destination(prefix)
    threads = resolve_num_threads(num_threads)
    shards = default_num_shards(tensors, threads) if num_shards is None else num_shards
    for name in tensors:
        check_name(name)
    inputs = []
    for name, value in tensors.items():
        item = prepare(name, value)
        inputs.append(Named(name, item, is_frozen(value, item)))

    def begin() -> Writing:
        return CheckpointWriter(
            path,
            num_shards=shards,
            alignment=alignment,
            block_crcs=block_crcs,
            sync=sync,
            num_threads=threads,
            backend=backend,
        )

    return start_save(path, inputs, begin, num_threads=threads, progress=progress)


class Writing(AbstractContextManager[Any], Protocol):
    """What takes the tensors of one save, and makes them visible on leaving."""

    def add_all(self, tensors: Iterable[tuple[str, Any]], *, progress: ProgressLike) -> None:
        """Write the tensors, in the order in which they were given to `start_save`."""

    def abort(self) -> None:
        """Remove what was written."""


class Named(NamedTuple):
    """An input, and whether nobody can change its memory."""

    name: str
    item: Input
    is_frozen: bool


def start_save(
    prefix: str,
    inputs: list[Named],
    begin: Callable[[], Writing],
    *,
    num_threads: int,
    progress: ProgressLike = None,
    then: Callable[[], object] | None = None,
) -> AsyncSave:
    """Start a save whose files `begin` knows to write.

    Parameters
    ----------
    prefix : str
        For messages, and the result.
    inputs : list of Named
        What is copied where it may change.
    begin : callable
        Called in this thread, once the save before has ended.
    num_threads : int
        Threads that copy.
    progress : callable, optional
        As for :func:`save_async`.
    then : callable, optional
        Called in the writing thread when the checkpoint is visible; what it raises is the result
        of the save.

    Returns
    -------
    AsyncSave
    """
    task = _Task(prefix, progress, then)
    _QUEUE.start(task, inputs, num_threads, begin)
    return AsyncSave(task)


class AsyncSave:
    """A save that is under way; made by :func:`save_async`."""

    def __init__(self, task: _Task) -> None:
        self._task = task

    @property
    def prefix(self) -> str:
        """Where the checkpoint will be."""
        return self._task.prefix

    def done(self) -> bool:
        """Whether the save has ended, well or not."""
        return self._task.ended.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the save has ended, at most `timeout` seconds; whether it has."""
        return self._task.ended.wait(timeout)

    def result(self, timeout: float | None = None) -> str:
        """Wait for the save and give the prefix.

        Raises
        ------
        TimeoutError
            It has not ended after `timeout` seconds, and goes on.
        CheckpointError
            The save failed or was cancelled; what was there before is intact.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"the save of {self.prefix!r} has not ended after {timeout} s")
        self._task.raise_error()
        return self.prefix

    def settle(self) -> None:
        """Wait for the save, and raise what went wrong unless somebody was told of it."""
        self.wait()
        if not self._task.was_told:
            self._task.raise_error()

    def cancel(self) -> bool:
        """Ask the save to stop, leaving what was there before; False when it has ended already."""
        self._task.is_cancelled = True
        return not self.done()

    def __repr__(self) -> str:
        state = "under way"
        if self.done():
            state = "complete" if self._task.error is None else "failed"
        return f"<AsyncSave {self.prefix!r} {state}>"


class _Task:
    """One save: what its thread does, and what is known of it."""

    def __init__(
        self, prefix: str, progress: ProgressLike, then: Callable[[], object] | None
    ) -> None:
        self.prefix = prefix
        self.ended = threading.Event()
        self.is_cancelled = False
        self.error: BaseException | None = None
        self.was_told = False
        self._progress = progress
        self._then = then

    def write(self, writer: Writing, items: list[tuple[str, Input]]) -> None:
        """Write all of it, and keep what goes wrong for whoever asks."""
        progress = True if self._progress is True else self._report
        try:
            with writer:
                writer.add_all(items, progress=progress)
                self._check_wanted()
        except BaseException as error:  # noqa: BLE001
            self.error = error
            # Whoever cancelled it knows.
            self.was_told = self.is_cancelled
        else:
            self._finish()
        # The snapshot is free for the next save when nothing refers to it.
        items.clear()
        self.ended.set()

    def _finish(self) -> None:
        try:
            if self._then is not None:
                self._then()
        except BaseException as error:  # noqa: BLE001
            self.error = error

    def leave_to_parent(self) -> None:
        """Say in a forked child that nobody waits for this save in vain."""
        if self.ended.is_set():
            return
        self.error = CheckpointError(
            f"the save of {self.prefix!r} goes on in the process that started it, of which this "
            "is a forked child; ask for its result there",
            path=self.prefix,
        )
        self.was_told = True
        # Whatever lock the old one has may be held by a thread that is not here.
        self.ended = threading.Event()
        self.ended.set()

    def raise_error(self) -> None:
        """Raise what went wrong, if anything did."""
        self.was_told = True
        if self.error is not None:
            raise self.error

    def _report(self, state: Progress) -> None:
        self._check_wanted()
        if callable(self._progress):
            self._progress(state)

    def _check_wanted(self) -> None:
        if self.is_cancelled:
            raise CheckpointError(
                f"the save of {self.prefix!r} was cancelled; nothing was saved, and what was "
                "there before is intact",
                path=self.prefix,
            )


class _Queue:
    """The one save that may be under way, and the memory that saves use in turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: _Task | None = None
        self._snapshot = Snapshot()

    def start(
        self,
        task: _Task,
        inputs: list[Named],
        num_threads: int,
        begin: Callable[[], Writing],
    ) -> None:
        """Wait for the save before, copy what may change, and start the thread."""
        with self._lock:
            if self._last is not None:
                last = AsyncSave(self._last)
                last.wait()  # Ctrl-C may come, and leaves it under way
                self._last = None
                last.settle()
            # The prefix is taken, and wrong options are told, before the caller goes on.
            writer = begin()
            try:
                items = self._copied(inputs, num_threads)
                threading.Thread(
                    target=task.write, args=(writer, items), name="fastckpt-save", daemon=False
                ).start()
            except BaseException:
                writer.abort()
                raise
            self._last = task

    def _copied(self, inputs: list[Named], num_threads: int) -> list[tuple[str, Input]]:
        arrays = [x.item.array for x in inputs if x.item.array is not None and not x.is_frozen]
        copies = iter(self._snapshot.take(arrays, num_threads))
        return [
            (x.name, x.item)
            if x.item.array is None or x.is_frozen
            else (x.name, x.item._replace(array=next(copies)))
            for x in inputs
        ]

    def reset_after_fork(self) -> None:
        """Forget the parent's save: neither its thread nor the lock's holder is here."""
        last = self._last
        self.__init__()  # type: ignore[misc]
        if last is not None:
            last.leave_to_parent()


def is_frozen(value: Any, item: Input) -> bool:
    """Whether nobody can change the memory of an input."""
    if item.array is None:
        return True
    if type(value).__module__.partition(".")[0] in {"jax", "jaxlib"}:
        return True
    return has_no_writer(item.array)


_QUEUE = _Queue()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_QUEUE.reset_after_fork)
