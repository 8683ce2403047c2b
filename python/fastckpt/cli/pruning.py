"""Which checkpoints of a directory may go, and letting them go: by the state file, newest kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from fastckpt.checkpoint import open_checkpoint
from fastckpt.errors import (
    CheckpointChangedError,
    CheckpointError,
    CheckpointNotFoundError,
    InvalidArgumentError,
)
from fastckpt.names import index_file, meta_file
from fastckpt.storage import local, read_state
from fastckpt.storage.state import STATE_FILE, CheckpointState, parse_state, resolve_path
from fastckpt.training.removing import remove_one
from fastckpt.training.retention import ManagerRule, Tracked
from fastckpt.training.state_writing import write_state

__all__ = ["Fate", "Plan", "Row", "apply", "plan"]

Fate = Literal["keep", "preserve", "delete", "gone", "elsewhere"]

_MAX_STATE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One checkpoint that the state file lists.

    Attributes
    ----------
    stored, prefix : str
        How the state file spells it, and where it is.
    time : float or None
        When it was saved, in seconds since the epoch.
    nbytes : int
        Bytes of its files.
    fate : {"keep", "preserve", "delete", "gone", "elsewhere"}
        It stays in the list; it stays for good, off the list; it is deleted; its files are gone,
        and it leaves the list; it lies outside of the directory, and is left alone.
    """

    stored: str
    prefix: str
    time: float | None
    nbytes: int
    fate: Fate = "keep"


@dataclass(frozen=True, slots=True)
class Plan:
    """What pruning a directory comes to.

    Attributes
    ----------
    directory : str
        Where the state file is.
    rows : tuple of Row
        All that it lists, oldest first.
    before, after : CheckpointState
        What it says, and what it will say.
    """

    directory: str
    rows: tuple[Row, ...]
    before: CheckpointState
    after: CheckpointState

    @property
    def deleted(self) -> tuple[Row, ...]:
        """What is deleted, oldest first."""
        return tuple(row for row in self.rows if row.fate == "delete")


def plan(directory: str, *, keep: int, every_hours: float | None = None) -> Plan:
    """Decide which checkpoints go; nothing is changed.

    Parameters
    ----------
    directory : str
        With a state file. What that does not list is left alone.
    keep : int
        How many of the newest stay, 1 or more.
    every_hours : float, optional
        Of the others, those stay for good that were saved so many hours after the last one that
        did; they leave the list, as in TensorFlow's CheckpointManager.

    Raises
    ------
    CheckpointNotFoundError
        There is no state file, or no such directory.
    InvalidArgumentError
        The latest checkpoint of the state file is not there: the list is not to be trusted.
    DataLossError
        The state file cannot be read.
    """
    before = _read(directory)
    latest = resolve_path(before.model_checkpoint_path, directory)
    if not local.checkpoint_exists(latest):
        raise InvalidArgumentError(
            f"the state file of {directory!r} names {latest!r} as the latest checkpoint, which is "
            "not there; see fastckpt doctor, and prune when that is mended",
            path=directory,
        )
    rows = [_row(directory, before, i) for i in range(len(before.all_model_checkpoint_paths))]
    rule = ManagerRule(
        keep, every_hours, before.last_preserved_timestamp, _by_age(rows, _identity(latest))
    )
    doomed = set(rule.sweep())
    stay = {_identity(latest), *(tracked.path for tracked in rule.checkpoints)}
    rows = [_judged(row, doomed, stay) for row in rows]
    after = _shortened(before, rows, rule.last_preserved)
    return Plan(directory, tuple(rows), before, after)


def apply(made: Plan) -> Iterator[tuple[Row, CheckpointError | None]]:
    """Write the new state file, then delete; give each row, and what kept it from going.

    Raises
    ------
    CheckpointChangedError
        The state file has changed since the plan was made; nothing was deleted.
    """
    if _read(made.directory) != made.before:
        raise CheckpointChangedError(
            f"the state file of {made.directory!r} has changed meanwhile; nothing was deleted",
            path=os.path.join(made.directory, STATE_FILE),
        )
    if made.after != made.before:
        write_state(made.directory, made.after, sync=True)
    for row in made.deleted:
        error = None
        try:
            is_v2 = local.file_size(index_file(row.prefix)) is not None
            remove_one(row.prefix, 2 if is_v2 else 1)
        except CheckpointError as found:
            error = found
        yield row, error


def _read(directory: str) -> CheckpointState:
    """Read the state file as it is written."""
    if not local.is_directory(directory):
        raise CheckpointNotFoundError(f"there is no directory {directory!r}", path=directory)
    # This one says what is wrong with a file that cannot be read.
    if read_state(directory) is None:
        raise CheckpointNotFoundError(
            f"there is no state file in {directory!r}, and without one nothing says which "
            "checkpoints may go; write it with fastckpt.update_checkpoint_state",
            path=directory,
        )
    content = local.read_head(os.path.join(directory, STATE_FILE), _MAX_STATE_BYTES)
    return parse_state(content.decode("utf-8-sig"))


def _row(directory: str, state: CheckpointState, i: int) -> Row:
    stored = state.all_model_checkpoint_paths[i]
    prefix = resolve_path(stored, directory)
    times = state.all_model_checkpoint_timestamps
    time = times[i] if i < len(times) else None
    if not _is_checkpoint(prefix):
        return Row(stored, prefix, time, 0, "gone")
    sizes = [os.stat(path) for path in _files(prefix)]
    if time is None:
        time = max((x.st_mtime for x in sizes), default=None)
    is_inside = os.path.dirname(_identity(prefix)) == os.path.realpath(directory or ".")
    nbytes = sum(x.st_size for x in sizes)
    return Row(stored, prefix, time, nbytes, "keep" if is_inside else "elsewhere")


def _is_checkpoint(prefix: str) -> bool:
    """Whether there is an index or a V1 file; the state file may name any file at all."""
    if local.file_size(index_file(prefix)) is not None:
        return True
    files = local.matches(prefix) if local.is_pattern(prefix) else [prefix]
    return any(map(local.is_table, files))


def _files(prefix: str) -> list[str]:
    """The files of a checkpoint that are there; the index alone where it cannot be read."""
    paths = [index_file(prefix), prefix, meta_file(prefix)]
    with contextlib.suppress(CheckpointError), open_checkpoint(prefix) as checkpoint:
        paths += checkpoint.files
    return [path for path in dict.fromkeys(map(os.path.abspath, paths)) if os.path.isfile(path)]


def _identity(prefix: str) -> str:
    """One spelling of a prefix that may be listed under several."""
    directory, name = os.path.split(prefix)
    return os.path.join(os.path.realpath(directory or "."), name)


def _by_age(rows: list[Row], latest: str) -> list[Tracked]:
    """Give what may go, oldest first; the latest is the last whatever the list says."""
    found = {_identity(row.prefix): row.time or 0.0 for row in rows if row.fate == "keep"}
    return [Tracked(*item) for item in sorted(found.items(), key=lambda item: item[0] == latest)]


def _judged(row: Row, doomed: set[str], stay: set[str]) -> Row:
    identity = _identity(row.prefix)
    if row.fate != "keep" or identity in stay:
        return row
    return replace(row, fate="delete" if identity in doomed else "preserve")


def _shortened(before: CheckpointState, rows: list[Row], last_preserved: float) -> CheckpointState:
    stay = [i for i, row in enumerate(rows) if row.fate in ("keep", "elsewhere")]
    times = before.all_model_checkpoint_timestamps
    return CheckpointState(
        before.model_checkpoint_path,
        [before.all_model_checkpoint_paths[i] for i in stay],
        [times[i] for i in stay] if len(times) == len(rows) else [],
        last_preserved,
    )
