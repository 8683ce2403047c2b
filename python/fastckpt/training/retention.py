"""Which checkpoints stay: the two rules of TensorFlow, without a file being touched.

A :class:`Saver <fastckpt.Saver>` and a :class:`CheckpointManager <fastckpt.CheckpointManager>` let
go of old checkpoints by rules of their own. Both work on copies: what a save would change is
planned first, and adopted once the state file says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Kept", "ManagerRule", "SaverRule", "Tracked", "same_checkpoint"]

_HOUR = 3600.0


class Tracked(NamedTuple):
    """One checkpoint of a list, and when it was saved, in seconds since the epoch."""

    path: str
    time: float


class Kept(NamedTuple):
    """What a save makes of a list.

    Attributes
    ----------
    checkpoints : list of Tracked
        The new list, oldest first.
    dropped : list of Tracked
        What is not in it any more, oldest first.
    """

    checkpoints: list[Tracked]
    dropped: list[Tracked]


class SaverRule:
    """The rule of a Saver.

    Parameters
    ----------
    max_to_keep : int
        Length of the list; 0 for a list that saves leave alone, with nothing ever dropped.
    every_n_hours : float
        A dropped checkpoint that was saved after the threshold stays for good, and the threshold
        moves on by so many hours.
    start : float
        Seconds since the epoch from which the first threshold counts.
    """

    def __init__(self, max_to_keep: int, every_n_hours: float, start: float) -> None:
        self.max_to_keep = max_to_keep
        self._period = every_n_hours * _HOUR
        self._threshold = start + self._period
        self._queue: list[Tracked] = []
        self.checkpoints: list[Tracked] = []

    def plan(self, path: str, time: float) -> Kept:
        """Say what the list is once `path` was saved at `time`; nothing changes."""
        if not self.max_to_keep:
            return Kept(list(self.checkpoints), [])
        checkpoints = [x for x in self.checkpoints if not same_checkpoint(x.path, path)]
        checkpoints.append(Tracked(path, time))
        excess = 1 if len(checkpoints) > self.max_to_keep else 0
        return Kept(checkpoints[excess:], checkpoints[:excess])

    def trim(self) -> int:
        """Drop what is longer than the list may be, and give how many were dropped."""
        excess = max(0, len(self.checkpoints) - self.max_to_keep) if self.max_to_keep else 0
        self._queue += self.checkpoints[:excess]
        del self.checkpoints[:excess]
        return excess

    def adopt(self, kept: Kept) -> None:
        """Take the list over, once the state file has it."""
        if self.max_to_keep:
            self.checkpoints = kept.checkpoints
            self._queue += kept.dropped

    def to_remove(self) -> str | None:
        """Give the checkpoint whose files are to go now; at most one for each save."""
        if not self._queue:
            return None
        path, time = self._queue.pop(0)
        if time > self._threshold:
            self._threshold += self._period
            return None
        # Saved again since it was dropped, under this spelling or another.
        if any(same_checkpoint(x.path, path) for x in self.checkpoints):
            return None
        return path


class ManagerRule:
    """The rule of a CheckpointManager.

    Parameters
    ----------
    max_to_keep : int, optional
        Length of the list; None for all.
    every_n_hours : float, optional
        A dropped checkpoint stays for good when it was saved so many hours after the last one that
        did, or later.
    last_preserved : float
        When that was, in seconds since the epoch.
    checkpoints : iterable of Tracked
        The list at the beginning.
    """

    def __init__(
        self,
        max_to_keep: int | None,
        every_n_hours: float | None,
        last_preserved: float,
        checkpoints: Iterable[Tracked] = (),
    ) -> None:
        self._max_to_keep = max_to_keep
        self._period = None if not every_n_hours else every_n_hours * _HOUR
        self.last_preserved = last_preserved
        self.checkpoints = list(checkpoints)

    def add(self, path: str, time: float) -> None:
        """Put a checkpoint at the end of the list, whether it is there already or not."""
        self.checkpoints = [
            *(x for x in self.checkpoints if not same_checkpoint(x.path, path)),
            Tracked(path, time),
        ]

    def sweep(self) -> list[str]:
        """Shorten the list; give the checkpoints whose files are to go, oldest first."""
        to_remove = []
        limit = len(self.checkpoints) if self._max_to_keep is None else self._max_to_keep
        excess = max(0, len(self.checkpoints) - limit)
        for path, time in self.checkpoints[:excess]:
            if self._period is not None and time - self._period >= self.last_preserved:
                self.last_preserved = time
            else:
                to_remove.append(path)
        # At one stroke: other threads may be looking.
        self.checkpoints = self.checkpoints[excess:]
        return to_remove


def same_checkpoint(one: str, other: str) -> bool:
    """Whether two prefixes are the same one, however they are spelt."""
    if one == other:
        return True
    if os.path.basename(one) != os.path.basename(other):
        return False
    return os.path.realpath(os.path.dirname(one)) == os.path.realpath(os.path.dirname(other))
