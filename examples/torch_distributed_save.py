"""Write one checkpoint from all ranks of a torch.distributed job.

    torchrun --nproc-per-node 4 examples/torch_distributed_save.py models/ckpt-1

Needs PyTorch; the gloo backend, so that it runs without GPUs; and a file system that all ranks
share.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

import fastckpt

try:
    import torch
    import torch.distributed as dist
except ImportError:
    sys.exit("this example needs PyTorch: pip install torch")

ROWS_PER_RANK, COLUMNS = 25_000, 16


def agree(failure: str | None, world_size: int) -> None:
    """Wait for all ranks, and leave when one of them failed."""
    failures: list[Any] = [None] * world_size
    dist.all_gather_object(failures, failure)
    found = [x for x in failures if x is not None]
    if found:
        raise SystemExit(f"nothing was saved: {found[0]}")


def save(prefix: str, table: torch.Tensor, step: int) -> None:
    """Write the rows of this rank; commit in rank 0."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    shape = (ROWS_PER_RANK * world_size, COLUMNS)
    failure = None
    try:
        with fastckpt.CheckpointWriter(prefix, shard=rank, num_shards=world_size) as writer:
            # DLPack: the tensor's own memory is written, without a copy. GPUs: table.cpu() first.
            writer.add_slice("table", table, shape, (ROWS_PER_RANK * rank, 0))
            if rank == 0:
                writer.add("step", np.int64(step))
    except fastckpt.CheckpointError as error:
        failure = str(error)
    agree(failure, world_size)  # all writers are closed

    if rank == 0:
        try:
            fastckpt.commit(prefix, num_shards=world_size)
        except fastckpt.CheckpointError as error:
            failure = str(error)
    agree(failure, world_size)  # and the checkpoint is there for everybody


def main() -> None:
    """Save a table of which each rank has some rows."""
    if len(sys.argv) != 2 or "RANK" not in os.environ:
        sys.exit(f"usage: torchrun --nproc-per-node 4 {sys.argv[0]} PREFIX")
    dist.init_process_group("gloo")
    try:
        rank = dist.get_rank()
        save(sys.argv[1], torch.full((ROWS_PER_RANK, COLUMNS), float(rank)), step=1)
        if rank == 0:
            with fastckpt.open(sys.argv[1]) as checkpoint:
                print(f"{sys.argv[1]}: {checkpoint.num_shards} shards, {checkpoint.nbytes} bytes")
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
