"""Any basic index of any stored tensor, partitioned or not, equals NumPy's on the whole."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastckpt
import oracle

NAMES = ["f4", "f8", "i4", "u1", "i2", "i1", "c8", "i8", "?", "u2", "c16", "f2", "u4", "u8"]
SMALL = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4]
DTYPES = [np.dtype(kind) for kind in (*NAMES, *SMALL, object)]


@st.composite
def partitions(draw: st.DrawFn, shape: tuple[int, ...]) -> list[list[tuple[int, int] | None]]:
    """A grid of slices that covers `shape`: uneven, on any axes, some extents left implicit."""
    axes = []
    for size in shape:
        cuts = sorted(draw(st.sets(st.integers(1, max(1, size - 1)), max_size=3))) if size else []
        edges = [0, *[cut for cut in cuts if cut < size], size]
        extents: list[tuple[int, int] | None] = [(a, b - a) for a, b in itertools.pairwise(edges)]
        axes.append([None] if len(extents) == 1 and draw(st.booleans()) else extents)
    grid = [
        [axis[i] for axis, i in zip(axes, corner, strict=True)]
        for corner in np.ndindex(*(len(axis) for axis in axes))
    ]
    return draw(st.permutations(grid))


@st.composite
def stored_tensors(
    draw: st.DrawFn,
) -> tuple[np.ndarray, list[list[tuple[int, int] | None]] | None]:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    count = int(np.prod(shape, dtype=int))
    if dtype.hasobject:
        values = np.empty(count, object)
        values[:] = [bytes([i % 251]) * (i % 5) for i in range(count)]
    elif dtype.kind == "b":
        values = np.arange(count) % 3 == 0
    else:
        values = (np.arange(count) % 7).astype(dtype)
    if not shape or 0 in shape or draw(st.booleans()):
        return values.reshape(shape), None
    return values.reshape(shape), draw(partitions(shape))


def cut(values: np.ndarray, spec: list[tuple[int, int] | None]) -> np.ndarray:
    return values[tuple(slice(None) if e is None else slice(e[0], e[0] + e[1]) for e in spec)]


def written(
    folder: str, values: np.ndarray, grid: list[list[tuple[int, int] | None]] | None, **how: Any
) -> str:
    stored: Any = values
    if grid is not None and len(grid) > 1:
        stored = oracle.Slices(values.shape, [(spec, cut(values, spec)) for spec in grid])
    prefix = str(Path(folder) / "m.ckpt")
    oracle.write_bundle(prefix, {"first": np.arange(3, dtype=np.int8), "x": stored}, **how)
    return prefix


@given(
    stored_tensors(),
    st.data(),
    st.sampled_from(["little", "big"]),
    st.sampled_from(["mmap", "pread", "direct"]),
    st.sampled_from(["lazy", "off"]),
    st.integers(1, 3),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_basic_index(
    tensor: tuple[np.ndarray, list[list[tuple[int, int] | None]] | None],
    data: st.DataObject,
    byte_order: Any,
    backend: Any,
    verify: Any,
    num_shards: int,
) -> None:
    values, grid = tensor
    with tempfile.TemporaryDirectory() as folder:
        prefix = written(folder, values, grid, byte_order=byte_order, num_shards=num_shards)
        with fastckpt.open(prefix, backend=backend, verify=verify) as ckpt:
            handle = ckpt.tensor("x")
            assert (handle.shape, handle.dtype) == (values.shape, values.dtype)
            assert_same(handle.read(), values)
            assert_same(ckpt["x"], values)
            assert_same(ckpt.load()["x"], values)
            assert ckpt.verify().ok
            for _ in range(3):
                index = data.draw(hnp.basic_indices(values.shape, allow_newaxis=True))
                part = handle[index]
                expected = values[index]
                assert type(part) is type(expected)
                assert_same(np.asarray(part), np.asarray(expected))


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if found.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("backend", ["mmap", "pread", "direct"])
@pytest.mark.parametrize(
    ("index", "bound"),
    [
        (np.s_[5], 1),  # times the bytes wanted
        (np.s_[2:9], 1),
        (np.s_[:, 3], 1),
        (np.s_[::100], 1),
        (np.s_[:, ::2], 2),
        (np.s_[3:5, 7:9], 1),
        (np.s_[1::3, 4:2000:5], 5),
        (np.s_[...], 1),
    ],
)
def test_bytes_read_are_bounded(tmp_path: Path, backend: Any, index: Any, bound: int) -> None:
    # Rows of 80 kB: gaps between rows are larger than what is read over.
    values = np.arange(200 * 20_000, dtype=np.float32).reshape(200, 20_000)
    prefix = written(str(tmp_path), values, None)
    with fastckpt.open(prefix, backend=backend, verify="off") as ckpt:
        handle = ckpt.tensor("x")
        wanted = values[index]
        before = ckpt.bytes_read
        assert_same(np.asarray(handle[index]), np.asarray(wanted))
        touched = ckpt.bytes_read - before
    assert wanted.nbytes <= touched
    assert touched <= wanted.nbytes * (1 if backend == "mmap" else bound)


def test_partial_reads_of_slices_leave_the_others_alone(tmp_path: Path) -> None:
    values = np.arange(12 * 1000, dtype=np.int64).reshape(12, 1000)
    grid: list[list[tuple[int, int] | None]] = [[(i, 3), None] for i in range(0, 12, 3)]
    prefix = written(str(tmp_path), values, grid)
    with fastckpt.open(prefix) as ckpt:
        handle = ckpt.tensor("x")
        victim = handle.parts[2]
        assert (victim.start, victim.shape, victim.nbytes) == ((6, 0), (3, 1000), 24_000)
        assert handle.nbytes == values.nbytes
        assert victim.offset is not None
        with Path(ckpt.files[1]).open("r+b") as shard:
            shard.seek(victim.offset)
            shard.write(b"\xff")
        assert_same(handle[:6], values[:6])
        assert_same(handle[9:], values[9:])
        with pytest.raises(fastckpt.DataLossError):
            handle[5:7]
        with pytest.raises(fastckpt.DataLossError):
            handle.read()
        assert [failure.name for failure in ckpt.verify(["first"]).failures] == []
        assert len(ckpt.verify(["x"]).failures) == 1
