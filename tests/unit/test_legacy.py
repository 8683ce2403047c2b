"""V1 checkpoints made by the oracle: one file or several, in every form that readers must take."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from oracle.coding import bytes_field, slice_key, varint_field
from oracle.legacy import V1File, build_v1, encode_tensor

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16")
QUANTISED = {"qint8": (11, "int8"), "quint8": (12, "uint8"), "qint32": (13, "int32")}
# What the table may look like without anybody noticing.
TABLES: dict[str, dict[str, Any]] = {
    "one_block": {},
    "small_blocks": {"block_size": 64},
    "long_restarts": {"block_size": 512, "restart_interval": 1000},
    "snappy": {"compression": "snappy", "block_size": 256},
    "snappy_literals": {"compression": "literal", "block_size": 200, "restart_interval": 1},
}


def all_types() -> dict[str, np.ndarray[Any, Any]]:
    """Every plain dtype with its extremes, strings, scalars and empty tensors."""
    values: dict[str, np.ndarray[Any, Any]] = {}
    for name in INTEGERS:
        info = np.iinfo(name)
        values[name] = np.array([info.min, info.max, 0, 1, info.max // 3], name)
    bits = np.array([0x7E01, 0xFC00, 0x8000, 0x0001, 0x3C00], np.uint16)
    values["float16"] = bits.view(np.float16)
    values["float32"] = np.array([[1.5, -0.0], [np.inf, np.float32(1e-45)]], np.float32)
    values["float64"] = np.array([np.nan, -1e308, 5e-324])
    values["complex64"] = np.array([1 + 2j, -3.5j], np.complex64)
    values["complex128"] = np.array([[1 - 2j], [4]], np.complex128)
    values["bool"] = np.array([True, False, True])
    values["string"] = np.array([[b"", b"a"], [b"\0\xff" * 100, b"z" * 5000]], object)
    values["scalar"] = np.array(-7, np.int64)
    values["empty"] = np.zeros((0, 3), np.float32)
    values["no_strings"] = np.zeros((2, 0), object)
    return values


def assert_same(ours: Any, expected: np.ndarray[Any, Any]) -> None:
    """Compare dtype, shape and every byte; objects by equality."""
    assert (ours.dtype, ours.shape) == (expected.dtype, expected.shape)
    if expected.dtype == object:
        assert ours.tolist() == expected.tolist()
    else:
        assert ours.tobytes() == expected.tobytes()


def partitioned(*, dtype: str = "float32") -> tuple[np.ndarray[Any, Any], list[V1File]]:
    """A tensor of [6, 4] in uneven slices over two files, and the files."""
    whole = np.arange(24).reshape(6, 4).astype(dtype)
    if dtype == "object":
        whole = np.array([b"%d" % i for i in range(24)], object).reshape(6, 4)
    files = [V1File(), V1File()]
    files[0].add("p", whole[4:], shape=(6, 4), extents=[(4, 2), None])
    files[1].add("p", whole[:1], shape=(6, 4), extents=[(0, 1), None])
    files[0].add("p", whole[1:4, :3], shape=(6, 4), extents=[(1, 3), (0, 3)])
    files[1].add("p", whole[1:4, 3:], shape=(6, 4), extents=[(1, 3), (3, 1)])
    files[1].add("only_in_the_second", np.arange(3))
    return whole, files


def write_shards(folder: Path, files: list[V1File]) -> Path:
    """Write files as shards and return the pattern."""
    for i, file in enumerate(files):
        file.write(folder / f"m-{i:05d}-of-{len(files):05d}")
    return folder / f"m-?????-of-{len(files):05d}"


# --- one file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("table", TABLES)
def test_every_type(tmp_path: Path, table: str, packed: bool) -> None:
    values = all_types()
    v1 = V1File()
    for name in sorted(values):
        v1.add(name, values[name], packed=packed)
    path = v1.write(tmp_path / "model", **TABLES[table])
    with fastckpt.open(path) as ckpt:
        assert ckpt.format == "v1"
        assert list(ckpt) == sorted(values)
        for name, value in values.items():
            assert_same(ckpt[name], value)
            assert ckpt.tensor(name).shape == value.shape
        for name, value in ckpt.load().items():
            assert_same(value, values[name])
            assert value.flags.writeable
        for name, value in ckpt.stream(prefetch_bytes=64):
            assert_same(value, values[name])
        report = ckpt.verify()
    assert report.ok
    assert report.tensors == len(values)


@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_types(tmp_path: Path, name: str) -> None:
    number, plain = QUANTISED[name]
    v1 = V1File()
    v1.add("q", np.array([1, 100, 3], plain), dtype=number)
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert ckpt.tensor("q").tf_dtype == name
        assert_same(ckpt["q"], np.array([1, 100, 3], plain))


@pytest.mark.parametrize("version", [None, b"", b"\x08\x02", b"\x1a\x02\x05\x07"])
def test_versions_that_may_be_read(tmp_path: Path, version: bytes | None) -> None:
    v1 = build_v1({"a": np.arange(3)})
    v1.version = version
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert ckpt["a"].tolist() == [0, 1, 2]


def test_tensors_larger_than_a_block(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = {
        "a": np.array([1]),
        "large": rng.integers(-(2**62), 2**62, (300, 400)),
        "larger": rng.standard_normal((1000, 200)).astype(np.float32),
        "z": np.array([2]),
    }
    with fastckpt.open(build_v1(values).write(tmp_path / "model")) as ckpt:
        for name in ("z", "large", "a", "larger", "large"):
            assert_same(ckpt[name], values[name])
        assert_same(ckpt.tensor("large")[10:290:7, ::-3], values["large"][10:290:7, ::-3])
        into = {name: np.zeros_like(value) for name, value in values.items()}
        ckpt.load_into(into)
    for name, value in values.items():
        assert_same(into[name], value)


def test_many_small_tensors(tmp_path: Path) -> None:
    values = {f"layer_{i}/w": np.full(3, i, np.int32) for i in range(3000)}
    path = build_v1(values).write(tmp_path / "model", block_size=4096)
    with fastckpt.open(path) as ckpt:
        assert list(ckpt) == sorted(values)
        assert all(value[0] == values[name][0] for name, value in ckpt.load().items())
        assert ckpt.bytes_read < 1.5 * path.stat().st_size, "each block is read about once"


def test_narrow_integers_keep_their_low_bits(tmp_path: Path) -> None:
    v1 = build_v1({"a": np.zeros(3, np.uint8), "b": np.zeros(2, bool)})
    v1.set_tensor("a", encode_tensor(np.array([256, 511, -1]), 4))
    v1.set_tensor("b", bytes_field(11, b"\x00\x80\x02"))
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert ckpt["a"].tolist() == [0, 255, 255]
        assert ckpt["b"].tolist() == [False, True]
        assert ckpt["b"].view(np.uint8).tolist() == [0, 1]


def test_fields_split_mixed_and_unknown(tmp_path: Path) -> None:
    v1 = build_v1({"a": np.zeros(5, np.int64)})
    packed = encode_tensor(np.array([1, -2]), 9)
    single = encode_tensor(np.array([3]), 9, packed=False)
    noise = varint_field(99, 7) + bytes_field(5, b"1234")
    content = bytes_field(3, noise + packed) + bytes_field(3, single + packed) + noise
    key = slice_key(b"a", [None])
    v1.records[key] = varint_field(9, 1) + bytes_field(2, content) + bytes_field(2, b"")
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert ckpt["a"].tolist() == [1, -2, 3, 1, -2]


def test_names_of_any_bytes(tmp_path: Path) -> None:
    names = [b"\xff\x00", b"a b", "日本".encode(), b"x" * 5000, b"\x01"]
    v1 = V1File()
    for i, name in enumerate(sorted(names)):
        v1.add(name, np.array([i]))
    with fastckpt.open(v1.write(tmp_path / "model", block_size=100)) as ckpt:
        assert [x.encode("utf-8", "surrogateescape") for x in ckpt] == sorted(names)
        assert [ckpt[x].item() for x in ckpt] == list(range(len(names)))
        assert "a" not in ckpt
        assert 7 not in ckpt  # type: ignore[comparison-overlap]
        with pytest.raises(fastckpt.TensorNotFoundError, match="did you mean"):
            ckpt["a bb"]


def test_what_v1_does_not_have(tmp_path: Path) -> None:
    path = build_v1({"a": np.arange(4, dtype=np.float32)}).write(tmp_path / "model")
    with fastckpt.open(path, backend="mmap", verify="off") as ckpt:
        handle = ckpt.tensor("a")
        assert not handle.can_view
        assert (handle.shard, handle.offset, handle.crc32c, handle.nbytes) == (0, None, None, 16)
        with pytest.raises(fastckpt.UnsupportedError):
            handle.view()
        assert not ckpt["a"].flags.writeable
        assert ckpt.byteorder == "little"
        assert (ckpt.num_shards, ckpt.files, ckpt.nbytes) == (1, (str(path),), 16)


def test_pickle(tmp_path: Path) -> None:
    path = build_v1({"a": np.arange(4)}).write(tmp_path / "model")
    with fastckpt.open(path) as ckpt:
        data = pickle.dumps(ckpt)
    copy = pickle.loads(data)
    assert copy.format == "v1"
    assert copy["a"].tolist() == [0, 1, 2, 3]
    build_v1({"a": np.arange(5)}).write(path)
    with pytest.raises(fastckpt.CheckpointChangedError):
        pickle.loads(data)


def test_close(tmp_path: Path) -> None:
    ckpt = fastckpt.open(build_v1({"a": np.arange(4)}).write(tmp_path / "model"))
    handle = ckpt.tensor("a")
    ckpt.close()
    assert handle.read().tolist() == [0, 1, 2, 3]
    with pytest.raises(fastckpt.ClosedError):
        ckpt["a"]


# --- slices and shards ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16", "complex64", "object"])
def test_slices_in_several_files(tmp_path: Path, dtype: str) -> None:
    whole, files = partitioned(dtype=dtype)
    with fastckpt.open(write_shards(tmp_path, files)) as ckpt:
        assert list(ckpt) == ["only_in_the_second", "p"]
        assert ckpt["only_in_the_second"].tolist() == [0, 1, 2]
        handle = ckpt.tensor("p")
        assert_same(handle.read(), whole)
        for index in ((2,), (slice(1, 5), -1), (slice(None, None, -2), slice(1, None, 2))):
            assert_same(np.asarray(handle[index], whole.dtype), whole[index])
        assert [(x.start, x.shape, x.shard) for x in handle.parts] == [
            ((4, 0), (2, 4), 0), ((1, 0), (3, 3), 0), ((0, 0), (1, 4), 1), ((1, 3), (3, 1), 1),
        ]  # fmt: skip
        assert handle.nbytes == sum(x.nbytes for x in handle.parts)
        assert_same(ckpt.load()["p"], whole)
        into = {"p": np.zeros_like(whole)}
        ckpt.load_into(into)
        assert_same(into["p"], whole)
        report = ckpt.verify()
    assert report.ok
    assert report.tensors == 2


@pytest.mark.parametrize("shape", ["pattern", "shard", "shared_name"])
def test_ways_to_name_shards(tmp_path: Path, shape: str) -> None:
    whole, files = partitioned()
    pattern = write_shards(tmp_path, files)
    given = {
        "pattern": pattern,
        "shard": tmp_path / "m-00001-of-00002",
        "shared_name": tmp_path / "m",
    }[shape]
    with fastckpt.open(given) as ckpt:
        assert ckpt.prefix == str(pattern)
        assert ckpt.num_shards == 2
        assert [Path(x).name for x in ckpt.files] == ["m-00000-of-00002", "m-00001-of-00002"]
        assert_same(ckpt["p"], whole)
        assert_same(pickle.loads(pickle.dumps(ckpt))["p"], whole)


def test_one_explicit_slice_is_the_whole(tmp_path: Path) -> None:
    v1 = V1File()
    v1.add("a", np.arange(6).reshape(2, 3), extents=[(0, 2), (0, 3)])
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert_same(ckpt["a"], np.arange(6).reshape(2, 3))
        assert len(ckpt.tensor("a").parts) == 1


def test_missing_shard(tmp_path: Path) -> None:
    whole, files = partitioned()
    pattern = write_shards(tmp_path, files)
    (tmp_path / "m-00001-of-00002").unlink()
    with fastckpt.open(pattern) as ckpt:
        assert list(ckpt) == ["p"]
        assert_same(ckpt.tensor("p")[4:], whole[4:])
        with pytest.raises(fastckpt.InvalidArgumentError, match="sufficient slices"):
            ckpt["p"]
        assert len(ckpt.files) == ckpt.num_shards == 2
        failures = ckpt.verify().failures
    assert [type(x.error) for x in failures] == [
        fastckpt.DataLossError, fastckpt.CheckpointNotFoundError,
    ]  # fmt: skip
    assert failures[0].error.key == "p"
    assert failures[1].error.path == str(tmp_path / "m-00001-of-00002")
