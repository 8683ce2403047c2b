"""Basic indices resolve as NumPy resolves them, on whole and on partitioned tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastckpt
from fastckpt.checkpoint.region import intersect, select

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7)


@st.composite
def shapes_and_indices(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    shape = draw(SHAPES)
    return shape, draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))


@given(shapes_and_indices())
def test_selection_equals_numpy(case: tuple[tuple[int, ...], Any]) -> None:
    shape, index = case
    whole = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    selection = select(index, shape)
    wanted = whole[tuple(slice(s, s + (n - 1) * step + 1 if n else s, step)
                         for s, n, step in selection.ranges)]  # fmt: skip
    assert wanted.shape == selection.counts
    np.testing.assert_array_equal(wanted[selection.finish], whole[index])


@given(shapes_and_indices(), st.data())
def test_intersections_put_the_selection_together(
    case: tuple[tuple[int, ...], Any], data: st.DataObject
) -> None:
    shape, index = case
    whole = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    selection = select(index, shape)
    out = np.full(selection.counts, -1)
    cuts = [data.draw(st.integers(0, size)) for size in shape]
    for corner in np.ndindex(*(2,) * len(shape)):
        starts = tuple(cut if side else 0 for cut, side in zip(cuts, corner, strict=True))
        stops = tuple(
            size if side else cut for size, cut, side in zip(shape, cuts, corner, strict=True)
        )
        sizes = tuple(stop - start for start, stop in zip(starts, stops, strict=True))
        found = intersect(selection.ranges, starts, sizes)
        if found is None or 0 in sizes:
            continue
        part = whole[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))]
        inside, target = found
        out[tuple(target)] = part[
            tuple(slice(s, s + (n - 1) * step + 1, step) for s, n, step in inside)
        ]
    np.testing.assert_array_equal(out[selection.finish], whole[index])


@pytest.mark.parametrize("index", [4, -5, (0, 0, 0), (..., ...), (0, 3)])
def test_out_of_bounds_is_an_index_error(index: Any) -> None:
    with pytest.raises(IndexError):
        select(index, (4, 3))
    with pytest.raises(IndexError):
        np.zeros((4, 3))[index]


@pytest.mark.parametrize("index", [True, np.True_, [0], np.array([0, 1]), "w", 1.0, (0, [1])])
def test_other_than_basic_indices_are_refused(index: Any) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError):
        select(index, (4, 3))
