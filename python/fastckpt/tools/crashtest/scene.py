"""What is saved: two checkpoints of the same names, and the cases they are saved in."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from fastckpt import dtypes, names
from fastckpt._core import BundleWriter, TracedFiles
from fastckpt.checkpoint.inputs import NATIVE_NUMBERS, check_name, prepare

__all__ = ["Case", "Generation", "companion", "files_of", "save", "tensors"]

# The values that are there before, those that the save under test writes, and those of a save
# after it.
Generation = Literal["old", "new", "next"]

# Folder and base name of the checkpoint, below the folder of a case.
_PREFIX = os.path.join("run", "ckpt")

_COMPANION_SUFFIX = ".meta"

# A first sector that is the same in both, and a size that is no multiple of one.
_COMPANION_BYTES = 1500

# Elements of float32: several chunks and two blocks of checksums, several chunks, and small ones.
_LARGE = {"large": 1_120_000, "medium": 330_000}
_NUM_SMALL = 22

_NUMBERS = NATIVE_NUMBERS | {np.dtype(bool): dtypes.number_of("bool")}


class Case(NamedTuple):
    """One way to save: into how many shards, and over another checkpoint or not."""

    num_shards: int
    overwrite: bool

    @property
    def before(self) -> str:
        """What a reader finds before the save."""
        return "old" if self.overwrite else "absent"

    def prefix(self, folder: Path) -> str:
        """Where the checkpoint of this case is saved; its folder exists when it overwrites."""
        return str(folder / _PREFIX)

    def prepare(self, folder: Path) -> None:
        """Save what is there before."""
        if self.overwrite:
            save(self.prefix(folder), "old", self.num_shards, sync=True)


@functools.cache
def tensors(generation: Generation) -> Mapping[str, Any]:
    """Give the tensors of a checkpoint, in their order."""
    random = np.random.default_rng(get_args(Generation).index(generation))
    found: dict[str, Any] = {
        name: random.standard_normal(size, np.float32) for name, size in _LARGE.items()
    }
    for i in range(_NUM_SMALL):
        rows = int(1 + 97 * i % 60)
        found[f"layer_{i:02d}/kernel"] = random.standard_normal((rows, 50 + i))
    found["step"] = np.int64(random.integers(1 << 40))
    found["names"] = [f"{generation} {i} " + "x" * (i % 50) for i in range(100)]
    return MappingProxyType(found)


def companion(generation: Generation) -> bytes:
    """Give the content of the file that is saved beside a checkpoint."""
    return generation.encode().rjust(_COMPANION_BYTES, b".")


def save(
    prefix: str,
    generation: Generation,
    num_shards: int,
    *,
    sync: bool,
    files: TracedFiles | None = None,
) -> None:
    """Save a checkpoint and its companion as ``CheckpointWriter`` does, through these files."""
    writer = BundleWriter(
        os.fsencode(prefix),
        num_shards=num_shards,
        alignment=64,
        block_crcs=True,
        sync=sync,
        complete_slices=True,
        num_threads=2,
        numbers=_NUMBERS,
        prepare=prepare,
        check_name=check_name,
        files=files,
    )
    try:
        writer.add_all(tensors(generation).items(), None)
        writer.add_companion(_COMPANION_SUFFIX, companion(generation))
        writer.commit()
    except BaseException:
        writer.abort()
        raise


def files_of(prefix: str, num_shards: int) -> set[str]:
    """Name the files that a checkpoint has, and no more."""
    data = {names.data_file(prefix, shard, num_shards) for shard in range(num_shards)}
    return {names.index_file(prefix), names.meta_file(prefix), *data}
