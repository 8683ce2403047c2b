"""The whole crash test: its parts in order, and a row of figures for each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fastckpt.errors import CheckpointIOError
from fastckpt.tools.crashtest import cuts, kills
from fastckpt.tools.crashtest.saver import Saver
from fastckpt.tools.crashtest.scene import Case

__all__ = ["Row", "run_all"]

_BOUNDARIES = "killed before each change"
_INSTANTS = "killed at random instants"
_NEXT = "cut off over a killed save (simulated)"
_POWER = "cut off by the power (simulated)"

# Given the part under way, and how many cases of it are done.
Report = Callable[[str, int], object]


class Row(NamedTuple):
    """What one part found.

    Attributes
    ----------
    part : str
        What happened to the saves.
    case : Case
        Which saves.
    cases : int
        How many.
    found : dict of str to int
        How many times a reader then found the "old", the "new", or no ("absent") checkpoint, the
        "next" one of a save over a killed save, or none of them ("?").
    violations : tuple of str
        What should not have been found; none when all is well.
    """

    part: str
    case: Case
    cases: int
    found: dict[str, int]
    violations: tuple[str, ...]


def run_all(
    directory: str | os.PathLike[str],
    *,
    shards: Sequence[int] = (1, 4, 16),
    instants: int = 60,
    seed: int = 0,
    report: Report | None = None,
) -> list[Row]:
    """Kill saves in a directory, and simulate power cuts in memory.

    Parameters
    ----------
    directory : str or PathLike
        On the file system to be tested. Everything happens in a directory below it, which is
        removed at the end.
    shards : sequence of int
        Numbers of data files; each is saved to a prefix that is free, and over a checkpoint.
    instants : int
        Saves that are killed at random instants, of all cases together.
    seed : int
        Of instants and of what a device may hold.
    report : callable, optional
        Called with the name of a part and how many of its cases are done.

    Returns
    -------
    list of Row

    Raises
    ------
    CheckpointIOError
        The directory cannot be written to.
    """
    cases = [Case(num_shards, overwrite) for num_shards in shards for overwrite in (False, True)]
    tell = report or (lambda _part, _count: None)
    rows: list[Row] = []
    with _folder_in(os.fspath(directory)) as name, Saver() as saver:
        folder = Path(name)
        for case in cases:
            killed = kills.kill_everywhere(case, folder, saver)
            rows.append(_row(_BOUNDARIES, case, killed, tell))
        for i, case in enumerate(cases):
            count = len(range(i, instants, len(cases)))
            killed = kills.kill_at_random(case, count, folder, saver, f"{seed}/{i}")
            rows.append(_row(_INSTANTS, case, killed, tell))
    for case in cases:
        trace = cuts.trace_save(case)
        rows.append(_row(_POWER, case, cuts.replay(trace, seed), tell))
        rows.append(_row(_NEXT, case, _cut_after_kill(trace, seed), tell))
    return rows


def _cut_after_kill(trace: cuts.Trace, seed: int) -> Iterator[cuts.Outcome]:
    for after in cuts.trace_next_saves(trace):
        for outcome in cuts.replay(after, seed, save_over=False):
            where = f"save killed after {trace.records[after.start - 1]}; {outcome.where}"
            yield outcome._replace(where=where)


def _row(
    part: str, case: Case, outcomes: Iterable[kills.Outcome | cuts.Outcome], tell: Report
) -> Row:
    found: dict[str, int] = {}
    violations = []
    cases = 0
    for cases, outcome in enumerate(outcomes, 1):
        found[outcome.found] = found.get(outcome.found, 0) + 1
        if outcome.violation is not None:
            violations.append(f"{outcome.where}: {outcome.violation}")
        tell(part, cases)
    return Row(part, case, cases, found, tuple(violations))


def _folder_in(directory: str) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(
            prefix="fastckpt-crashtest-", dir=directory, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise CheckpointIOError(
            f"cannot make a directory in {directory!r}: {error.strerror}; name a directory that "
            "exists and that you may write to",
            errno=error.errno,
            path=directory,
        ) from error
