"""All tensors of a checkpoint at once, in the forms in which TensorFlow lists them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastckpt import dtypes
from fastckpt._core import describe_all, names_and_shapes
from fastckpt.checkpoint.reader import Checkpoint

__all__ = ["Row", "list_rows", "list_shapes", "list_stored"]


class Row(NamedTuple):
    """What the index says of one tensor.

    `shard`, `offset` and `crc32c` are None where the tensor is partitioned; V1 files have no
    offsets and checksums of tensors.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    shard: int | None
    offset: int | None
    crc32c: int | None


def list_rows(checkpoint: Checkpoint) -> Iterator[Row]:
    """List what the index says of every tensor, sorted by name, malformed entries left out.

    Notes
    -----
    About 0.6 us a tensor, a third of what handles cost.
    """
    if checkpoint.format != "v2":
        for x in checkpoint.tensors():
            yield Row(x.name, x.tf_dtype, x.shape, x.nbytes, x.shard, x.offset, x.crc32c)
        return
    names = {number: dtypes.tf_name(number) for number in dtypes.NUMBERS}
    for name, description in describe_all(checkpoint.bundle):
        if description is not None:
            yield Row(name, names[description[0]], *description[1:6])


def list_shapes(checkpoint: Checkpoint) -> list[tuple[str, list[int]]]:
    """List name and full shape of every tensor, sorted by name.

    Notes
    -----
    About 0.3 us a tensor.
    """
    if checkpoint.format != "v2":
        return [(handle.name, [*handle.shape]) for handle in checkpoint.tensors()]
    return names_and_shapes(checkpoint.bundle, as_lists=True)


def list_stored(checkpoint: Checkpoint) -> list[tuple[bytes, str, tuple[int, ...]]]:
    """List stored key, dtype (such as ``"DT_FLOAT"``) and shape of all that has bytes, by key.

    A tensor's key is its name. In a V2 checkpoint a partitioned tensor is listed by its slices,
    whose keys are binary and sort first (docs/format.md, "slice keys").
    """
    if checkpoint.format != "v2":
        return [
            (_as_key(handle.name), _enum_name(handle.tf_dtype), handle.shape)
            for handle in checkpoint.tensors()
        ]
    bundle = checkpoint.bundle
    rows = []
    for entry in {*bundle.ids(), *bundle.stored_ids()}:
        number, shape, *_, is_partitioned = bundle.describe(entry)
        if not is_partitioned:
            rows.append((_as_key(bundle.key(entry)), dtypes.enum_name(number), shape))
    return sorted(rows)


def _as_key(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _enum_name(tf_dtype: str) -> str:
    return dtypes.enum_name(dtypes.number_of(tf_dtype))
