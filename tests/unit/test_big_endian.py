"""Checkpoints of big-endian machines read equal to their little-endian twins."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle
from big_endian_twin import make_twin
from golden.manifest import ExpectedCheckpoint, assert_tensor, load_golden

GOLDEN = load_golden()
BACKENDS: tuple[Any, ...] = ("mmap", "pread", "direct")

NUMBERS = (
    *("float16", "float32", "float64", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz"),
    *("float8_e5m2fnuz", "float4_e2m1fn", "int2", "int4", "uint2", "uint4"),
)
SUB_BYTE_BITS = {"float4_e2m1fn": 4, "int2": 2, "int4": 4, "uint2": 2, "uint4": 4, "bool": 1}
# DataType number and stored type of what NumPy has no name for.
QUANTISED = {
    "qint8": (11, "i1"), "quint8": (12, "u1"), "qint32": (13, "i4"), "qint16": (15, "i2"),
    "quint16": (16, "u2"),
}  # fmt: skip

STRINGS: dict[str, Any] = {
    "scalar": np.array(b"one", object),
    "scalar_empty": np.array(b"", object),
    "none": np.empty((0, 2), object),
    "empties": [b"", b"", b""],
    "long": [b"short", b"x" * 200_000, b"", b"y" * 127, b"z" * 128],
    "bytes": [[b"\xff\x00\xfe", b"\x80"], ["ünï".encode(), b"\n"]],
    "many": [b"%d" % i * (i % 5) for i in range(3000)],
}


def numpy_dtype(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def random_array(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """An array of random bits, as far as the type has them."""
    dtype = numpy_dtype(name)
    count = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(np.random.default_rng(seed).bytes(count), np.uint8)
    if name in SUB_BYTE_BITS:
        raw = raw & ((1 << SUB_BYTE_BITS[name]) - 1)
    return raw.view(dtype).reshape(shape)


def everything() -> dict[str, Any]:
    """Every dtype in several shapes, strings, and partitioned tensors of some types."""
    tensors: dict[str, Any] = {}
    for seed, name in enumerate(NUMBERS):
        for shape in ((), (0, 3), (5,), (3, 4, 5)):
            tensors[f"{name}/{len(shape)}"] = random_array(name, shape, seed)
    for name, (number, stored) in QUANTISED.items():
        values = np.arange(7, dtype=stored)
        tensors[name] = oracle.Raw(number, (7,), values.tobytes())
    tensors |= {f"string/{name}": value for name, value in STRINGS.items()}
    for name in ("float16", "float64", "complex64", "int4", "bool", "uint32"):
        tensors[f"sliced/{name}"] = in_two(random_array(name, (6, 5), 99))
    tensors["sliced/string"] = in_two(np.array([b"%d" % i * i for i in range(30)], object))
    tensors["large"] = random_array("float32", (700, 1001), 5)
    return tensors


def in_two(values: np.ndarray[Any, Any]) -> oracle.Slices:
    """A partitioned tensor: its first two rows, and the others."""
    values = values.reshape(6, 5)
    return oracle.Slices((6, 5), [([(0, 2), None], values[:2]), ([(2, 4), (0, 5)], values[2:])])


def assert_same(found: Any, expected: Any) -> None:
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.dtype == object:
        assert found.ravel().tolist() == expected.ravel().tolist()
    else:
        assert found.dtype.isnative
        assert found.tobytes() == expected.tobytes()


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The prefixes of a little-endian checkpoint and of its big-endian twin."""
    folder = tmp_path_factory.mktemp("twins")
    oracle.write_bundle(folder / "little", everything(), num_shards=3)
    return folder / "little", make_twin(folder / "little", folder / "big")


def test_two_generators_give_the_same_files(twins: tuple[Path, Path], tmp_path: Path) -> None:
    tensors = everything()
    for name, (number, stored) in QUANTISED.items():
        data = np.arange(7, dtype=stored).byteswap().tobytes()
        tensors[name] = oracle.Raw(number, (7,), data)
    oracle.write_bundle(tmp_path / "big", tensors, num_shards=3, byte_order="big")
    _, twin = twins
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    for name in names:
        assert (tmp_path / name).read_bytes() == (twin.parent / name).read_bytes(), name


def test_twins_differ(twins: tuple[Path, Path]) -> None:
    little, big = twins
    with fastckpt.open(little) as a, fastckpt.open(big) as b:
        assert (a.byteorder, b.byteorder) == ("little", "big")
        for name in ("float32/3", "string/long", "complex128/1", "qint16"):
            assert a.tensor(name).crc32c != b.tensor(name).crc32c
        for name in ("int8/3", "float8_e5m2/3", "int4/1", "bool/3"):
            assert a.tensor(name).crc32c == b.tensor(name).crc32c


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("verify", ["lazy", "eager", "off"])
def test_everything_reads_equal(twins: tuple[Path, Path], backend: Any, verify: Any) -> None:
    little, big = twins
    expected = fastckpt.load(little)
    with fastckpt.open(big, backend=backend, verify=verify) as ckpt:
        assert list(ckpt) == list(expected)
        loaded, streamed = ckpt.load(), dict(ckpt.stream(prefetch_bytes=1000))
        targets = {
            name: np.zeros_like(value) for name, value in expected.items() if value.dtype != object
        }
        ckpt.load_into(targets)
        for name, value in expected.items():
            assert_same(ckpt[name], value)
            assert_same(ckpt.tensor(name).read(), value)
            assert_same(loaded[name], value)
            assert_same(streamed[name], value)
            assert_same(targets.get(name, value), value)
        assert ckpt.verify().ok


def test_listing_is_equal(twins: tuple[Path, Path]) -> None:
    little, big = (fastckpt.open(prefix) for prefix in twins)
    for a, b in zip(little.tensors(), big.tensors(), strict=True):
        assert (a.name, a.tf_dtype, a.shape, a.nbytes, a.shard, a.offset) == (
            b.name, b.tf_dtype, b.shape, b.nbytes, b.shard, b.offset,
        )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_partial_reads(twins: tuple[Path, Path], backend: Any) -> None:
    little, big = twins
    indices: list[Any] = [
        0, -1, np.s_[1:], np.s_[::-2], np.s_[..., 1:3], np.s_[1:3, ::2], np.s_[:, -1], ...,
    ]  # fmt: skip
    with fastckpt.open(big, backend=backend) as ckpt:
        for name, value in fastckpt.load(little).items():
            for index in indices:
                try:
                    expected = value[index]
                except IndexError:
                    continue
                found = ckpt.tensor(name)[index]
                assert type(found) is type(expected)
                assert_same(np.asarray(found), np.asarray(expected))


def test_views_only_where_nothing_is_swapped(twins: tuple[Path, Path]) -> None:
    _, big = twins
    with fastckpt.open(big) as ckpt:
        for name in ("int8/3", "uint8/1", "float8_e4m3fn/3", "bool/3", "int4/3", "qint8"):
            assert ckpt.tensor(name).can_view
            assert not ckpt.tensor(name).view().flags.writeable
        for name in ("int16/3", "bfloat16/1", "complex64/3", "float64/3", "qint32"):
            handle = ckpt.tensor(name)
            assert not handle.can_view
            with pytest.raises(fastckpt.UnsupportedError):
                handle.view()
            with pytest.raises(ValueError, match="without a copy"):
                handle.__array__(copy=False)


def test_pickled_checkpoint(twins: tuple[Path, Path]) -> None:
    little, big = twins
    with fastckpt.open(big) as ckpt:
        copy = pickle.loads(pickle.dumps(ckpt))
    with copy, fastckpt.open(little) as other:
        assert_same(copy["float64/3"], other["float64/3"])


# --- damage --------------------------------------------------------------------------------------


def test_damage_is_found(twins: tuple[Path, Path], tmp_path: Path) -> None:
    _, big = twins
    for path in big.parent.glob("big.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    prefix = tmp_path / "big"
    names = ("float64/3", "string/bytes", "int8/3", "complex64/1")
    with fastckpt.open(prefix) as ckpt:
        places = {name: ckpt.tensor(name) for name in names}
    for name, handle in places.items():
        shard = oracle.shard_path(prefix, handle.shard or 0, 3)
        data = bytearray(shard.read_bytes())
        # Somewhere inside: for the strings that is the checksum of their lengths.
        data[(handle.offset or 0) + 5] ^= 0x10
        shard.write_bytes(data)
        with fastckpt.open(prefix) as ckpt:
            for read in (lambda: ckpt[name], lambda: ckpt.tensor(name)[:1], ckpt.load):  # noqa: B023
                with pytest.raises(fastckpt.DataLossError) as caught:
                    read()
                assert caught.value.key == name
            assert [failure.name for failure in ckpt.verify().failures] == [name]
        data[(handle.offset or 0) + 5] ^= 0x10
        shard.write_bytes(data)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.verify().ok


def test_header_that_lies_about_the_byte_order(twins: tuple[Path, Path], tmp_path: Path) -> None:
    """Numbers cannot tell; the lengths of strings can."""
    little, _ = twins
    header, entries = oracle.read_entries(little)
    header.endianness = 1
    shards = [bytearray(oracle.shard_path(little, n, 3).read_bytes()) for n in range(3)]
    oracle.Bundle(header, dict(entries), shards).write(tmp_path / "liar")
    with fastckpt.open(little) as honest, fastckpt.open(tmp_path / "liar") as liar:
        assert_same(liar["int32/3"], honest["int32/3"].byteswap())
        for name in ("string/bytes", "string/empties", "string/many", "sliced/string"):
            with pytest.raises(fastckpt.DataLossError):
                liar[name]


# --- real checkpoints ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_twin(name: str, tmp_path: Path) -> None:
    expected: ExpectedCheckpoint = GOLDEN[name]
    twin = make_twin(expected.prefix, tmp_path / expected.prefix.name)
    with fastckpt.open(expected.prefix) as original, fastckpt.open(twin) as ckpt:
        assert ckpt.byteorder == "big"
        assert list(ckpt) == [tensor.name for tensor in expected.tensors]
        for tensor in expected.tensors:
            if tensor.sha256 is None:
                assert_same(ckpt[tensor.name], original[tensor.name])
            else:
                assert_tensor(ckpt[tensor.name], tensor)
        assert ckpt.verify().ok


def test_twin_of_a_directory(tmp_path: Path) -> None:
    """The state file has no byte order."""
    expected = GOLDEN["object"]
    expected.copy_to(tmp_path)
    make_twin(expected.prefix, tmp_path / expected.prefix.name)
    with fastckpt.open(tmp_path) as ckpt:
        assert ckpt.byteorder == "big"
        graph = ckpt["_CHECKPOINTABLE_OBJECT_GRAPH"]
    with fastckpt.open(expected.prefix) as original:
        assert graph[()] == original["_CHECKPOINTABLE_OBJECT_GRAPH"][()]
