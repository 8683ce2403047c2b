"""Where a slice lies in a partitioned tensor: the arguments of ``add_slice``, checked."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from fastckpt.errors import InvalidArgumentError

__all__ = ["check_shape", "slice_extents"]

# The length of a dimension that a slice takes in full (kFullExtent in src/coding/ordered.h).
_FULL = -1


def check_shape(option: str, value: object, name: str) -> tuple[int, ...]:
    """Give a shape as a tuple; InvalidArgumentError where it is none."""
    try:
        shape = tuple(operator.index(x) for x in value)  # type: ignore[attr-defined]
    except TypeError:
        shape = (-1,)
    if not all(0 <= size < 1 << 63 for size in shape):
        raise InvalidArgumentError(
            f"tensor {name!r}: {option} must be a sequence of sizes, not {value!r}", key=name
        )
    return shape


def slice_extents(
    name: str, shape: tuple[int, ...], full_shape: tuple[int, ...], start: Sequence[int | None]
) -> list[tuple[int, int]]:
    """Give (start, length) along each dimension; the core checks that they fit."""
    begins = _positions(name, start)
    if not len(begins) == len(shape) == len(full_shape):
        raise InvalidArgumentError(
            f"tensor {name!r}: a slice of shape {list(shape)} that starts at {begins} does not "
            f"fit a tensor of shape {list(full_shape)}: their lengths differ",
            key=name,
        )
    extents = []
    for d, begin in enumerate(begins):
        if begin is not None:
            extents.append((begin, shape[d]))
        elif shape[d] == full_shape[d]:
            extents.append((0, _FULL))
        else:
            raise InvalidArgumentError(
                f"tensor {name!r}: start[{d}] is None, but the slice is {shape[d]} long along "
                f"that dimension and the tensor {full_shape[d]}",
                key=name,
            )
    return extents


def _positions(name: str, start: object) -> list[int | None]:
    try:
        found = [None if x is None else operator.index(x) for x in start]  # type: ignore[attr-defined]
    except TypeError:
        found = [-1]
    if any(x is not None and not 0 <= x < 1 << 63 for x in found):
        raise InvalidArgumentError(
            f"tensor {name!r}: start must be a sequence of positions from 0 on, and of None for "
            f"dimensions that are taken in full, not {start!r}",
            key=name,
        )
    return found
