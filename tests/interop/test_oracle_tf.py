"""The oracle writes the very bytes that TensorFlow writes, and reads what TensorFlow wrote."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import oracle

DTYPES: list[Any] = [
    *("float16", "float32", "float64", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *(ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn),
    *(ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e4m3b11fnuz, ml_dtypes.float8_e5m2fnuz),
    *(ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2),
    ml_dtypes.float4_e2m1fn,
]
SHAPES: list[tuple[int, ...]] = [(), (0, 3), (5,), (2, 3, 4), (2, 1, 3, 1, 2)]


def save(
    prefix: Path, tensors: dict[str, Any], slices: Sequence[tuple[str, str, Any]] = ()
) -> None:
    names = [*tensors, *(name for name, _, _ in slices)]
    specs = [*("" for _ in tensors), *(spec for _, spec, _ in slices)]
    values = [*tensors.values(), *(value for _, _, value in slices)]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=specs,
        tensors=[tf.constant(value) for value in values],
    )


def files(prefix: Path) -> dict[str, bytes]:
    paths = prefix.parent.glob(prefix.name + ".*")
    return {path.name[len(prefix.name) :]: path.read_bytes() for path in paths}


def assert_same_files(ours: Path, theirs: Path) -> None:
    a, b = files(ours), files(theirs)
    assert sorted(a) == sorted(b)
    for name, content in a.items():
        assert content == b[name], name


def assert_same_values(read: dict[str, Any], written: dict[str, Any]) -> None:
    assert sorted(read) == sorted(written)
    for name, value in written.items():
        expected = np.asarray(value, object if isinstance(value, list) else None)
        assert read[name].shape == expected.shape, name
        assert read[name].dtype == expected.dtype, name
        assert (read[name] == expected).all(), name


def test_every_dtype_and_shape(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tensors: dict[str, Any] = {}
    for dtype in DTYPES:
        for shape in SHAPES:
            name = f"{np.dtype(dtype).name}/{len(shape)}_{0 in shape}"
            tensors[name] = rng.integers(0, 2, shape).astype(dtype)
    tensors["signs"] = np.array([-2, -8, 7, -1], ml_dtypes.int4)
    tensors["signs2"] = np.array([-2, -1, 1, 0], ml_dtypes.int2)
    tensors["fractions"] = np.array([1, -2, 3], ml_dtypes.float4_e2m1fn)
    tensors["strings"] = [b"ab", b"", b"\xff\x00" * 100]
    tensors["long"] = [b"x" * 70000]
    save(tmp_path / "tf", tensors)
    oracle.write_bundle(tmp_path / "ours", tensors)
    assert_same_files(tmp_path / "ours", tmp_path / "tf")
    assert_same_values(oracle.read_bundle(tmp_path / "tf"), tensors)


def test_scalar_and_empty_strings(tmp_path: Path) -> None:
    tensors = {
        "b": np.array(b"scalar", object),
        "a": np.empty((0, 2), object),
        "c": np.array(b"", object),
    }
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "tf"),
        tensor_names=names,
        shape_and_slices=[""] * 3,
        tensors=[tf.constant(b"scalar"), tf.zeros((0, 2), tf.string), tf.constant(b"")],
    )
    oracle.write_bundle(tmp_path / "ours", tensors)
    assert_same_files(tmp_path / "ours", tmp_path / "tf")


@pytest.mark.parametrize("seed", [1, 2])
def test_many_blocks(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    names = set()
    while len(names) < 9500:
        stem = "/".join(
            rng.choice(["layer", "dense", "\xff", "z"]) for _ in range(rng.randrange(1, 6))
        )
        names.add(stem + "x" * rng.randrange(0, 120) + str(rng.randrange(10**6)))
    order = rng.sample(sorted(names), len(names))
    tensors = {name: np.int32(i) for i, name in enumerate(order)}
    save(tmp_path / "tf", tensors)
    oracle.write_bundle(tmp_path / "ours", tensors)
    assert_same_files(tmp_path / "ours", tmp_path / "tf")
    assert len(oracle.read_bundle(tmp_path / "tf")) == 9500


def test_huge_keys_have_blocks_of_their_own(tmp_path: Path) -> None:
    tensors = {
        "k" * size: np.float32(size) for size in (1, 200000, 262000, 524250, 524300, 600000)
    }
    tensors["\xff" * 1000] = np.float32(1)
    save(tmp_path / "tf", tensors)
    oracle.write_bundle(tmp_path / "ours", tensors)
    assert_same_files(tmp_path / "ours", tmp_path / "tf")


def test_partitioned_tensors(tmp_path: Path) -> None:
    full = np.arange(24, dtype=np.float32).reshape(4, 6)
    big = np.arange(100000, dtype=np.int16)
    save(
        tmp_path / "tf",
        {"w": full},
        [
            ("part", "4 6 2,2:-", full[2:]),
            ("part", "4 6 0,2:0,6", full[:2]),
            ("whole", "4 6 0,4:-", full),
            ("b\xff", "100000 0,70000", big[:70000]),
            ("b\xff", "100000 70000,30000", big[70000:]),
        ],
    )
    oracle.write_bundle(
        tmp_path / "ours",
        {
            "w": full,
            "part": oracle.Slices(
                (4, 6), [([(2, 2), None], full[2:]), ([(0, 2), (0, 6)], full[:2])]
            ),
            "whole": oracle.Slices((4, 6), [([(0, 4), None], full)]),
            "b\xff": oracle.Slices(
                (100000,), [([(0, 70000)], big[:70000]), ([(70000, 30000)], big[70000:])]
            ),
        },
    )
    assert_same_files(tmp_path / "ours", tmp_path / "tf")
    read = oracle.read_bundle(tmp_path / "tf")
    assert_same_values(read, {"w": full, "part": full, "whole": full, "b\xff": big})


def test_merged_shards(tmp_path: Path) -> None:
    parts = [{f"s{i}/{j}": np.full(i + j, j, np.int64) for j in range(3)} for i in range(3)]
    for i, part in enumerate(parts):
        save(tmp_path / f"part{i}", part)
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(tmp_path / f"part{i}") for i in range(3)],
        destination_prefix=str(tmp_path / "tf"),
    )
    tensors = {name: value for part in parts for name, value in part.items()}
    oracle.write_bundle(
        tmp_path / "ours", tensors, num_shards=3, shard_of=lambda _, key: key[1] - ord("0")
    )
    assert_same_files(tmp_path / "ours", tmp_path / "tf")


@pytest.mark.parametrize("compression", ["none", "literal", "snappy"])
@pytest.mark.parametrize(("block_size", "restart_interval"), [(1, 1), (300, 3), (4096, 16)])
def test_tensorflow_reads_other_tables(
    tmp_path: Path, compression: str, block_size: int, restart_interval: int
) -> None:
    tensors = {f"name/{i:05d}": np.arange(i % 7, dtype=np.float32) for i in range(300)}
    prefix = tmp_path / "ours"
    oracle.write_bundle(
        prefix,
        tensors,
        num_shards=2,
        alignment=64,
        block_size=block_size,
        restart_interval=restart_interval,
        compression=compression,
    )
    reader = tf.train.load_checkpoint(str(prefix))
    theirs = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    assert_same_values(theirs, tensors)
    assert_same_values(oracle.read_bundle(prefix), tensors)


def test_tensorflow_reads_the_other_byte_order(tmp_path: Path) -> None:
    tensors = {
        "f": np.arange(5, dtype=np.float64),
        "h": np.arange(5).astype(ml_dtypes.bfloat16),
        "c": np.array([1 + 2j, 3 - 4j], np.complex64),
        "b": np.array([True, False]),
        "s": [b"one", b"", b"three"],
    }
    prefix = tmp_path / "ours"
    bundle = oracle.write_bundle(prefix, tensors, byte_order="big")
    assert bundle.shards[0][8:16] == np.array(1, ">f8").tobytes()
    reader = tf.train.load_checkpoint(str(prefix))
    for name, value in tensors.items():
        assert (
            reader.get_tensor(name) == np.asarray(value, object if name == "s" else None)
        ).all()
    assert_same_values(oracle.read_bundle(prefix), tensors)


def test_variants(tmp_path: Path) -> None:
    handle = tf.raw_ops.TensorListFromTensor(
        tensor=tf.constant([1.0, 2.0]), element_shape=tf.constant([], tf.int32)
    )
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "tf"), tensor_names=["v"], shape_and_slices=[""], tensors=[handle]
    )
    records = oracle.read_bundle(tmp_path / "tf")["v"]
    assert b"tensorflow::TensorList" in records[()]
    oracle.write_bundle(tmp_path / "ours", {"v": oracle.Variants((), [records[()]])})
    assert_same_files(tmp_path / "ours", tmp_path / "tf")


def test_quantised_numbers(tmp_path: Path) -> None:
    data = np.arange(6, dtype=np.int8)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "tf"),
        tensor_names=["q"],
        shape_and_slices=[""],
        tensors=[tf.bitcast(tf.constant(data), tf.qint8)],
    )
    oracle.write_bundle(tmp_path / "ours", {"q": oracle.Raw(11, (6,), data.tobytes())})
    assert_same_files(tmp_path / "ours", tmp_path / "tf")
    assert (oracle.read_bundle(tmp_path / "tf")["q"] == data).all()
