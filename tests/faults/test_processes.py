"""Four processes write one checkpoint, and any of them may be killed at any instant.

Nothing is visible before the commit, and never half of it after; what died is written again. How
often is up to FASTCKPT_PROCESS_KILLS.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

import fastckpt
from fastckpt.names import index_file
from faults import part_writers
from faults.part_writers import NUM_PROCESSES, read, start

NUM_ATTEMPTS = int(os.environ.get("FASTCKPT_PROCESS_KILLS", "25"))


def ended(process: BaseProcess) -> bool:
    """Wait for the end; whether it was a good one and not a kill."""
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def write_all(prefix: str, ranks: Sequence[int], generation: int) -> list[BaseProcess]:
    return [start(part_writers.write_part, prefix, rank, generation) for rank in ranks]


def missing(prefix: str) -> list[int]:
    part = f"{prefix}_temp/part-{{:05d}}-of-{NUM_PROCESSES:05d}"
    return [r for r in range(NUM_PROCESSES) if not Path(index_file(part.format(r))).exists()]


def kill_some(processes: Sequence[BaseProcess], chance: random.Random, lifetime: float) -> None:
    """Kill one, two or three at instants of their own."""
    victims = chance.sample(processes, chance.randint(1, 3))
    begin = time.monotonic()
    instants = sorted(chance.uniform(0, lifetime) for _ in victims)
    for instant, victim in zip(instants, victims, strict=True):
        time.sleep(max(0.0, begin + instant - time.monotonic()))
        victim.kill()


def lifetime_of(processes: Sequence[BaseProcess]) -> float:
    """Seconds until all have ended well."""
    begin = time.monotonic()
    assert all(ended(x) for x in processes)
    return time.monotonic() - begin


def commit_with_kills(prefix: str, chance: random.Random, lifetime: float) -> list[int | None]:
    """Commit, killed at most three times before it is left alone; what readers found between."""
    found: list[int | None] = []
    for num_left in range(chance.randint(0, 3), -1, -1):
        process = start(part_writers.commit, prefix)
        if num_left:
            time.sleep(chance.uniform(0, lifetime))
            process.kill()
        process.join()
        found.append(read(prefix))
        if process.exitcode == 0:
            break
        if process.exitcode == part_writers.NO_PARTS:
            # The one before was killed when it had nothing left to do.
            assert missing(prefix) == list(range(NUM_PROCESSES))
            assert len(found) > 1
            assert found[-2] == found[-1]
            break
        assert num_left
        assert process.exitcode == -signal.SIGKILL
    return found


@pytest.mark.slow
def test_writers_and_commits_that_are_killed(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("FASTCKPT_PROCESS_SEED", "7"))
    prefix = str(tmp_path / "ck")
    lifetime = lifetime_of(write_all(prefix, range(NUM_PROCESSES), 0))
    assert read(prefix) is None
    commit_lifetime = lifetime_of([start(part_writers.commit, prefix)])
    assert read(prefix) == 0

    num_incomplete = 0
    for generation in range(1, NUM_ATTEMPTS + 1):
        processes = write_all(prefix, range(NUM_PROCESSES), generation)
        kill_some(processes, chance, lifetime)
        alive = [ended(process) for process in processes]
        assert read(prefix) == generation - 1
        lost = missing(prefix)
        assert not any(alive[rank] for rank in lost)
        if lost:
            num_incomplete += 1
            words = f"{len(lost)} of {NUM_PROCESSES} .*{', '.join(map(str, lost))};"
            words = f"no parts of|{words}"
            with pytest.raises(fastckpt.CheckpointNotFoundError, match=words):
                fastckpt.commit(prefix, num_shards=NUM_PROCESSES)
            assert read(prefix) == generation - 1
            assert all(ended(x) for x in write_all(prefix, lost, generation))

        for found in commit_with_kills(prefix, chance, commit_lifetime):
            assert found in (generation - 1, generation)
        assert read(prefix) == generation
        assert missing(prefix) == list(range(NUM_PROCESSES))
        assert [name for name in os.listdir(tmp_path) if name.endswith(".tmp")] == []
    assert num_incomplete > NUM_ATTEMPTS // 4  # the kills met their mark
