"""What each of the processes does that write one checkpoint together."""

from __future__ import annotations

import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

import fastckpt

NUM_PROCESSES = 4
NO_PARTS = 77
_ROWS = 64
_COLUMNS = 2048

# Children of a server that has everything imported and no threads: real processes, at once.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["numpy", "fastckpt.checkpoint.writer", "faults.part_writers"])


def write_part(prefix: str, rank: int, generation: int) -> None:
    """Write tensors that all hold the number of the generation."""
    rows = np.full((_ROWS, _COLUMNS), generation, np.float32)
    with fastckpt.CheckpointWriter(
        prefix, shard=rank, num_shards=NUM_PROCESSES, num_threads=2
    ) as writer:
        writer.add(f"own{rank}", np.full(1000, generation))
        writer.add_slice("rows", rows, (_ROWS * NUM_PROCESSES, _COLUMNS), (_ROWS * rank, 0))
        writer.add_all((f"small{rank}/{i:03d}", np.int64(generation)) for i in range(100))


def commit(prefix: str) -> None:
    """Make the parts visible; exits with NO_PARTS where there are none."""
    try:
        fastckpt.commit(prefix, num_shards=NUM_PROCESSES)
    except fastckpt.CheckpointNotFoundError as error:
        sys.exit(NO_PARTS if "no parts" in str(error) else str(error))


def start(work: Any, *arguments: object) -> BaseProcess:
    """Run a function of this module in a process of its own."""
    process = _CONTEXT.Process(target=work, args=arguments)
    process.start()
    return process


def read(prefix: str) -> int | None:
    """Give the generation that a reader finds, whole; None where there is no checkpoint."""
    try:
        checkpoint = fastckpt.open(prefix, verify="eager")
    except fastckpt.CheckpointNotFoundError:
        return None
    with checkpoint:
        tensors = checkpoint.load()
    assert len(tensors) == NUM_PROCESSES * 101 + 1
    assert tensors["rows"].shape == (_ROWS * NUM_PROCESSES, _COLUMNS)
    generations = {int(value) for array in tensors.values() for value in np.unique(array)}
    assert len(generations) == 1, f"a mix of {sorted(generations)}"
    return generations.pop()
