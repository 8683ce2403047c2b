"""Basic indexing: from an index to the positions wanted along each dimension, and to the parts."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from fastckpt.errors import InvalidArgumentError


class Range(NamedTuple):
    """`size` positions from `start` on, `step` >= 1 apart."""

    start: int
    size: int
    step: int


class Selection(NamedTuple):
    """What an index selects.

    Attributes
    ----------
    ranges : tuple of Range
        Wanted positions of every dimension of the tensor.
    finish : tuple
        Basic index that turns an array of those positions into what NumPy would give: integers
        drop their dimension, negative steps reverse theirs, new axes appear.
    """

    ranges: tuple[Range, ...]
    finish: tuple[Any, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Shape of the array of wanted positions."""
        return tuple(r.size for r in self.ranges)


def select(index: Any, shape: tuple[int, ...]) -> Selection:
    """Resolve a basic index (integers, slices, one Ellipsis, None) against a shape.

    Raises
    ------
    IndexError
        Too many indices, or an integer outside its dimension.
    InvalidArgumentError
        Anything that is not basic indexing, such as an array or a list.
    """
    items = index if isinstance(index, tuple) else (index,)
    ranges: list[Range] = []
    finish: list[Any] = []
    for item in _expanded(items, len(shape)):
        if item is None:
            finish.append(None)
        elif isinstance(item, slice):
            wanted, reverses = _slice_range(item, shape[len(ranges)])
            ranges.append(wanted)
            finish.append(slice(None, None, -1 if reverses else None))
        else:
            ranges.append(_integer_range(item, shape[len(ranges)], len(ranges)))
            finish.append(0)
    # With an Ellipsis NumPy gives an array of no dimensions where it would give a scalar.
    if any(item is Ellipsis for item in items):
        finish.append(Ellipsis)
    return Selection(tuple(ranges), tuple(finish))


def intersect(
    wanted: tuple[Range, ...], starts: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[list[Range], list[slice]] | None:
    """Split off what a part holds of the wanted positions.

    Returns
    -------
    (list of Range, list of slice) or None
        Positions inside the part, and where they go in the array of wanted positions; None where
        the part holds none.
    """
    inside: list[Range] = []
    target: list[slice] = []
    for (start, count, step), part_start, part_size in zip(wanted, starts, sizes, strict=True):
        first = max(0, -((start - part_start) // step))
        last = min(count - 1, (part_start + part_size - 1 - start) // step)
        if first > last:
            return None
        inside.append(Range(start + first * step - part_start, last - first + 1, step))
        target.append(slice(first, last + 1))
    return inside, target


def _expanded(items: tuple[Any, ...], ndim: int) -> list[Any]:
    """The index with its Ellipsis, or its missing end, spelt out."""
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    used = len(items) - ellipses - sum(item is None for item in items)
    if used > ndim:
        raise IndexError(f"too many indices: the tensor is {ndim}-dimensional, {used} were given")
    rest = [slice(None)] * (ndim - used)
    expanded: list[Any] = []
    for item in items:
        expanded += rest if item is Ellipsis else [item]
    return expanded if ellipses else expanded + rest


def _slice_range(item: slice, size: int) -> tuple[Range, bool]:
    start, stop, step = item.indices(size)
    count = len(range(start, stop, step))
    if step < 0 < count:
        return Range(start + (count - 1) * step, count, -step), True
    return Range(start if count else 0, count, abs(step)), step < 0


def _integer_range(item: Any, size: int, axis: int) -> Range:
    if isinstance(item, bool | np.bool_):
        raise InvalidArgumentError("boolean indexing is not basic indexing; read the tensor first")
    try:
        position = operator.index(item)
    except TypeError:
        raise InvalidArgumentError(
            "tensors take basic indices (integers, slices, ..., None), not "
            f"{type(item).__name__}; read the tensor first"
        ) from None
    if not -size <= position < size:
        raise IndexError(f"index {position} is out of bounds for axis {axis} with size {size}")
    return Range(position % size, 1, 1)
