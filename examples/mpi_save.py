"""Write one checkpoint from all ranks of an MPI job.

    mpiexec -n 4 python examples/mpi_save.py models/ckpt-1

Needs mpi4py, and a file system that all ranks share.
"""

from __future__ import annotations

import sys

import numpy as np

import fastckpt

try:
    from mpi4py import MPI
except ImportError:
    sys.exit("this example needs mpi4py and an MPI library: pip install mpi4py")

ROWS_PER_RANK, COLUMNS = 25_000, 16


def main() -> None:
    """Write a part in each rank; commit in rank 0."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: mpiexec -n 4 python {sys.argv[0]} PREFIX")
    prefix = sys.argv[1]
    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()

    rows = np.full((ROWS_PER_RANK, COLUMNS), rank, np.float32)
    shape = (ROWS_PER_RANK * size, COLUMNS)
    failure = None
    try:
        with fastckpt.CheckpointWriter(prefix, shard=rank, num_shards=size) as writer:
            writer.add_slice("table", rows, shape, (ROWS_PER_RANK * rank, 0))
            writer.add(f"rank{rank}/seed", np.int64(rank))
    except fastckpt.CheckpointError as error:
        failure = str(error)

    # All writers are closed when this returns, and every rank knows whether one of them failed:
    # a rank that raised before it would leave the others waiting for ever.
    failures = [x for x in world.allgather(failure) if x is not None]
    if failures:
        sys.exit(f"nothing was saved; rank {rank} saw: {failures[0]}")

    if rank == 0:
        try:
            fastckpt.commit(prefix, num_shards=size)
        except fastckpt.CheckpointError as error:
            failure = str(error)
    # Nobody goes on, to the next save for instance, before the commit.
    failure = world.bcast(failure, root=0)
    if failure is not None:
        sys.exit(f"nothing was saved; the commit said: {failure}")
    if rank == 0:
        with fastckpt.open(prefix) as checkpoint:
            print(f"{prefix}: {checkpoint.num_shards} shards, {checkpoint.nbytes} bytes")


if __name__ == "__main__":
    main()
