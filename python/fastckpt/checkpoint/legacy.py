"""V1 checkpoints behind the face of a bundle."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt._core import LegacyReader
from fastckpt.checkpoint.assembly import bytes_of, empty_array
from fastckpt.checkpoint.legacy_job import LegacyJob
from fastckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    TensorNotFoundError,
    UnsupportedError,
)
from fastckpt.storage import local

Array = NDArray[Any]
Description = tuple[int, tuple[int, ...], int, int | None, int | None, int | None, bool]

# An entry id names a tensor; that of one slice of several has its position, from 1, above that.
_PART_SHIFT = 32
_TENSOR_MASK = (1 << _PART_SHIFT) - 1

# "model-?????-of-00002": the pattern tells how many shards there are.
_SHARDS = re.compile(r"-\?{5,}-of-(\d{5,})\Z")

# More shards than anybody wrote; the number comes from a file name.
_MAX_SHARDS = 100_000


class LegacyBundle:
    """An open V1 checkpoint: one table file, or all that match a pattern.

    It offers what ``_core.BundleReader`` offers, so that the rest of the package need not tell
    formats apart. Values are protobuf numbers, so nothing can be viewed; slices of partitioned
    tensors may lie in several files. The checksum of a block is compared whenever it is read.
    """

    big_endian = False

    def __init__(self, prefix: str, *, skip_damage: bool, num_threads: int) -> None:
        paths, self._missing = _find_files(prefix)
        self._reader = LegacyReader(list(map(os.fsencode, paths)), skip_damage=skip_damage)
        self._files = sorted([*paths, *self._missing])
        self._shards = list(map(self._files.index, paths))
        self.num_threads = num_threads
        self.num_shards = len(self._files)

    # --- what the files say --------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._reader)

    def find(self, name: str) -> int:
        """Entry id of a tensor; TensorNotFoundError when there is none."""
        if not isinstance(name, str):
            raise TypeError(f"a tensor's name is a str, not {type(name).__name__}")
        return self._reader.find(name.encode("utf-8", "surrogateescape"))

    def find_all(self, names: Iterable[str]) -> list[int | None]:
        """Entry id of each of these tensors; None where there is none."""
        return list(map(self._find_or_none, names))

    def ids(self) -> list[int]:
        """Entry ids of all tensors, in name order."""
        return self._reader.ids()

    def stored_ids(self) -> list[int]:
        """Ids of everything that has a record of its own, in file order."""
        found: list[int] = []
        for entry in self._reader.all_ids():
            try:
                found += (part for _, _, part in self._slices(entry))
            except CheckpointError:
                found.append(entry)
        return self.file_order(found)

    def partitioned_ids(self) -> list[int]:
        """Ids of all tensors that are stored as slices."""
        return [entry for entry in self.ids() if self._is_partitioned(entry)]

    def file_order(self, ids: Sequence[int]) -> list[int]:
        """The same ids by file, then by name."""
        return sorted(ids, key=lambda i: (self._shard(i), i & _TENSOR_MASK, i))

    def names(self) -> list[str]:
        """Names of all tensors, sorted bytewise."""
        return self._reader.names()

    def name(self, entry_id: int) -> str:
        """Name of the tensor that an entry belongs to."""
        return self._reader.name(entry_id & _TENSOR_MASK)

    def describe(self, entry_id: int) -> Description:
        """``(DataType number, shape, bytes, shard, None, None, is partitioned)``."""
        tensor, part = _split(entry_id)
        number, shape, _, is_whole = self._reader.describe(tensor)
        size = self.stored_size([entry_id])
        if entry_id != tensor:
            shape = self._reader.part_shape(tensor, part)
        elif not is_whole:
            return number, shape, size, None, None, None, True
        return number, shape, size, self._shard(entry_id), None, None, False

    def types_and_shapes(self, ids: Iterable[int]) -> list[tuple[int, tuple[int, ...]]]:
        """``(DataType number, shape)`` of each of these entries."""
        return [self.describe(entry)[:2] for entry in ids]

    def stored_size(self, ids: Sequence[int]) -> int:
        """Bytes of these entries' elements together, 0 for malformed ones."""
        return sum(map(self._size, ids))

    @property
    def fingerprint(self) -> tuple[int, int]:
        """``(bytes of all files, CRC over their checksums)``: equal for equal content."""
        return self._reader.fingerprint

    @property
    def stored_bytes(self) -> int:
        """Bytes of all tensors' elements."""
        return self.stored_size(self.ids())

    @property
    def bytes_read(self) -> int:
        """Bytes of the blocks that were read for values so far."""
        return self._reader.bytes_read

    def files(self) -> list[str]:
        """Paths of all files, present or not; shard numbers count them."""
        return self._files

    def damage(self) -> list[tuple[CheckpointError, str, str]]:
        """``(error, name before, last possible name)`` of each part that was left out."""
        return self._reader.damage()

    # --- bytes ---------------------------------------------------------------------------------

    def view(self, name: str) -> None:
        """None, as nothing can be viewed; TensorNotFoundError when there is no such tensor."""
        self.find(name)

    def view_of(self, entry_id: int) -> None:
        """None, as nothing can be viewed."""

    def views(self, ids: Sequence[int]) -> list[None]:
        """As :meth:`view_of`, of each."""
        return [None] * len(ids)

    def can_view(self, entry_id: int) -> bool:  # noqa: ARG002
        """Whether :meth:`view_of` gives an array: never."""
        return False

    def check_present(self, entry_id: int) -> None:
        """Raise unless the entry's record is there, intact, and as long as its shape says."""
        self._reader.check_part(*_split(entry_id))

    def ensure_verified(self, entry_id: int) -> None:
        """Nothing: checksums are compared whenever a block is read."""

    def ensure_all_verified(self, ids: Sequence[int]) -> None:
        """Nothing: checksums are compared whenever a block is read."""

    def ensure_regions_verified(self, regions: Iterable[Any]) -> None:
        """Nothing: checksums are compared whenever a block is read."""

    def parts(self, entry_id: int) -> list[tuple[tuple[int, ...], tuple[int, ...], int]]:
        """``(starts, sizes, entry id)`` of each stored slice; an unpartitioned tensor is one."""
        if entry_id >> _PART_SHIFT or not self._is_partitioned(entry_id):
            shape = self.describe(entry_id)[1]
            return [((0,) * len(shape), shape, entry_id)]
        return self._slices(entry_id)

    def read_region(
        self,
        entry_id: int,
        starts: Sequence[int],
        counts: Sequence[int],
        steps: Sequence[int],
        out: Array,
    ) -> int:
        """Copy part of an entry into an ndarray of shape `counts`; returns the bytes decoded."""
        whole = self._array(entry_id)
        triples = zip(starts, counts, steps, strict=True)
        out[...] = whole[tuple(slice(s, s + (n - 1) * step + 1, step) for s, n, step in triples)]
        return whole.nbytes

    def strings(self, entry_id: int) -> list[bytes]:
        """The elements of a string tensor, or of a slice of one, in C order."""
        return self._reader.strings_part(*_split(entry_id))

    def variants(self, entry_id: int) -> Never:
        """Raise: V1 files hold no variants."""
        raise self._no_form(entry_id, "variants")

    def stored(self, entry_id: int) -> Never:
        """Raise: stored bytes are protobuf records, not values."""
        raise self._no_form(entry_id, "raw bytes")

    def load(
        self,
        ids: Sequence[int],
        *,
        num_threads: int | None = None,  # noqa: ARG002
        in_background: bool = False,  # noqa: ARG002
    ) -> LegacyJob:
        """Prepare reading tensors into fresh arrays; None for strings and partitioned ones."""
        return LegacyJob(self, ids, self._fresh)

    def load_into(
        self,
        ids: Sequence[int],
        buffers: Sequence[NDArray[np.uint8]],
        *,
        num_threads: int | None = None,  # noqa: ARG002
    ) -> LegacyJob:
        """Prepare reading entries into writable buffers of exactly their size."""
        left = iter(buffers)

        def fill(entry: int) -> None:
            self._reader.read_part(*_split(entry), next(left))

        return LegacyJob(self, ids, fill)

    def check(
        self,
        ids: Sequence[int],
        *,
        num_threads: int | None = None,  # noqa: ARG002
        keep_going: bool = False,
    ) -> LegacyJob:
        """Prepare reading entries' records and checking them."""
        return LegacyJob(self, ids, self.check_present, keep_going=keep_going)

    def check_files(self) -> list[CheckpointError]:
        """Errors in what reading does not need, uncovered tensors, and shards that are missing."""
        return self._reader.check_files() + [
            CheckpointNotFoundError(f"shard {path!r} is missing; its tensors are lost", path=path)
            for path in self._missing
        ]

    def release(self) -> None:
        """Let go of memory that only the next read would need."""
        self._reader.release()

    # --- helpers -------------------------------------------------------------------------------

    def _find_or_none(self, name: str) -> int | None:
        try:
            return self.find(name)
        except TensorNotFoundError:
            return None

    def _is_partitioned(self, tensor: int) -> bool:
        try:
            return not self._reader.describe(tensor)[3]
        except CheckpointError:
            return False

    def _slices(self, tensor: int) -> list[tuple[tuple[int, ...], tuple[int, ...], int]]:
        parts = self._reader.parts(tensor)
        if not self._is_partitioned(tensor):
            return [(*parts[0], tensor)]
        return [
            (starts, sizes, position << _PART_SHIFT | tensor)
            for position, (starts, sizes) in enumerate(parts, start=1)
        ]

    def _shard(self, entry_id: int) -> int:
        tensor, part = _split(entry_id)
        try:
            if part < self._reader.describe(tensor)[2]:
                return self._shards[self._reader.part_file(tensor, part)]
        except CheckpointError:
            pass  # Reading the tensor reports it.
        return 0

    def _size(self, entry_id: int) -> int:
        tensor, part = _split(entry_id)
        try:
            if entry_id >> _PART_SHIFT:
                return self._reader.part_size(tensor, part)
            count = self._reader.describe(tensor)[2]
            return sum(self._reader.part_size(tensor, i) for i in range(count))
        except CheckpointError:
            return 0

    def _fresh(self, entry_id: int) -> Array | None:
        if self._is_partitioned(entry_id) or self.describe(entry_id)[0] == dtypes.STRING:
            return None
        return self._array(entry_id)

    def _array(self, entry_id: int) -> Array:
        # Before memory is taken for it: a shape may claim anything.
        self.check_present(entry_id)
        number, shape = self.describe(entry_id)[:2]
        array = empty_array(shape, dtypes.numpy_dtype(number))
        if math.prod(shape):
            self._reader.read_part(*_split(entry_id), bytes_of(array))
        return array

    def _no_form(self, entry_id: int, what: str) -> UnsupportedError:
        name = self.name(entry_id)
        return UnsupportedError(f"tensor {name!r}: V1 checkpoints have no {what}", key=name)


def _split(entry_id: int) -> tuple[int, int]:
    """Tensor id and position of the slice; a tensor stands for its first."""
    return entry_id & _TENSOR_MASK, max((entry_id >> _PART_SHIFT) - 1, 0)


def _find_files(prefix: str) -> tuple[list[str], list[str]]:
    """Paths that are there, and shards that the pattern announces and that are not."""
    if local.file_size(prefix) is not None or not local.is_pattern(prefix):
        return [prefix], []
    paths = local.matches(prefix)
    if not paths:
        raise CheckpointNotFoundError(f"no file matches the pattern {prefix!r}", path=prefix)
    match = _SHARDS.search(prefix)
    count = int(match[1]) if match and int(match[1]) <= _MAX_SHARDS else 0
    start = prefix[: match.start()] if match else ""
    shards = (f"{start}-{i:05d}-of-{count:05d}" for i in range(count))
    return paths, sorted(set(shards).difference(paths))
