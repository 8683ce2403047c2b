"""Two Savers in processes of their own save into one directory, and others read it meanwhile.

What docs/porting.md says about several Savers: nobody reads a mix or a half, the state file lists
what is complete, and each prunes its own list.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import pytest

import fastckpt
from faults import two_savers
from faults.crash_helpers import fast_folder
from faults.two_savers import KEPT, Plan, values_of

__all__ = ["fast_folder"]

NUM_SAVES = int(os.environ.get("FASTCKPT_TWO_SAVERS", "300"))
NUM_READERS = 2

_PROCESSES = multiprocessing.get_context("forkserver")

# Suffixes of a complete checkpoint.
FILE = re.compile(r"(.+)\.(index|meta|data-\d{5}-of-\d{5})\Z")


def run(folder: Path, plan: Plan) -> tuple[dict[int, Any], list[Any]]:
    """Start all, and wait for the writers; what writers and readers tell."""
    ready = _PROCESSES.Barrier(2 + NUM_READERS)
    go_on, written, seen = _PROCESSES.Event(), _PROCESSES.Queue(), _PROCESSES.Queue()
    go_on.set()
    directory = str(folder)
    # Something to read from the beginning.
    for who in range(2):
        two_savers.write(directory, plan, who, 1, _Nobody(), written)
        written.get(timeout=60)
    processes = [
        _PROCESSES.Process(
            target=two_savers.write, args=(directory, plan, who, NUM_SAVES, ready, written)
        )
        for who in range(2)
    ] + [
        _PROCESSES.Process(target=two_savers.read_on, args=(directory, plan, go_on, ready, seen))
        for _ in range(NUM_READERS)
    ]
    try:
        for process in processes:
            process.start()
        writers = [written.get(timeout=300) for _ in range(2)]
        go_on.clear()
        readers = [seen.get(timeout=60) for _ in range(NUM_READERS)]
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
    assert [x for x in [*writers, *readers] if isinstance(x, str)] == []
    return {who: told for who, *told in writers}, readers


class _Nobody:
    """A barrier for one."""

    def wait(self, timeout: float) -> None:
        """Go on at once."""


def prefixes(folder: Path) -> set[str]:
    """What there are files of; nothing else is there."""
    names = set(os.listdir(folder)) - {"checkpoint", "of_one", "of_two"}
    found = {name: FILE.match(name) for name in names}
    assert [name for name, match in found.items() if match is None] == []
    return {match[1] for match in found.values() if match}


def named(folder: Path, latest: str = "checkpoint") -> list[str]:
    state = fastckpt.get_checkpoint_state(folder, latest)
    assert state is not None
    return state.all_model_checkpoint_paths


PLANS = {
    "names of their own": Plan(),
    "asynchronous": Plan(asynchronous=True),
    "steps of their own": Plan(bases=("m", "m"), own_steps=True),
    "state files of their own": Plan(latest=("of_one", "of_two")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_nothing_is_lost_and_nothing_stays(name: str, fast_folder: Path) -> None:
    plan = PLANS[name]
    writers, readers = run(fast_folder, plan)
    lists = {who: last for who, (last, _) in writers.items()}
    assert [len(x) for x in lists.values()] == [KEPT, KEPT]
    assert [busy for _, busy in writers.values()] == [0, 0]
    for who, paths in lists.items():
        marks = [values_of(path) for path in paths]
        assert marks == [1000 * (NUM_SAVES - KEPT + i) + who for i in range(KEPT)]
    told = {os.path.basename(path) for paths in lists.values() for path in paths}
    assert prefixes(fast_folder) == told
    for who, latest in enumerate(plan.latest):
        assert named(fast_folder, latest) in (
            [lists[who]] if len(set(plan.latest)) == 2 else lists.values()
        )
    assert all(gone == 0 for _, _, gone in readers), readers
    assert sum(opened for opened, _, _ in readers) > 50, readers
    assert sum(seen for _, seen, _ in readers) > 20, readers


@pytest.mark.slow
def test_one_prefix(fast_folder: Path) -> None:
    plan = Plan(bases=("m", "m"), has_steps=False)
    writers, readers = run(fast_folder, plan)
    path = str(fast_folder / "m")
    assert [last for last, _ in writers.values()] == [[path], [path]]
    assert values_of(path) in {1000 * (NUM_SAVES - 1), 1000 * (NUM_SAVES - 1) + 1}
    assert prefixes(fast_folder) == {"m"}
    assert named(fast_folder) == [path]
    assert all(gone == 0 for _, _, gone in readers), readers
    assert sum(opened for opened, _, _ in readers) > 50, readers


@pytest.mark.slow
def test_the_same_names(fast_folder: Path) -> None:
    """A name tells checkpoints apart: one removes what the other has saved under it."""
    writers, readers = run(fast_folder, Plan(bases=("m", "m")))
    last = [str(fast_folder / f"m-{NUM_SAVES - KEPT + i}") for i in range(KEPT)]
    assert [paths for paths, _ in writers.values()] == [last, last]
    assert named(fast_folder) == last
    # Whoever came last has all of its own.
    assert values_of(last[-1]) in {1000 * (NUM_SAVES - 1), 1000 * (NUM_SAVES - 1) + 1}
    assert sum(opened for opened, _, _ in readers) > 50, readers
