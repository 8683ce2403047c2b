"""In identical mode our files are those of stock TensorFlow, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from interop import partitions, zoo
from interop.partitions import DTYPES, LAYOUTS, random_values
from interop.stock import STOCK_LAYOUT, Row, assert_same_files, check_identical
from oracle.table import read_table

pytestmark = pytest.mark.tf

MIB = 1 << 20
INDEX_BLOCK_BYTES = 256 * 1024  # TensorFlow's data block size
HUGE_ENTRY_BYTES = 2 * INDEX_BLOCK_BYTES  # from here on an entry gets a block of its own


def whole(name: str, values: Any) -> Row:
    """A row of a tensor that NumPy's own dtype describes."""
    array = np.asarray(values)
    return Row(name, array, "string" if array.dtype == object else array.dtype.name)


def strings(*elements: bytes) -> np.ndarray[Any, Any]:
    return np.array(elements, object)


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_in_every_shape(tmp_path: Path, dtype: str) -> None:
    rows = [
        Row(f"{dtype}/{name}", random_values(dtype, shape, seed), dtype)
        for seed, (name, shape) in enumerate(zoo.SHAPES.items())
    ]
    check_identical(tmp_path, rows)


def test_all_dtypes_in_one_file(tmp_path: Path) -> None:
    rows = [
        Row(f"{shape}/{dtype}", random_values(dtype, zoo.SHAPES[shape], 7), dtype)
        for dtype in DTYPES
        for shape in zoo.SHAPES
    ]
    check_identical(tmp_path, rows)


def test_tensors_of_tensorflow_itself(tmp_path: Path) -> None:
    tensors = zoo.dtype_tensors() | zoo.string_tensors()
    zoo.write(tmp_path / "theirs", tensors)
    fastckpt.save(tmp_path / "ours", tensors, **STOCK_LAYOUT)
    assert_same_files(tmp_path / "ours", tmp_path / "theirs")


@pytest.mark.parametrize(
    "values",
    [
        np.array(b"", object),
        np.array(b"one", object),
        np.zeros((0, 2), object),
        strings(b"", b"", b""),
        strings(b"\0", b"a\0b\0", b"\xff\xfe"),
        strings(*[b"x" * n for n in (126, 127, 128, 129, 16383, 16384, 16385, 2_097_152)]),
        strings(*[b"y" * n for n in (1023, 0, 1024, 1, 1025)]),
        strings(*[b"%d" % i for i in range(12)]).reshape(2, 3, 2),
        strings(*[b"z" * (i % 300) for i in range(20_000)]),
    ],
    ids=["empty", "scalar", "none", "empties", "nul", "lengths", "mixed", "rank3", "many"],
)
def test_strings(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    rows = [whole("before", np.int8(1)), whole("text", values), whole("after", np.float64(2))]
    check_identical(tmp_path, rows)


@pytest.mark.parametrize("layout", ["transposed", "reversed", "broadcast", "swapped"])
def test_arrays_of_any_layout(tmp_path: Path, layout: str) -> None:
    values = np.arange(600_000, dtype=np.int32).reshape(600, 1000)
    given = {
        "transposed": values.T,
        "reversed": values[::-1, ::-2],
        "broadcast": np.broadcast_to(values[:, None], (600, 3, 1000)),
        "swapped": values.astype(">i4"),
    }[layout]
    plain = np.ascontiguousarray(given).astype(np.int32)
    zoo.write(tmp_path / "theirs", {"first": tf.constant([1], tf.int8), "x": tf.constant(plain)})
    for num_threads in (1, 3):
        ours = tmp_path / f"ours-{num_threads}"
        tensors = {"first": np.int8([1]), "x": given}
        fastckpt.save(ours, tensors, **STOCK_LAYOUT, num_threads=num_threads)
        assert_same_files(ours, tmp_path / "theirs")


# --- names and order -----------------------------------------------------------------------------


def test_awkward_names(tmp_path: Path) -> None:
    names = [*zoo.NAMES, "nul\0inside", "nul at the end\0", "\x7f", "\uffff", "a" * 127, "b" * 128]
    check_identical(tmp_path, [whole(name, np.int32([i])) for i, name in enumerate(names)])


@pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled"])
def test_order(tmp_path: Path, order: str) -> None:
    names = sorted(f"layer_{i % 7}/{i}/kernel" for i in range(200))
    if order == "reversed":
        names.reverse()
    elif order == "shuffled":
        names = np.random.default_rng(3).permutation(names).tolist()
    check_identical(tmp_path, [whole(n, np.arange(i % 5)) for i, n in enumerate(names)])


def test_an_index_of_several_blocks(tmp_path: Path) -> None:
    tensors = zoo.many_tensors(9_001)
    zoo.write(tmp_path / "theirs", tensors)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    fastckpt.save(tmp_path / "ours", arrays, **STOCK_LAYOUT)
    assert Path(f"{tmp_path}/ours.index").stat().st_size > 3 * INDEX_BLOCK_BYTES
    assert_same_files(tmp_path / "ours", tmp_path / "theirs")


@pytest.mark.parametrize("excess", [-1, 0, 1, 100_000])
def test_entries_around_the_largest_that_shares_a_block(tmp_path: Path, excess: int) -> None:
    rows = [whole(name, np.int64(7)) for name in ("a", "m" * 20, "z")]
    value_bytes = 13  # dtype, shape, offset and size of 2 bytes each, checksum of 5
    probe = whole("p" * (HUGE_ENTRY_BYTES - value_bytes + excess), np.int64(8))
    check_identical(tmp_path, [rows[2], probe, rows[0], rows[1]])
    sizes = [len(k) + len(v) for k, v in read_table((tmp_path / "theirs.index").read_bytes())]
    assert max(sizes) == HUGE_ENTRY_BYTES + excess


def test_several_huge_names(tmp_path: Path) -> None:
    names = ["a", "b" * 600_000, "b" * 600_001, "c" + "\xe9" * 400_000, "d", "\x01" * 300_000]
    check_identical(tmp_path, [whole(name, np.float32(i)) for i, name in enumerate(names)])


# --- partitioned tensors -------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_partition(tmp_path: Path, layout: str) -> None:
    rows = [
        Row(f"{dtype}/p", partitions.values_of(dtype, layout), dtype, spec)
        for dtype in DTYPES
        for spec in LAYOUTS[layout].specs
    ]
    check_identical(tmp_path, rows)


@pytest.mark.parametrize("spelling", ["explicit", "implicit", "mixed"])
def test_both_spellings_of_full_dimensions(tmp_path: Path, spelling: str) -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    full = {"explicit": [(0, 6), (0, 6)], "implicit": [None, None], "mixed": [(0, 6), None]}
    specs: list[partitions.Spec] = [
        ((0, 3), full[spelling][0]),  # type: ignore[dict-item]
        ((3, 1), full[spelling][1]),  # type: ignore[dict-item]
    ]
    check_identical(tmp_path, [Row("p", values, "float32", spec) for spec in specs])


@pytest.mark.parametrize("spec", [(None, None), ((0, 4), (0, 6)), ((0, 4), None)])
def test_a_slice_that_is_the_whole_tensor(tmp_path: Path, spec: partitions.Spec) -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    check_identical(tmp_path, [Row("p", values, "float32", spec)])


def test_slices_among_whole_tensors(tmp_path: Path) -> None:
    values = np.arange(300 * 40, dtype=np.float64).reshape(300, 40)
    starts = [250, 0, 64, 63]
    ends = {0: 63, 63: 64, 64: 250, 250: 300}
    rows = [whole("zz", np.int8(1)), whole("a", strings(b"x", b""))]
    for start in starts:
        spec = ((start, ends[start] - start), None)
        rows += [Row("m/p", values, "float64", spec), whole(f"between/{start}", np.int16([start]))]
    rows += [Row("\xff\0name", values, "float64", (None, (20, 20)))]
    rows += [Row("\xff\0name", values, "float64", (None, (0, 20)))]
    check_identical(tmp_path, rows)


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 4])
def test_sizes_around_the_chunks_of_a_write(tmp_path: Path, num_threads: int) -> None:
    rng = np.random.default_rng(11)
    sizes = [k * MIB + d for k in (1, 2, 3) for d in (-1, 0, 1)] + [5, MIB, 0, MIB - 6, 1, 4 * MIB]
    rows = [
        whole(f"t{i}", np.frombuffer(rng.bytes(size), np.uint8)) for i, size in enumerate(sizes)
    ]
    check_identical(tmp_path / "rising", rows, num_threads)
    check_identical(tmp_path / "falling", rows[::-1], num_threads)


def test_large_tensors(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    rows = [
        whole("step", np.int64(3)),
        whole("kernel", rng.random((2500, 1000))),
        whole("words", strings(rng.bytes(3 * MIB), b"", rng.bytes(2 * MIB + 1))),
        whole("flags", rng.random(5_000_001) < 0.5),
    ]
    check_identical(tmp_path, rows, num_threads=3)


# --- TensorFlow's Saver --------------------------------------------------------------------------


def test_the_saver_of_tensorflow_1(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    rng = np.random.default_rng(13)
    values = {"b": rng.random(3), "C": rng.random((2, 2)), "scope/a": rng.random(1)}
    table = rng.random((10, 3)).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        for name, value in values.items():
            v1.get_variable(name, initializer=tf.constant(value), use_resource=False)
        v1.get_variable(
            "pv",
            shape=table.shape,
            initializer=lambda shape, dtype, partition_info: tf.constant(
                table[partition_info.var_offset[0] :][: shape[0]], dtype
            ),
            partitioner=v1.fixed_size_partitioner(3),
            use_resource=False,
        )
        session.run(v1.global_variables_initializer())
        theirs = v1.train.Saver().save(session, str(tmp_path / "theirs"), write_meta_graph=False)
    with fastckpt.CheckpointWriter(tmp_path / "ours", **STOCK_LAYOUT) as writer:
        for name in sorted([*values, "pv"]):
            if name != "pv":
                writer.add(name, values[name])
                continue
            for start, end in ((0, 4), (4, 7), (7, 10)):
                writer.add_slice(name, table[start:end], table.shape, (start, 0))
    assert_same_files(tmp_path / "ours", theirs)
