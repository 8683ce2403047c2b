"""A Saver that is killed at any moment leaves a state file that names a complete checkpoint."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

import fastckpt
from faults.crash_helpers import fast_folder
from faults.saver_process import restored_step, train

_KILLS = 10
_LONGEST_SECONDS = 0.1

__all__ = ["fast_folder"]

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["faults.saver_process"])

DATA = re.compile(r"m-(\d+)\.(data-\d{5}-of-\d{5}|index|meta)\Z")


def kill_one(directory: Path, first: int, delay: float, *kind: bool) -> None:
    started = _PROCESSES.Event()
    process = _PROCESSES.Process(target=train, args=(str(directory), first, started, *kind))
    process.start()
    assert started.wait(60)
    time.sleep(delay)
    process.kill()
    process.join()


def check(directory: Path) -> int:
    """Look at what a killed process left; give the step of the latest checkpoint."""
    state = fastckpt.get_checkpoint_state(directory)
    assert state is not None
    kept = state.all_model_checkpoint_paths
    assert kept[-1] == state.model_checkpoint_path
    assert len(kept) <= 2
    for path in kept:
        assert restored_step(path) == int(path.rpartition("-")[2])
        assert os.path.getsize(f"{path}.meta") > 100
    assert fastckpt.latest_checkpoint(directory) == kept[-1]
    with fastckpt.open(directory) as checkpoint:
        assert checkpoint.prefix == kept[-1]
    return restored_step(kept[-1])


def complete_steps(directory: Path) -> set[int]:
    """Steps of the checkpoints that have an index."""
    found = (DATA.match(name) for name in os.listdir(directory))
    return {int(match[1]) for match in found if match and match[2] == "index"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [(False, False), (True, False), (False, True)], ids=["sync", "sharded", "async"]
)
def test_kills(kind: Any, fast_folder: Path) -> None:
    chance = random.Random(f"{kind}")
    last = 0
    for _ in range(_KILLS):
        kill_one(fast_folder, last + 1, chance.uniform(0, _LONGEST_SECONDS), *kind)
        found = check(fast_folder)
        assert found > last
        # What is complete and not listed was saved, and not told to anybody, by the last process.
        assert max(complete_steps(fast_folder)) <= found + 1
        last = found
