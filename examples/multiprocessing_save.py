"""Write one checkpoint from several processes, with nothing but the standard library.

    python examples/multiprocessing_save.py models/ckpt-1 --processes 4

Each process holds some rows of one big table and a tensor of its own, and writes them on its own.
Nothing is visible until the parent commits: a reader finds the whole checkpoint, or the one
before.
"""

from __future__ import annotations

import argparse
from multiprocessing import get_context

import numpy as np

import fastckpt

ROWS, COLUMNS = 100_000, 16


def rows_of(rank: int, num_processes: int) -> tuple[int, int]:
    """First row of a process, and the first of the next one."""
    return rank * ROWS // num_processes, (rank + 1) * ROWS // num_processes


def write_part(prefix: str, rank: int, num_processes: int) -> None:
    """Write what this process holds."""
    begin, end = rows_of(rank, num_processes)
    rows = np.arange(begin * COLUMNS, end * COLUMNS, dtype=np.float32).reshape(-1, COLUMNS)
    with fastckpt.CheckpointWriter(prefix, shard=rank, num_shards=num_processes) as writer:
        writer.add_slice("table", rows, (ROWS, COLUMNS), (begin, 0))
        writer.add(f"worker{rank}/steps", np.int64(1000 + rank))


def main() -> None:
    """Start the processes, wait for them, commit, and read the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("prefix", help="where the checkpoint shall be, such as models/ckpt-1")
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()

    # "spawn" starts clean interpreters: a fork of a process with threads is asking for trouble.
    context = get_context("spawn")
    arguments = [(options.prefix, rank, options.processes) for rank in range(options.processes)]
    processes = [context.Process(target=write_part, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    # A process that died has left no part, and the commit would name it.
    fastckpt.commit(options.prefix, num_shards=options.processes)

    with fastckpt.open(options.prefix) as checkpoint:
        print(f"{checkpoint.prefix}: {len(checkpoint)} tensors in {checkpoint.num_shards} shards")
        print("row 1 of the table begins with", checkpoint.tensor("table")[1, :3].tolist())


if __name__ == "__main__":
    main()
