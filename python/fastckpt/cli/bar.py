"""A progress bar for work that takes a while, on terminals alone."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from fastckpt.cli.terminal import is_terminal
from fastckpt.progress import Progress, Reporter, reporter

__all__ = ["Bar"]

# A bar for less would flash up and be gone.
_PATIENCE_SECONDS = 0.4


class Bar:
    """The `progress` argument of a tool; a context manager that takes the bar away.

    Parameters
    ----------
    label : str
        What is being done.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._is_wanted = is_terminal(sys.stderr)
        self._start = time.monotonic()
        self._reporter: Reporter | None = None

    def __call__(self, state: Progress) -> None:
        """Show a state, once the work has taken long enough."""
        if not self._is_wanted or time.monotonic() - self._start < _PATIENCE_SECONDS:
            return
        if self._reporter is None:
            self._reporter = reporter(True, label=self._label, bytes_total=state.bytes_total)
        self._reporter.update(state.bytes_done, state.tensors_done, state.name)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reporter is not None:
            self._reporter.__exit__(kind, error, trace)
