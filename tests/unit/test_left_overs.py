"""What older releases, interrupted saves and unusual writers leave behind reads all the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle
from oracle.coding import bytes_field

# --- left-over parts of interrupted saves --------------------------------------------------------

PART_FOLDERS = ("m.ckpt_temp", "m.ckpt_temp_0123456789abcdef0123456789abcdef")


def interrupted(folder: Path, temporary: str) -> list[Path]:
    """Two finished parts of a save that was never merged, and the beginning of a third."""
    parts = []
    (folder / temporary).mkdir()
    for number in range(2):
        prefix = folder / temporary / f"part-{number:05d}-of-00003"
        oracle.write_bundle(prefix, {f"w{number}": np.full(3, number, np.float32)})
        parts.append(prefix)
    unfinished = f"part-00002-of-00003.data-00000-of-00001.tempstate{2**63 + 1}"
    (folder / temporary / unfinished).write_bytes(b"\0" * 7)
    return parts


@pytest.mark.parametrize("temporary", PART_FOLDERS)
def test_parts_open_by_name(tmp_path: Path, temporary: str) -> None:
    for number, prefix in enumerate(interrupted(tmp_path, temporary)):
        names = [prefix, Path(f"{prefix}.index"), Path(f"{prefix}.data-00000-of-00001")]
        for name in names:
            with fastckpt.open(name) as ckpt:
                assert ckpt.prefix == str(prefix)
                assert (ckpt.format, ckpt.num_shards) == ("v2", 1)
                assert {n: a.tolist() for n, a in ckpt.items()} == {f"w{number}": [number] * 3}
                assert ckpt.verify().ok


@pytest.mark.parametrize("temporary", PART_FOLDERS)
def test_folder_of_parts_says_what_to_open(tmp_path: Path, temporary: str) -> None:
    interrupted(tmp_path, temporary)
    with pytest.raises(fastckpt.CheckpointNotFoundError, match="part-00001-of-00003"):
        fastckpt.open(tmp_path / temporary)


def test_unmerged_checkpoint_is_not_there(tmp_path: Path) -> None:
    interrupted(tmp_path, PART_FOLDERS[0])
    for name in ("m.ckpt", "m.ckpt_temp/part-00002-of-00003"):
        with pytest.raises(fastckpt.CheckpointNotFoundError):
            fastckpt.open(tmp_path / name)


def test_parts_beside_the_checkpoint_are_ignored(tmp_path: Path) -> None:
    interrupted(tmp_path, PART_FOLDERS[0])
    oracle.write_bundle(tmp_path / "m.ckpt", {"w0": np.float32(7)})
    (tmp_path / f"m.ckpt.index.tempstate{5}").write_bytes(b"half")
    shutil.copy(tmp_path / "m.ckpt.index", tmp_path / f"m.ckpt.index.tempstate{6}")
    with fastckpt.open(tmp_path / "m.ckpt") as ckpt:
        assert {name: array.tolist() for name, array in ckpt.items()} == {"w0": 7}
        assert sorted(os.path.basename(file) for file in ckpt.files) == [
            "m.ckpt.data-00000-of-00001", "m.ckpt.index",
        ]  # fmt: skip


def test_shards_of_an_overwritten_checkpoint_are_ignored(tmp_path: Path) -> None:
    oracle.write_bundle(tmp_path / "m", {"a": np.arange(3), "b": np.arange(4)}, num_shards=2)
    oracle.write_bundle(tmp_path / "m", {"a": np.arange(5)})
    assert oracle.shard_path(tmp_path / "m", 1, 2).exists()
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert ckpt["a"].tolist() == [0, 1, 2, 3, 4]
        assert len(ckpt.files) == 2


# --- older forms ---------------------------------------------------------------------------------

# ["ab", "", "xyz"]: lengths, masked checksum of the lengths as 32-bit integers, contents.
OLD_STRINGS = bytes.fromhex("020003 1b428bca 6162 78797a")
OLD_STRINGS_CRC = 0x3FC4AD10


def test_old_string_encoding(tmp_path: Path) -> None:
    """Lengths were 32-bit varints once; the bytes are the same while they fit."""
    entry = oracle.Entry(7, (3,), size=12, masked_crc=OLD_STRINGS_CRC)
    old = oracle.Header(has_version=False)
    bundle = oracle.Bundle(old, {b"s": entry}, [bytearray(OLD_STRINGS)])
    bundle.write(tmp_path / "old")
    for verify in ("lazy", "eager", "off"):
        with fastckpt.open(tmp_path / "old", verify=verify) as ckpt:
            assert ckpt["s"].tolist() == [b"ab", b"", b"xyz"]
            assert ckpt.tensor("s")[::2].tolist() == [b"ab", b"xyz"]
            assert ckpt.verify().ok


@pytest.mark.parametrize(
    ("at", "value"), [(0, 3), (2, 4), (3, 0x1A), (6, 0xCB), (7, 0x62), (11, 0)]
)
def test_old_strings_are_verified(tmp_path: Path, at: int, value: int) -> None:
    data = bytearray(OLD_STRINGS)
    data[at] = value
    entry = oracle.Entry(7, (3,), size=12, masked_crc=OLD_STRINGS_CRC)
    oracle.Bundle(oracle.Header(has_version=False), {b"s": entry}, [data]).write(tmp_path / "old")
    with fastckpt.open(tmp_path / "old") as ckpt, pytest.raises(fastckpt.DataLossError):
        ckpt["s"]


@pytest.mark.parametrize("size", [127, 128, 16383, 16384, 70_000, (1 << 21) + 1])
def test_lengths_of_several_bytes(tmp_path: Path, size: int) -> None:
    value = [b"", b"\xa5" * size, b"end"]
    oracle.write_bundle(tmp_path / "long", {"s": value})
    with fastckpt.open(tmp_path / "long") as ckpt:
        assert ckpt["s"].tolist() == value
        assert ckpt.tensor("s")[1] == value[1]


def test_version_zero_and_several_blocks(tmp_path: Path) -> None:
    tensors = {f"v/{i:03d}": np.arange(i, dtype=np.int32) for i in range(100)}
    bundle = oracle.build_bundle(tensors, num_shards=2)
    bundle.header = oracle.Header(2, has_version=False)
    bundle.write(tmp_path / "zero", block_size=200, compression="snappy")
    found = fastckpt.load(tmp_path / "zero")
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in tensors.items()
    }


# --- bytes that are not normal -------------------------------------------------------------------

# DataType number, NumPy type, bits of a byte that count.
SUB_BYTE: dict[str, tuple[int, Any, int]] = {
    "int4": (29, ml_dtypes.int4, 4),
    "uint4": (30, ml_dtypes.uint4, 4),
    "int2": (31, ml_dtypes.int2, 2),
    "uint2": (32, ml_dtypes.uint2, 2),
    "float4_e2m1fn": (33, ml_dtypes.float4_e2m1fn, 4),
}
SHAPES: list[tuple[int, ...]] = [(1,), (3,), (5, 7), (2, 3, 43), (1000, 1031)]


def odd_bytes(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def normal(name: str, stored: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array that the stored bytes mean."""
    if name == "bool":
        return stored != 0
    _, dtype, bits = SUB_BYTE[name]
    return (stored & ((1 << bits) - 1)).view(dtype)


def raw(name: str, stored: np.ndarray[Any, Any]) -> oracle.Raw:
    number = 10 if name == "bool" else SUB_BYTE[name][0]
    return oracle.Raw(number, stored.shape, stored.tobytes())


def assert_same(found: Any, expected: np.ndarray[Any, Any]) -> None:
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("backend", ["mmap", "pread", "direct"])
@pytest.mark.parametrize("verify", ["lazy", "off"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["bool", *SUB_BYTE])
def test_odd_bytes(
    tmp_path: Path, name: str, shape: tuple[int, ...], verify: Any, backend: Any, order: Any
) -> None:
    stored = odd_bytes(shape) | 0x80
    expected = normal(name, stored)
    oracle.write_bundle(tmp_path / "odd", {"x": raw(name, stored)}, byte_order=order)
    with fastckpt.open(tmp_path / "odd", verify=verify, backend=backend) as ckpt:
        handle = ckpt.tensor("x")
        assert (handle.tf_dtype, handle.nbytes) == (name, stored.size)
        assert not handle.can_view
        with pytest.raises(fastckpt.UnsupportedError):
            handle.view()
        target, fortran = np.zeros_like(expected), np.zeros_like(expected, order="F")
        ckpt.load_into({"x": target})
        handle.read(fortran)
        found = [ckpt["x"], handle.read(), ckpt.load()["x"], dict(ckpt.stream())["x"]]
        for array in (*found, target, fortran, np.asarray(handle)):
            assert_same(array, expected)
        for index in (np.s_[::-1], np.s_[..., 1:], np.s_[-1:], np.s_[::2, ...], np.s_[..., ::3]):
            assert_same(handle[index], expected[index])
        assert handle[(0,) * len(shape)] == expected[(0,) * len(shape)]
        assert ckpt.verify().ok


@pytest.mark.parametrize("name", ["bool", *SUB_BYTE])
@pytest.mark.parametrize("at", [0, 7, 8, 63, 64, 4095, 4096, 70_000, 100_002])
def test_one_odd_byte(tmp_path: Path, name: str, at: int) -> None:
    """A view is given only where every byte is normal, wherever the odd one stands."""
    size = 100_003
    stored = odd_bytes((size,)) & 1
    oracle.write_bundle(tmp_path / "normal", {"x": raw(name, stored)})
    with fastckpt.open(tmp_path / "normal", backend="mmap") as ckpt:
        assert ckpt.tensor("x").can_view
        assert_same(ckpt.tensor("x").view(), normal(name, stored))
    stored[at] |= 0x10
    oracle.write_bundle(tmp_path / "odd", {"x": raw(name, stored)})
    with fastckpt.open(tmp_path / "odd", backend="mmap") as ckpt:
        assert not ckpt.tensor("x").can_view
        assert_same(ckpt["x"], normal(name, stored))
        assert_same(ckpt.tensor("x")[at : at + 1], normal(name, stored)[at : at + 1])


@pytest.mark.parametrize("name", ["bool", *SUB_BYTE])
def test_odd_bytes_in_slices(tmp_path: Path, name: str) -> None:
    stored = odd_bytes((9, 6)) | 0x40
    parts = [([(0, 4), None], raw(name, stored[:4])), ([(4, 5), None], raw(name, stored[4:]))]
    oracle.write_bundle(tmp_path / "odd", {"x": oracle.Slices((9, 6), parts)})
    expected = normal(name, stored)
    with fastckpt.open(tmp_path / "odd") as ckpt:
        assert_same(ckpt["x"], expected)
        assert_same(ckpt.load()["x"], expected)
        assert_same(ckpt.tensor("x")[3:6, ::-2], expected[3:6, ::-2])


# --- variants ------------------------------------------------------------------------------------


def record(type_name: str, metadata: bytes = b"") -> bytes:
    """A VariantTensorDataProto."""
    return bytes_field(1, type_name.encode()) + (bytes_field(2, metadata) if metadata else b"")


def pairs(array: np.ndarray[Any, Any]) -> list[tuple[str, bytes]]:
    return [(item.type_name, item.data) for item in array.ravel()]


def test_variants_are_raw_records(tmp_path: Path) -> None:
    types = ["tensorflow::TensorList", "tensorflow::Iterator", "", "x" * 300, "ünï", "int"]
    records = [record(name, b"\x00\xff" * n * 50) for n, name in enumerate(types)]
    tensors = {
        "scalar": oracle.Variants((), records[:1]),
        "grid": oracle.Variants((2, 3), records),
        "none": oracle.Variants((0, 4), []),
        "w": np.arange(3),
    }
    oracle.write_bundle(tmp_path / "v", tensors)
    expected = list(zip(types, records, strict=True))
    with fastckpt.open(tmp_path / "v") as ckpt:
        handle = ckpt.tensor("grid")
        assert (handle.tf_dtype, handle.dtype, handle.shape) == (
            "variant",
            np.dtype(object),
            (2, 3),
        )
        assert not handle.can_view
        for array in (
            ckpt["grid"],
            handle.read(),
            ckpt.load()["grid"],
            dict(ckpt.stream())["grid"],
        ):
            assert array.shape == (2, 3)
            assert pairs(array) == expected
        assert pairs(handle[1]) == expected[3:]
        assert pairs(handle[:, ::-2]) == [expected[i] for i in (2, 0, 5, 3)]
        assert handle[0, 1].type_name == types[1]
        assert pairs(ckpt["scalar"]) == expected[:1]
        assert ckpt["scalar"].shape == ()
        assert ckpt["none"].shape == (0, 4)
        assert ckpt.verify().ok


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x0a\x7f", b"\x0b", b"plain text"])
def test_records_that_are_no_message_have_no_type(tmp_path: Path, data: bytes) -> None:
    oracle.write_bundle(tmp_path / "v", {"v": oracle.Variants((1,), [data])})
    with fastckpt.open(tmp_path / "v") as ckpt:
        assert pairs(ckpt["v"]) == [("", data)]


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_damaged_variants(tmp_path: Path, at: int) -> None:
    bundle = oracle.build_bundle(
        {"v": oracle.Variants((2,), [record("a" * 20), record("b" * 25)])}
    )
    bundle.shards[0][at % len(bundle.shards[0])] ^= 4
    bundle.write(tmp_path / "v")
    with fastckpt.open(tmp_path / "v") as ckpt:
        with pytest.raises(fastckpt.DataLossError) as caught:
            ckpt["v"]
        assert caught.value.key == "v"
        assert not ckpt.verify().ok


def test_partitioned_variants(tmp_path: Path) -> None:
    records = [record(f"type{i}", b"%d" % i) for i in range(5)]
    parts = [
        ([(0, 2)], oracle.Variants((2,), records[:2])),
        ([(2, 3)], oracle.Variants((3,), records[2:])),
    ]
    oracle.write_bundle(tmp_path / "v", {"v": oracle.Slices((5,), parts)})
    with fastckpt.open(tmp_path / "v") as ckpt:
        assert [item.type_name for item in ckpt["v"]] == [f"type{i}" for i in range(5)]
        assert pairs(ckpt.tensor("v")[1:4]) == [(f"type{i}", records[i]) for i in (1, 2, 3)]
        assert pairs(ckpt.load()["v"]) == pairs(ckpt["v"])
