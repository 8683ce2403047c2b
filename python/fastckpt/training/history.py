"""The checkpoints that a Saver remembers: its list, the state file, and what is removed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence

from fastckpt.checkpoint.tensorflow_errors import NotAListError, WrongTypeError
from fastckpt.errors import CheckpointError
from fastckpt.storage.state import CheckpointState, read_state
from fastckpt.training.removing import remove_one
from fastckpt.training.retention import SaverRule, Tracked
from fastckpt.training.saver_naming import Place
from fastckpt.training.state_functions import get_checkpoint_mtimes
from fastckpt.training.state_writing import make_state, write_state

__all__ = ["History"]

_log = logging.getLogger("fastckpt")


class History:
    """What a Saver does once a checkpoint is complete.

    Parameters
    ----------
    max_to_keep, every_n_hours
        As `SaverRule` takes them, which counts from now.
    relative : bool
        Write relative paths to the state file.
    recover : bool
        Take over what the state file lists when a directory is first saved to.
    sync : bool
        Write the state file to the device.
    """

    def __init__(
        self, max_to_keep: int, every_n_hours: float, *, relative: bool, recover: bool, sync: bool
    ) -> None:
        self.rule = SaverRule(max_to_keep, every_n_hours, time.time())
        self._relative = relative
        self._sync = sync
        self._to_recover = recover

    def check(self, place: Place, path: str) -> None:
        """Raise what `record` would raise for these paths, before anything is written."""
        kept = self.rule.plan(path, 0.0).checkpoints
        self._state(place, path, [x.path for x in kept])

    def record(self, place: Place, path: str, version: int, meta_graph_suffix: str | None) -> None:
        """Put a complete checkpoint into the list and the state file; remove what it drops."""
        removals = 1
        if self._to_recover:
            self._recover(place)
            # What is too many of the last run goes at once: nobody else would ever remove it.
            removals += self.rule.trim()
        kept = self.rule.plan(path, time.time())
        state = self._state(place, path, [x.path for x in kept.checkpoints])
        write_state(place.directory, state, place.latest_filename, sync=self._sync)
        self.rule.adopt(kept)
        for _ in range(removals):
            old = self.rule.to_remove()
            if old is not None:
                _remove(old, version, meta_graph_suffix)

    def set_paths(self, paths: object) -> None:
        """Replace the list by paths that are never to be removed."""
        if not isinstance(paths, list):
            raise NotAListError(f"a list of paths is needed, not {paths!r}")
        self.rule.checkpoints = [Tracked(path, math.inf) for path in paths]

    def set_with_time(self, checkpoints: object) -> None:
        """Replace the list by pairs of path and time."""
        if not isinstance(checkpoints, list):
            raise NotAListError(f"a list of (path, time) is needed, not {checkpoints!r}")
        try:
            self.rule.checkpoints = [Tracked(path, time) for path, time in checkpoints]
        except (TypeError, ValueError):
            raise WrongTypeError(
                f"a list of (path, time) is needed, not {checkpoints!r}"
            ) from None

    def find(self, paths: Iterable[str]) -> list[tuple[str, float]]:
        """Give those of the checkpoints that exist, with the times of their files."""
        times = [(path, get_checkpoint_mtimes([path])) for path in paths]
        return [(path, found[0]) for path, found in times if found]

    def _state(self, place: Place, path: str, kept: Sequence[str]) -> CheckpointState:
        return make_state(
            place.directory,
            path,
            kept,
            place.latest_filename,
            save_relative_paths=self._relative,
        )

    def _recover(self, place: Place) -> None:
        self._to_recover = False
        if self.rule.checkpoints:
            return
        try:
            state = read_state(place.directory, place.latest_filename)
        except CheckpointError as error:
            _log.warning("nothing is taken over from %s: %s", place.directory, error)
            return
        if state is not None:
            self.set_with_time(self.find(state.all_model_checkpoint_paths))


def _remove(path: str, version: int, meta_graph_suffix: str | None) -> None:
    try:
        remove_one(path, version, meta_graph_suffix)
    except CheckpointError as error:
        _log.warning("Ignoring: %s", error)
