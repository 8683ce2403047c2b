"""A stored tensor in pieces of bounded size, verified, in row-major order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor

__all__ = ["BLOCK_BYTES", "blocks", "whole"]

# Small enough for any memory, large enough that the calls do not show.
BLOCK_BYTES = 16 << 20

Array = NDArray[Any]
Index = tuple[int | slice, ...]


def whole(tensor: StoredTensor) -> Array:
    """Give all of a tensor, verified: a view where there is one, otherwise a copy."""
    return tensor.view() if tensor.can_view else tensor.read()


def blocks(
    checkpoint: Checkpoint, tensor: StoredTensor, max_bytes: int = BLOCK_BYTES
) -> Iterator[Array]:
    """Iterate over the elements of a tensor in row-major order, as flat arrays.

    Notes
    -----
    Memory: `max_bytes` for what has no view. Strings and variants, and tensors of V1 files, whose
    records can only be decoded whole, come in one piece.
    """
    item = tensor.dtype.itemsize
    in_pieces = checkpoint.format == "v2" and not tensor.dtype.hasobject
    if tensor.can_view or not in_pieces or tensor.size * item <= max_bytes:
        flat = whole(tensor).reshape(-1)
        step = max(max_bytes // item, 1) if in_pieces else max(flat.size, 1)
        for start in range(0, flat.size, step):
            yield flat[start : start + step]
        return
    for index in block_indices(tensor.shape, max(max_bytes // item, 1)):
        yield tensor[index].reshape(-1)


def block_indices(shape: tuple[int, ...], max_size: int) -> Iterator[Index]:
    """Cut a shape into regions of at most so many elements, which follow each other in memory."""
    axis = 0
    while axis + 1 < len(shape) and math.prod(shape[axis + 1 :]) > max_size:
        axis += 1
    rows = max(max_size // max(math.prod(shape[axis + 1 :]), 1), 1)
    for outer in itertools.product(*map(range, shape[:axis])):
        for start in range(0, shape[axis], rows):
            yield (*outer, slice(start, min(start + rows, shape[axis])))
