"""The stored slices of a tensor, and how they spell their places.

TensorFlow tells a dimension that a slice takes in full from one that it covers by start and
length, and finds the slices of some dtypes only by the very spelling. A rewritten checkpoint
therefore keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastckpt.checkpoint.assembly import MISSING, Part, find_parts, missing_slice
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor

__all__ = ["Place", "spelled_starts", "stored_slices"]

# Where a slice begins along each dimension; None where it takes the dimension in full.
Place = tuple[int | None, ...]

# A dimension taken in full: start 0, length -1, in the signed numbers of slice keys.
_FULL = b"\x80\x7f"


def stored_slices(
    checkpoint: Checkpoint, tensor: StoredTensor
) -> Iterator[tuple[Part, Place, StoredTensor]]:
    """Iterate over the slices of a partitioned tensor: the place, its spelling, and a handle.

    Raises
    ------
    TensorNotFoundError
        The index lacks a slice that the tensor lists.
    """
    bundle = checkpoint.bundle  # slices have no names to be asked for by
    name = tensor.name.encode("utf-8", "surrogateescape")
    for part in find_parts(bundle, tensor.id):
        if part.id == MISSING:
            raise missing_slice(tensor.name)
        if checkpoint.format == "v1":
            place = _usual_spelling(part, tensor.shape)
        else:
            key = bundle.key(part.id).encode("utf-8", "surrogateescape")
            place = spelled_starts(key, name, part.starts, part.sizes)
        yield part, place, StoredTensor(bundle, part.id, tensor.name)


def spelled_starts(
    key: bytes, name: bytes, starts: tuple[int, ...], sizes: tuple[int, ...]
) -> Place:
    """Give the starts of a slice, None for each dimension that its key takes in full.

    Parameters
    ----------
    key : bytes
        Stored key of the slice (docs/format.md, "slice keys").
    name : bytes
        The tensor's.
    starts, sizes : tuple of int
        Its place, which leaves open how a dimension is spelled.
    """
    found: list[int | None] = []
    at = _head_size(name, len(starts))
    for start, size in zip(starts, sizes, strict=True):
        is_full = key.startswith(_FULL, at)
        found.append(None if is_full else start)
        at += len(_FULL) if is_full else _signed_size(start) + _signed_size(size)
    return tuple(found)


def _usual_spelling(part: Part, shape: tuple[int, ...]) -> Place:
    """Spell a place as partitioners do: what is covered is taken in full."""
    return tuple(
        None if size == full else start
        for start, size, full in zip(part.starts, part.sizes, shape, strict=True)
    )


def _head_size(name: bytes, rank: int) -> int:
    """Bytes before the extents: a zero, the escaped name with its end, the rank."""
    escaped = len(name) + name.count(0) + name.count(0xFF)
    return 1 + escaped + 2 + (2 if rank else 1)


def _signed_size(value: int) -> int:
    """Bytes that a number from 0 on takes: seven bits each, one of all of them for the sign."""
    return value.bit_length() // 7 + 1
