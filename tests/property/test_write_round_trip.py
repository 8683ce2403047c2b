"""What is written reads back: any dtype, memory layout, file layout and number of threads."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastckpt
import oracle

MIB = 1 << 20

# TensorFlow's name -> NumPy's dtype, and the bits of a byte that count.
PLAIN: dict[str, tuple[np.dtype[Any], int]] = {
    **{
        name: (np.dtype(name), 0xFF)
        for name in (
            *("float16", "float32", "float64", "complex64", "complex128"),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        )
    },
    **{
        f"q{name}": (np.dtype(name), 0xFF)
        for name in ("int8", "uint8", "int16", "uint16", "int32")
    },
    **{
        name: (np.dtype(getattr(ml_dtypes, name)), mask)
        for name, mask in (
            *(("bfloat16", 0xFF), ("float8_e5m2", 0xFF), ("float8_e4m3fn", 0xFF)),
            *(("float8_e4m3fnuz", 0xFF), ("float8_e4m3b11fnuz", 0xFF), ("float8_e5m2fnuz", 0xFF)),
            *(("int2", 0x03), ("uint2", 0x03), ("int4", 0x0F), ("uint4", 0x0F)),
            ("float4_e2m1fn", 0x0F),
        )
    },
    "bool": (np.dtype(bool), 0x01),
}  # fmt: skip
BACKENDS: tuple[Any, ...] = ("auto", "mmap", "pread", "direct")

OPTIONS = st.fixed_dictionaries(
    {
        "num_shards": st.integers(1, 5),
        "alignment": st.sampled_from([1, 2, 8, 64, 4096]),
        "block_crcs": st.booleans(),
        "num_threads": st.integers(1, 4),
        "sync": st.just(False),
        "backend": st.sampled_from(["auto", "direct"]),
    }
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: name[0] != "\0"
)


@st.composite
def layouts(draw: st.DrawFn, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same memory seen otherwise: transposed, reversed, sliced, broadcast, byte-swapped."""
    if draw(st.booleans()):
        values = values.transpose(draw(st.permutations(range(values.ndim))))
    if draw(st.booleans()):
        steps = st.sampled_from([-2, -1, 1, 2, 3])
        values = values[(..., *(slice(None, None, draw(steps)) for _ in range(values.ndim)))]
    if draw(st.booleans()):
        values = np.broadcast_to(values, (draw(st.integers(0, 3)), *values.shape))
    if values.dtype.isbuiltin == 1 and draw(st.booleans()):
        values = values.astype(values.dtype.newbyteorder(), order="K")
    return values


@st.composite
def plain_tensors(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], str]:
    name = draw(st.sampled_from(sorted(PLAIN)))
    dtype, mask = PLAIN[name]
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    raw = np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), np.uint8) & mask
    return draw(layouts(raw.view(dtype).reshape(shape))), name


@st.composite
def string_tensors(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], str]:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    values = np.empty(int(np.prod(shape)), object)
    values[:] = [rng.bytes(int(n)) for n in rng.choice([0, 1, 127, 128, 1023, 9000], values.size)]
    return draw(layouts(values.reshape(shape))), "string"


TENSORS = st.dictionaries(NAMES, st.one_of(plain_tensors(), string_tensors()), max_size=7)


def assert_same(found: np.ndarray[Any, Any], given: np.ndarray[Any, Any]) -> None:
    expected = np.ascontiguousarray(given).reshape(given.shape)
    if expected.dtype == object:
        assert found.dtype == object
        assert (found.shape, found.tolist()) == (expected.shape, expected.tolist())
        return
    expected = expected.astype(expected.dtype.newbyteorder("="))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tobytes() == expected.tobytes()


def file_contents(prefix: str) -> dict[str, bytes]:
    folder, base = Path(prefix).parent, Path(prefix).name
    return {path.name.removeprefix(base): path.read_bytes() for path in folder.glob(f"{base}.*")}


@given(TENSORS, OPTIONS)
@settings(max_examples=150)
def test_round_trip(tensors: dict[str, Any], options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prefix = fastckpt.save(f"{folder}/m", tensors, **options)
        assert len(file_contents(prefix)) == 1 + options["num_shards"]
        for backend in BACKENDS:
            with fastckpt.open(prefix, backend=backend) as ckpt:
                assert list(ckpt) == sorted(tensors, key=str.encode)
                assert ckpt.verify().ok
                for name, (values, tf_dtype) in tensors.items():
                    assert ckpt.tensor(name).tf_dtype == tf_dtype
                    assert_same(ckpt[name], values)
                loaded = ckpt.load()
        for name, (values, _) in tensors.items():
            assert_same(loaded[name], values)
        independent = oracle.read_bundle(prefix)
        assert set(independent) == set(tensors)
        for name, (values, _) in tensors.items():
            if values.dtype != object:
                assert independent[name].tobytes() == loaded[name].tobytes()


@given(TENSORS, OPTIONS, st.integers(2, 4), st.data())
@settings(max_examples=60)
def test_threads_and_batches_do_not_show(
    tensors: dict[str, Any], options: dict[str, Any], num_threads: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = options | {"num_threads": 1, "backend": "auto"}
        at_once = fastckpt.save(f"{folder}/a", tensors, **plain)
        threaded = fastckpt.save(f"{folder}/b", tensors, **options | {"num_threads": num_threads})
        with fastckpt.CheckpointWriter(f"{folder}/c", **options) as writer:
            rest = dict(tensors)
            for name in tensors:
                if data.draw(st.booleans()):
                    writer.add_all(rest)
                    break
                writer.add(name, rest.pop(name))
        assert file_contents(at_once) == file_contents(threaded) == file_contents(f"{folder}/c")


# Around the ends of chunks (1 MiB, or 4 MiB past the page cache), and of blocks with a checksum
# of their own (4 MiB).
LARGE_SIZES = st.builds(
    lambda chunks, extra: max(0, chunks * MIB + extra),
    st.sampled_from([0, 1, 4, 5, 8]),
    st.integers(-3, 3),
)


@given(st.lists(st.tuples(LARGE_SIZES, st.booleans()), min_size=1, max_size=4), OPTIONS)
@settings(max_examples=40)
def test_large_tensors(sizes: list[tuple[int, bool]], options: dict[str, Any]) -> None:
    pattern = np.random.default_rng(5).integers(0, 256, 24 * MIB, dtype=np.uint8)
    tensors = {
        f"t{i}": pattern[i : i + 2 * size : 2] if strided else pattern[i : i + size]
        for i, (size, strided) in enumerate(sizes)
    }
    with tempfile.TemporaryDirectory() as folder:
        prefix = fastckpt.save(f"{folder}/m", tensors, **options)
        plain = options | {"num_threads": 1, "backend": "auto"}
        alone = fastckpt.save(f"{folder}/alone", tensors, **plain)
        assert file_contents(prefix) == file_contents(alone)
        with fastckpt.open(prefix) as ckpt:
            assert ckpt.verify().ok
            for name, values in tensors.items():
                assert_same(ckpt[name], values)
                handle = ckpt.tensor(name)
                assert_same(np.asarray(handle[values.size // 2 :]), values[values.size // 2 :])


@given(st.lists(st.integers(0, 60_000), max_size=40), st.integers(1, 8), st.sampled_from([1, 64]))
@settings(max_examples=60)
def test_shards_are_balanced(sizes: list[int], num_shards: int, alignment: int) -> None:
    tensors = {f"t{i}": np.zeros(size, np.uint8) for i, size in enumerate(sizes)}
    with tempfile.TemporaryDirectory() as folder:
        prefix = fastckpt.save(
            f"{folder}/m", tensors, num_shards=num_shards, alignment=alignment, sync=False
        )
        files = [path.stat().st_size for path in Path(folder).glob("m.data-*")]
    assert len(files) == num_shards
    padding = alignment - 1
    total = sum(sizes) + padding * len(sizes)
    assert sum(files) <= total
    assert max(files) <= total / num_shards + max(sizes, default=0) + padding
    assert prefix


# --- partitioned tensors -------------------------------------------------------------------------

Extents = list[tuple[int, int] | None]


@st.composite
def grids(draw: st.DrawFn, shape: tuple[int, ...]) -> list[Extents]:
    """Slices that make up `shape`, in any order, full dimensions spelled either way."""
    axes: list[Extents] = []
    for size in shape:
        cuts = draw(st.sets(st.integers(1, size - 1), max_size=3)) if size > 1 else set()
        edges = [0, *sorted(cuts), size]
        implicit = not cuts and draw(st.booleans())
        axes.append([None] if implicit else [(a, b - a) for a, b in itertools.pairwise(edges)])
    return draw(st.permutations([list(corner) for corner in itertools.product(*axes)]))


@given(plain_tensors(), st.data(), OPTIONS)
@settings(max_examples=150)
def test_partitioned_round_trip(
    tensor: tuple[np.ndarray[Any, Any], str], data: st.DataObject, options: dict[str, Any]
) -> None:
    values, tf_dtype = tensor
    if not values.shape or 0 in values.shape:
        values = np.broadcast_to(
            values.ravel()[:1] if values.size else values.dtype.type(1), (3, 5)
        )
    grid = data.draw(grids(values.shape))
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/m"
        with fastckpt.CheckpointWriter(prefix, **options) as writer:
            for extents in grid:
                region = tuple(slice(None) if e is None else slice(e[0], sum(e)) for e in extents)
                start = [None if e is None else e[0] for e in extents]
                writer.add_slice("p", values[region], values.shape, start, dtype=tf_dtype)
        with fastckpt.open(prefix) as ckpt:
            assert list(ckpt) == ["p"]
            assert len(ckpt.tensor("p").parts) == len(grid)
            assert ckpt.tensor("p").tf_dtype == tf_dtype
            assert_same(ckpt["p"], values)
            assert ckpt.verify().ok


@pytest.mark.parametrize(
    "name", ["\0", "\0a", "a\0", "\x01", "\udc80", "日本語/重み", "x" * 70_000]
)
def test_names(tmp_path: Path, name: str) -> None:
    fastckpt.save(tmp_path / "m", {name: np.int8(1), "other": np.int8(2)})
    assert {n: int(v) for n, v in fastckpt.load(tmp_path / "m").items()} == {name: 1, "other": 2}
