"""Saves that are killed, on a real file system."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastckpt.tools.crashtest.saver import Ending, Saver
from fastckpt.tools.crashtest.scene import Case
from fastckpt.tools.crashtest.verdict import Violation, check_next_save, demand, read

__all__ = ["Outcome", "kill_at_random", "kill_everywhere"]

# How far beyond the usual time of a save it may be killed.
_BEYOND = 1.2


class Outcome(NamedTuple):
    """Where a save ended, what a reader found then, and what is wrong with that."""

    where: str
    found: str
    violation: str | None


def kill_everywhere(case: Case, folder: Path, saver: Saver) -> Iterator[Outcome]:
    """Kill a save before its first change, its second, and so on until one is through."""
    stage = _Stage(case, folder)
    ending = None
    n = 0
    while ending is None or ending.status == "killed":
        n += 1
        stage.reset()
        ending = saver.save(stage.prefix, case.num_shards, kill_before=n)
        yield stage.judge(ending, f"killed before change {n}")


def kill_at_random(
    case: Case, count: int, folder: Path, saver: Saver, seed: str
) -> Iterator[Outcome]:
    """Kill that many saves at instants that are spread over the time of a save."""
    if not count:
        return
    instants = random.Random(seed)  # noqa: S311 - repeatable, not secret
    stage = _Stage(case, folder)
    usual = _usual_seconds(stage, saver)
    for _ in range(count):
        delay = instants.uniform(0, _BEYOND * usual)
        stage.reset()
        ending = saver.save(stage.prefix, case.num_shards, delay=delay)
        yield stage.judge(ending, f"killed after {1000 * delay:.2f} ms")


def _usual_seconds(stage: _Stage, saver: Saver) -> float:
    """The time of a save, the slower of two."""
    times = []
    for _ in range(2):
        stage.reset()
        times.append(saver.save(stage.prefix, stage.case.num_shards).seconds)
    return max(times)


class _Stage:
    """A folder in which the same save begins over and over."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.prefix = case.prefix(folder / "stage")
        self._folder = folder / "stage"
        self._original = folder / f"original-{case.num_shards}-{case.before}"
        if not self._original.exists():
            self._original.mkdir()
            case.prepare(self._original)

    def reset(self) -> None:
        """Put what was there before the save, and nothing else, back in place."""
        if self._folder.exists():
            shutil.rmtree(self._folder)
        # Second names will do: no save changes a file that it did not make.
        shutil.copytree(self._original, self._folder, copy_function=_link_or_copy)

    def judge(self, ending: Ending, where: str) -> Outcome:
        """Read what the save left, save over it, and look again."""
        allowed = {"new"} if ending.status == "done" else {self.case.before, "new"}
        found = "?"
        try:
            if ending.status == "failed":
                raise Violation(f"the save fails: {ending.error}")
            found = read(self.prefix)
            demand(found, allowed)
            check_next_save(self.prefix, found, self.case.num_shards)
        except Violation as violation:
            return Outcome(f"{where}, {ending.status}", found, str(violation))
        return Outcome(where, found, None)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
