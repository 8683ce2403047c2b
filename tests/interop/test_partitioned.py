"""Partitioned tensors as TensorFlow writes them: whole, in parts, and what it refuses itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
import oracle

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf
from tensorflow.python.training import py_checkpoint_reader

from interop import partitions
from interop.partitions import LAYOUTS, assert_same, save_slices

pytestmark = pytest.mark.tf

NUM_SHARDS = (1, 2)
BACKENDS: tuple[Any, ...] = ("mmap", "pread", "direct")

# Basic indices for tensors of three dimensions; the first one, two or none of each for others.
INDICES: list[tuple[Any, ...]] = [
    (0,),
    (-1, -1, -1),
    (slice(1, 4),),
    (slice(None), 3),
    (slice(None), slice(2, 5), slice(1, None)),
    (slice(None, None, 2), slice(None, None, 3), slice(None, None, -1)),
    (slice(None, None, -1), slice(-1, 0, -2)),
    (..., 0),
    (slice(1, 1),),
    (slice(3, None), None, slice(6, None)),
    (slice(4, 0, -3), slice(6, 7), 2),
]


@pytest.fixture(scope="session", params=NUM_SHARDS, ids=lambda n: f"{n}-shards")
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint with every dtype in every layout."""
    prefix = tmp_path_factory.mktemp("partitioned") / "parts.ckpt"
    partitions.write(prefix, request.param)
    return prefix


# --- whole ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", partitions.DTYPES)
def test_whole(stored: Path, dtype: str) -> None:
    with fastckpt.open(stored) as ckpt:
        for layout in LAYOUTS:
            name = f"{dtype}/{layout}"
            expected = partitions.values_of(dtype, layout)
            handle = ckpt.tensor(name)
            assert (handle.tf_dtype, handle.shape) == (dtype, expected.shape)
            assert_same(handle.read(), expected)
            assert_same(np.asarray(handle), expected)
            assert_same(ckpt[name], expected)
            assert not ckpt[name].flags.writeable
            assert handle.read().flags.writeable
            assert not handle.can_view
            with pytest.raises(fastckpt.UnsupportedError):
                handle.view()


@pytest.mark.parametrize("dtype", partitions.DTYPES)
def test_whole_into_other_arrays(stored: Path, dtype: str) -> None:
    with fastckpt.open(stored, verify="off", backend="pread") as ckpt:
        for layout in LAYOUTS:
            expected = partitions.values_of(dtype, layout)
            plain = np.zeros(expected.shape, expected.dtype)
            fortran = np.zeros(expected.shape, expected.dtype, order="F")
            assert ckpt.tensor(f"{dtype}/{layout}").read(plain) is plain
            ckpt.load_into({f"{dtype}/{layout}": fortran})
            assert_same(plain, expected)
            assert_same(fortran, expected)


@pytest.mark.parametrize("dtype", sorted(partitions.ASSEMBLED_BY_TENSORFLOW))
def test_whole_equals_tensorflows(stored: Path, dtype: str) -> None:
    with fastckpt.open(stored) as ckpt:
        for layout in LAYOUTS:
            theirs = partitions.restore(stored, f"{dtype}/{layout}", "", dtype)
            assert ckpt[f"{dtype}/{layout}"].tobytes() == theirs.tobytes()


@pytest.mark.parametrize(
    "dtype", sorted(set(partitions.DTYPES) - partitions.ASSEMBLED_BY_TENSORFLOW)
)
def test_tensorflow_reads_single_slices_of_other_types(stored: Path, dtype: str) -> None:
    name, layout = f"{dtype}/two_axes", LAYOUTS["two_axes"]
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)):
        partitions.restore(stored, name, "", dtype)
    with fastckpt.open(stored) as ckpt:
        for spec in layout.specs:
            theirs = partitions.restore(
                stored, name, partitions.spec_text(layout.shape, spec), dtype
            )
            ours = ckpt.tensor(name)[partitions.region(spec)]
            assert ours.shape == theirs.shape
            assert ours.tolist() == theirs.tolist() or ours.tobytes() == theirs.tobytes()


def test_bulk_reads(stored: Path) -> None:
    with fastckpt.open(stored) as ckpt:
        report = ckpt.verify()
        assert report.ok
        assert report.tensors == len(ckpt) == len(partitions.DTYPES) * len(LAYOUTS)
        loaded, streamed = ckpt.load(), dict(ckpt.stream(prefetch_bytes=1 << 16))
        assert set(loaded) == set(streamed) == set(ckpt)
        for name in ckpt:
            expected = partitions.values_of(*name.split("/"))
            assert_same(loaded[name], expected)
            assert_same(streamed[name], expected)
    with fastckpt.open(stored, verify="eager"):
        pass


def test_slice_keys_are_hidden(stored: Path) -> None:
    reader = py_checkpoint_reader.NewCheckpointReader(str(stored))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    _, entries = oracle.read_entries(stored)
    keys = [key for key in entries if key[:1] == b"\0"]
    with fastckpt.open(stored) as ckpt:
        assert list(ckpt) == sorted(shapes)
        assert {h.name: list(h.shape) for h in ckpt.tensors()} == shapes
        assert {h.name: h.tf_dtype for h in ckpt.tensors()} == {n: dtypes[n].name for n in shapes}
        assert len(keys) == sum(len(layout.specs) for layout in LAYOUTS.values()) * len(
            partitions.DTYPES
        )
        assert len(ckpt) + len(keys) == len(entries)
        assert not any(key.decode("utf-8", "surrogateescape") in list(ckpt) for key in keys)


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "int4", "string"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts(stored: Path, dtype: str, layout: str) -> None:
    specs = LAYOUTS[layout].specs
    values = partitions.values_of(dtype, layout)
    with fastckpt.open(stored) as ckpt:
        handle = ckpt.tensor(f"{dtype}/{layout}")
        parts = {part.start: part for part in handle.parts}
        assert (handle.shard, handle.offset, handle.crc32c) == (None, None, None)
        assert handle.nbytes == sum(part.nbytes for part in handle.parts)
        assert len(parts) == len(handle.parts) == len(specs)
        for spec in specs:
            start = tuple(extent[0] if extent else 0 for extent in spec)
            part = parts[start]
            expected = values[partitions.region(spec)]
            assert part.shape == expected.shape
            assert part.shard in range(ckpt.num_shards)
            assert part.offset is not None
            data = oracle.shard_path(stored, part.shard or 0, ckpt.num_shards).read_bytes()
            raw = data[part.offset : part.offset + part.nbytes]
            assert len(raw) == part.nbytes
            if dtype != "string":
                assert raw == expected.tobytes()
                assert part.crc32c == oracle.crc32c(raw)
        if ckpt.num_shards == 1:
            listed = [part.start for part in handle.parts]
            assert listed == [tuple(e[0] if e else 0 for e in spec) for spec in specs]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", partitions.DTYPES)
def test_partial_reads(stored: Path, dtype: str, backend: Any) -> None:
    with fastckpt.open(stored, backend=backend) as ckpt:
        for layout, (shape, _) in LAYOUTS.items():
            handle = ckpt.tensor(f"{dtype}/{layout}")
            values = partitions.values_of(dtype, layout)
            for index in INDICES:
                used = index if len(shape) == 3 else index[: 1 if index[0] is ... else len(shape)]
                try:
                    expected = values[used]
                except IndexError:
                    with pytest.raises(IndexError):
                        handle[used]
                    continue
                found = handle[used]
                assert type(found) is type(expected), (layout, used)
                if isinstance(expected, np.ndarray):
                    assert_same(found, expected)
                elif dtype == "string":
                    assert found == expected
                else:
                    assert found.tobytes() == expected.tobytes(), (layout, used)


@pytest.mark.parametrize("dtype", sorted(partitions.ASSEMBLED_BY_TENSORFLOW))
def test_partial_reads_equal_tensorflows(stored: Path, dtype: str) -> None:
    requests = [((1, 3), (2, 3), None), (None, (6, 1), (0, 2)), ((4, 1), None, (2, 1))]
    with fastckpt.open(stored) as ckpt:
        for layout, (shape, _) in LAYOUTS.items():
            if len(shape) != 3:
                continue
            for spec in requests:
                theirs = partitions.restore(
                    stored, f"{dtype}/{layout}", partitions.spec_text(shape, spec), dtype
                )
                ours = ckpt.tensor(f"{dtype}/{layout}")[partitions.region(spec)]
                assert (ours.shape, ours.tobytes()) == (theirs.shape, theirs.tobytes())


# --- other writers -------------------------------------------------------------------------------


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis", "count"), [((7, 4), 0, 3), ((2, 11), 1, 4), ((5,), 0, 5)]
)
@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "int64", "bfloat16", "complex128", "string"]
)
def test_partitioned_variables_of_a_saver(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], axis: int, count: int, sharded: bool
) -> None:
    v1 = tf.compat.v1
    values = partitions.random_values(dtype, shape, 7)

    def initial(shape: Any, dtype: Any, partition_info: Any) -> Any:
        offsets = partition_info.var_offset
        where = tuple(slice(o, o + int(n)) for o, n in zip(offsets, shape, strict=True))
        return tf.constant(values[where], dtype)

    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable(
            "pv",
            shape=shape,
            dtype=tf.dtypes.as_dtype(dtype),
            initializer=initial,
            partitioner=v1.fixed_size_partitioner(count, axis=axis),
            use_resource=False,
        )
        v1.get_variable("whole", initializer=np.float32(1.5), use_resource=False)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(sharded=sharded)
        prefix = saver.save(session, str(tmp_path / "m.ckpt"), write_meta_graph=False)
    with fastckpt.open(prefix) as ckpt:
        assert list(ckpt) == ["pv", "whole"]
        assert len(ckpt.tensor("pv").parts) == count
        assert_same(ckpt["pv"], values)
        assert_same(ckpt.tensor("pv")[-1], values[-1]) if len(shape) > 1 else None
        assert ckpt["whole"] == np.float32(1.5)
        assert ckpt.verify().ok


def test_slice_that_is_the_whole_tensor(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    for spec in ("-:-", "0,4:-", "0,4:0,3"):
        prefix = save_slices(tmp_path / "whole", "w", values, [spec])
        with fastckpt.open(prefix) as ckpt:
            handle = ckpt.tensor("w")
            assert handle.can_view
            assert (handle.shard, handle.offset, handle.nbytes) == (0, 0, 48)
            assert [part.shape for part in handle.parts] == [(4, 3)]
            assert_same(handle.view(), values)


def test_slices_with_awkward_names(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.int16).reshape(4, 3)
    names = ["a", "a/b", "ÿ\N{REPLACEMENT CHARACTER}", "x" * 300, "with:colon,comma -", "0,2:-"]
    rows = [
        (name, f"4 3 {spec}", tf.constant(values[rows]))
        for name in names
        for spec, rows in (("0,1:-", slice(0, 1)), ("1,3:-", slice(1, 4)))
    ]
    partitions.save_rows(tmp_path / "names", rows)
    with fastckpt.open(tmp_path / "names") as ckpt:
        assert list(ckpt) == sorted(names, key=str.encode)
        for name in names:
            assert_same(ckpt[name], values)


def test_full_tensor_and_slice_of_one_name(tmp_path: Path) -> None:
    """A mixed entry: readers, TensorFlow's too, take it for a partitioned tensor."""
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows = [("w", "", tf.constant(values)), ("w", "4 3 0,2:-", tf.constant(values[:2] * 2))]
    partitions.save_rows(tmp_path / "mixed", rows)
    with pytest.raises(tf.errors.InvalidArgumentError, match="sufficient slices"):
        partitions.restore(tmp_path / "mixed", "w", "", "float32")
    with fastckpt.open(tmp_path / "mixed") as ckpt:
        assert list(ckpt) == ["w"]
        with pytest.raises(fastckpt.InvalidArgumentError, match="sufficient slices"):
            ckpt["w"]
        assert_same(ckpt.tensor("w")[:2], values[:2] * 2)
