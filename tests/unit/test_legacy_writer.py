"""Writing V1 checkpoints: read back by this library, and equal to what the oracle makes."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
from fastckpt.checkpoint.legacy_writer import Placed, save_v1
from fastckpt.checkpoint.writer import save
from oracle.legacy import V1File, build_v1

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16")
QUANTISED = {"qint8": (11, "int8"), "quint8": (12, "uint8"), "qint32": (13, "int32")}


def all_types() -> dict[str, Any]:
    """Every plain dtype with its extremes, strings, scalars and empty tensors."""
    values: dict[str, Any] = {}
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


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what is written -------------------------------------------------------------------------


def test_every_type_reads_back(tmp_path: Path) -> None:
    values = all_types()
    path = save_v1(tmp_path / "model", values)
    assert (path, files(tmp_path)) == (str(tmp_path / "model"), ["model"])
    with fastckpt.open(path) as ckpt:
        assert ckpt.format == "v1"
        assert list(ckpt) == sorted(values)
        for name, value in values.items():
            assert_same(ckpt[name], value)
        assert ckpt.verify().ok


def test_every_type_equals_the_oracle(tmp_path: Path) -> None:
    values = all_types()
    save_v1(tmp_path / "model", values)
    assert (tmp_path / "model").read_bytes() == build_v1(values).table()


@pytest.mark.parametrize("dtype", QUANTISED)
def test_quantised_types(tmp_path: Path, dtype: str) -> None:
    number, plain = QUANTISED[dtype]
    info = np.iinfo(plain)
    value = np.array([[info.min, info.max], [0, 1]], plain)
    save_v1(tmp_path / "a", {"x": (value, dtype)})
    save_v1(tmp_path / "b", {"x": Placed(value, dtype=dtype)})
    oracle = V1File()
    oracle.add("x", value, dtype=number)
    assert (tmp_path / "a").read_bytes() == oracle.table()
    assert (tmp_path / "b").read_bytes() == oracle.table()
    with fastckpt.open(tmp_path / "a") as ckpt:
        assert ckpt.tensor("x").tf_dtype == dtype
        assert_same(ckpt["x"], value)


def test_python_values(tmp_path: Path) -> None:
    save_v1(tmp_path / "m", {"f": 1.5, "i": [1, 2], "s": "text", "b": [b"a", b""]})
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert ckpt["f"][()] == 1.5
        assert ckpt["i"].tolist() == [1, 2]
        assert ckpt["s"][()] == b"text"
        assert ckpt["b"].tolist() == [b"a", b""]


def test_bools_of_other_bits(tmp_path: Path) -> None:
    odd = np.array([0, 1, 2, 255], np.uint8).view(np.bool_)
    save_v1(tmp_path / "m", {"b": odd})
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert ckpt["b"].view(np.uint8).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("dtype", ["float32", "int16", "complex64", "bool", "float16"])
def test_strides_and_byte_order(tmp_path: Path, dtype: str) -> None:
    base = (np.arange(7 * 9 * 4) % 2 if dtype == "bool" else np.arange(7 * 9 * 4)).astype(dtype)
    cube = base.reshape(7, 9, 4)
    views = {
        "fortran": np.asfortranarray(cube),
        "steps": cube[::-2, 1::3, ::-1],
        "swapped": cube.astype(cube.dtype.newbyteorder(">"))[:, ::2],
        "broadcast": np.broadcast_to(cube[0, 0, :1], (5, 3)),
    }
    save_v1(tmp_path / "m", views)
    with fastckpt.open(tmp_path / "m") as ckpt:
        for name, value in views.items():
            native = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("="))
            assert_same(ckpt[name], native)


def test_tables_of_many_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values = {f"v{i:04}": rng.integers(-(2**40), 2**40, i % 300) for i in range(1500)}
    values["large"] = rng.standard_normal(400_000)
    save_v1(tmp_path / "m", dict(reversed(values.items())))
    assert (tmp_path / "m").stat().st_size > 4 << 20
    assert (tmp_path / "m").read_bytes() == build_v1(values).table()


def test_slices(tmp_path: Path) -> None:
    whole = np.arange(24, dtype=np.int32).reshape(6, 4)
    parts: list[tuple[str, Any]] = [
        ("w", Placed(whole[4:], (6, 4), (4, None))),
        ("other", np.float32(3)),
        ("w", Placed(whole[:4, 1:], (6, 4), (0, 1))),
        ("w", Placed(whole[:4, :1], (6, 4), (0, 0))),
    ]
    save_v1(tmp_path / "m", parts)
    oracle = V1File()
    oracle.add("other", np.float32(3))
    oracle.add("w", whole[4:], shape=(6, 4), extents=[(4, 2), None])
    oracle.add("w", whole[:4, 1:], shape=(6, 4), extents=[(0, 4), (1, 3)])
    oracle.add("w", whole[:4, :1], shape=(6, 4), extents=[(0, 4), (0, 1)])
    assert (tmp_path / "m").read_bytes() == oracle.table()
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert_same(ckpt["w"], whole)
        assert len(ckpt.tensor("w").parts) == 3


def test_a_scalar_in_the_form_of_a_slice(tmp_path: Path) -> None:
    save_v1(tmp_path / "m", {"s": Placed(np.float32(2), (), ())})
    save_v1(tmp_path / "plain", {"s": np.float32(2)})
    assert (tmp_path / "m").read_bytes() == (tmp_path / "plain").read_bytes()


# --- shards ----------------------------------------------------------------------------------


def test_shards(tmp_path: Path) -> None:
    whole = np.arange(10.0)
    tensors = [
        ("a", Placed(np.zeros(100), shard=0)),
        ("w", Placed(whole[:5], (10,), (0,), shard=0)),
        ("w", Placed(whole[5:], (10,), (5,), shard=1)),
        ("free", np.ones(3)),
    ]
    pattern = save_v1(tmp_path / "m", tensors, num_shards=2)
    assert pattern == str(tmp_path / "m-?????-of-00002")
    assert files(tmp_path) == ["m-00000-of-00002", "m-00001-of-00002"]
    with fastckpt.open(pattern) as ckpt:
        assert ckpt.num_shards == 2
        assert list(ckpt) == ["a", "free", "w"]
        assert_same(ckpt["w"], whole)
        assert ckpt.verify().ok
    second = V1File()
    second.add("free", np.ones(3))
    second.add("w", whole[5:], shape=(10,), extents=[(5, 5)])
    assert (tmp_path / "m-00001-of-00002").read_bytes() == second.table()


def test_one_shard_has_the_name_of_a_shard(tmp_path: Path) -> None:
    pattern = save_v1(tmp_path / "m", {"a": 1}, num_shards=1)
    assert files(tmp_path) == ["m-00000-of-00001"]
    with fastckpt.open(pattern) as ckpt:
        assert ckpt["a"][()] == 1


def test_threads_make_no_difference(tmp_path: Path) -> None:
    values = {f"v{i}": np.arange(i * 50) for i in range(60)}
    for threads in (1, 4):
        save_v1(tmp_path / str(threads), values, num_shards=5, num_threads=threads)
    for i in range(5):
        suffix = f"-{i:05d}-of-00005"
        one = (tmp_path / f"1{suffix}").read_bytes()
        assert one == (tmp_path / f"4{suffix}").read_bytes()


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.zeros(2, ml_dtypes.bfloat16), "bfloat16"),
        (np.zeros(2, ml_dtypes.float8_e5m2), "float8_e5m2"),
        (np.zeros(2, ml_dtypes.int4), "int4"),
        (np.zeros(2, np.uint32), "uint32"),
        (np.zeros(2, np.uint64), "uint64"),
        ((np.zeros(2, np.int16), "qint16"), "qint16"),
        ((np.zeros(2, np.uint16), "quint16"), "quint16"),
    ],
)
def test_dtypes_that_v1_lacks(tmp_path: Path, value: Any, name: str) -> None:
    with pytest.raises(fastckpt.UnsupportedError, match=f"'x': V1 files cannot hold {name};") as e:
        save_v1(tmp_path / "new" / "m", {"x": value})
    assert e.value.key == "x"
    assert files(tmp_path) == []


WHOLE = np.arange(6.0)
REFUSED: dict[str, tuple[Any, str]] = {
    "twice": ([("x", 1), ("x", 2)], "two tensors have the name"),
    "whole_and_slice": ([("x", WHOLE), ("x", Placed(WHOLE[:3], (6,), (0,)))], "two tensors"),
    "overlap": (
        [("x", Placed(WHOLE[:4], (6,), (0,))), ("x", Placed(WHOLE[3:], (6,), (3,)))],
        "overlap",
    ),
    "same_region": (
        [("x", Placed(WHOLE, (6,), (0,))), ("x", Placed(WHOLE, (6,), (None,)))],
        "overlap",
    ),
    "incomplete": ({"x": Placed(WHOLE[:4], (6,), (0,))}, "hold 4 of the 6 elements"),
    "outside": ({"x": Placed(WHOLE[:4], (6,), (3,))}, "does not lie inside"),
    "not_full": ({"x": Placed(WHOLE[:4], (6,), (None,))}, "does not lie inside"),
    "negative": ({"x": Placed(WHOLE[:4], (6,), (-1,))}, "does not lie inside"),
    "empty": ({"x": Placed(WHOLE[:0], (6,), (0,))}, "does not lie inside"),
    "rank": ({"x": Placed(WHOLE, (6, 1), (0, 0))}, "their lengths differ"),
    "no_start": ({"x": Placed(WHOLE, (6,))}, "their lengths differ"),
    "no_numbers": ({"x": Placed(WHOLE, ("6",), (0,))}, "must be integers"),  # type: ignore[arg-type]
    "empty_name": ({"": 1}, "must not be empty"),
    "too_large": ({"x": np.broadcast_to(np.int8(0), (1 << 28,))}, "too large for a V1 file"),
    "huge": ({"x": np.broadcast_to(np.int8(0), (1 << 31, 1 << 31))}, "too large for a V1 file"),
    "shard": ({"x": Placed(WHOLE, shard=1)}, "no shard 1"),
    "bad_shard": ({"x": Placed(WHOLE, shard=-1)}, "from 0 on"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_write_nothing(tmp_path: Path, case: str) -> None:
    tensors, text = REFUSED[case]
    with pytest.raises(fastckpt.InvalidArgumentError, match=text):
        save_v1(tmp_path / "new" / "m", tensors)
    assert files(tmp_path) == []


@pytest.mark.parametrize("num_shards", [0, -1, "2", 1.0, 1 << 21])
def test_numbers_of_shards(tmp_path: Path, num_shards: Any) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="num_shards must be"):
        save_v1(tmp_path / "m", {"x": 1}, num_shards=num_shards)


def test_a_v2_checkpoint_of_the_same_name(tmp_path: Path) -> None:
    save(tmp_path / "m", {"x": 1})
    before = files(tmp_path)
    with pytest.raises(fastckpt.InvalidArgumentError, match="V2 checkpoint"):
        save_v1(tmp_path / "m", {"x": 2})
    assert files(tmp_path) == before


# --- commit --------------------------------------------------------------------------------------


def test_directories_are_made(tmp_path: Path) -> None:
    path = save_v1(tmp_path / "a" / "b" / "m", {"x": 1}, sync=False)
    with fastckpt.open(path) as ckpt:
        assert ckpt["x"][()] == 1


@pytest.mark.parametrize("num_shards", [None, 2])
def test_overwriting(tmp_path: Path, num_shards: int | None) -> None:
    for value in (1, 2):
        path = save_v1(tmp_path / "m", {"x": value, "y": 5}, num_shards=num_shards)
        with fastckpt.open(path) as ckpt:
            assert ckpt["x"][()] == value
    assert len(files(tmp_path)) == (num_shards or 1)


@pytest.mark.parametrize("num_shards", [None, 2])
def test_a_cancelled_save_leaves_the_old_one(tmp_path: Path, num_shards: int | None) -> None:
    save_v1(tmp_path / "m", {"x": 1}, num_shards=num_shards)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(_: fastckpt.Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        save_v1(tmp_path / "m", {"x": np.arange(2_000_000)}, num_shards=num_shards, progress=stop)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_progress(tmp_path: Path) -> None:
    seen: list[fastckpt.Progress] = []
    values = {"a": np.zeros(10, np.float32), "s": [b"abc", b""]}
    save_v1(tmp_path / "m", values, progress=seen.append)
    assert seen[-1][:3] == (43, 43, 2)
    assert seen[-1].name in values


def test_two_writers_of_one_path(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(_: fastckpt.Progress) -> None:
        entered.set()
        assert leave.wait(60)

    def first() -> None:
        save_v1(tmp_path / "m", {"x": 1}, progress=wait)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert entered.wait(60)
        with pytest.raises(fastckpt.CheckpointBusyError):
            save_v1(tmp_path / "m", {"x": 2})
    finally:
        leave.set()
        thread.join()
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert ckpt["x"][()] == 1


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    save_v1(tmp_path / "m", {"x": 1})
    before = (tmp_path / "m").read_bytes()
    script = textwrap.dedent(f"""
        import numpy as np
        from fastckpt.checkpoint.legacy_writer import save_v1
        print("ready", flush=True)
        while True:
            save_v1({str(tmp_path / "m")!r}, {{"x": np.full(3_000_000, 7, np.int32)}}, sync=False)
    """)
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        with fastckpt.open(tmp_path / "m") as ckpt:
            value = ckpt["x"]
            assert ckpt.verify().ok
            assert value.shape == (3_000_000,) or (tmp_path / "m").read_bytes() == before
    save_v1(tmp_path / "m", {"x": 2})
    assert files(tmp_path) == ["m"]
