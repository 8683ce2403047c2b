"""Bulk work on a V1 checkpoint, behind the face of a ``_core.LoadJob``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fastckpt.errors import CheckpointError

if TYPE_CHECKING:
    from fastckpt.checkpoint.legacy import LegacyBundle

Array = NDArray[Any]


class LegacyJob:
    """Entries to work through, one after the other, on the thread that waits."""

    def __init__(
        self,
        bundle: LegacyBundle,
        ids: Sequence[int],
        work: Callable[[int], Array | None],
        *,
        keep_going: bool = False,
    ) -> None:
        self._bundle = bundle
        self._ids = ids
        self._work = work
        self._keep_going = keep_going
        self._failures: list[tuple[int, CheckpointError]] = []
        self.bytes_read = 0

    def __len__(self) -> int:
        return len(self._ids)

    def wait(self, report: Callable[[int, int, str], object] | None = None) -> list[Array | None]:
        """Do the work; `report(bytes, tensors, name)` may cancel it by raising."""
        results: list[Array | None] = []
        try:
            for done, entry in enumerate(self._ids, start=1):
                results.append(self._do(entry))
                if report is not None:
                    report(self.bytes_read, done, self._bundle.name(entry))
        finally:
            self._bundle.release()
        return results

    def failures(self) -> list[tuple[int, CheckpointError]]:
        """``(entry id, error)`` of everything that failed; complete after :meth:`wait`."""
        return self._failures

    def _do(self, entry: int) -> Array | None:
        try:
            result = self._work(entry)
        except CheckpointError as error:
            if not self._keep_going:
                raise
            self._failures.append((entry, error))
            return None
        self.bytes_read += self._bundle.stored_size([entry])
        return result
