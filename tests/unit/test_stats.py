"""stats: every dtype against NumPy in one piece, extremes, totals, damage, memory."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt.tools import stats as module
from fastckpt.tools.stats import Numbers, array_numbers, stats
from golden.manifest import golden, load_golden
from unit.cli_helpers import flip_byte, shard_of

RNG = np.random.default_rng(3)


def twin(values: np.ndarray[Any, Any]) -> Numbers:
    """The same by exact arithmetic, element by element."""
    items = [x.item() if hasattr(x, "item") else x for x in values.ravel()]
    if values.dtype.kind == "V" or "float" in values.dtype.name:
        items = [float(x) for x in items]
    finite = [x for x in items if math.isfinite(x)]
    found = Numbers(len(finite), zeros=sum(x == 0 for x in items))
    found.nans = sum(math.isnan(x) for x in items)
    found.infs = len(items) - len(finite) - found.nans
    if finite:
        found.min, found.max = min(finite), max(finite)
        found.mean = math.fsum(finite) / len(finite)
        found.square_sum = math.fsum((x - found.mean) ** 2 for x in finite)
    return found


def assert_close(found: Numbers | None, expected: Numbers) -> None:
    assert found is not None
    for key in ("finite", "min", "max", "zeros", "nans", "infs"):
        assert getattr(found, key) == getattr(expected, key), key
    for key in ("mean", "std"):
        a, b = getattr(found, key), getattr(expected, key)
        assert (a is None) == (b is None), key
        scale = max(abs(expected.min or 0), abs(expected.max or 0))
        assert a is None or abs(a - b) <= 1e-12 * scale, key


@pytest.mark.parametrize(
    "dtype",
    [
        *("float32", "float64", "float16", "int8", "int16", "int32", "int64", "bool"),
        *("uint8", "uint16", "uint32", "uint64", "bfloat16", "float8_e5m2", "float8_e4m3fn"),
        *("float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3b11fnuz", "float4_e2m1fn"),
        *("int2", "int4", "uint2", "uint4"),
    ],
)
def test_each_dtype_like_its_slow_twin(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 100)
    numpy_dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    masks = {"bool": 1, "int4": 15, "uint4": 15, "float4_e2m1fn": 15, "int2": 3, "uint2": 3}
    raw = np.frombuffer(RNG.bytes(1000 * numpy_dtype.itemsize), np.uint8) & masks.get(dtype, 255)
    values = raw.view(numpy_dtype)
    if dtype == "float64":
        # Random bits reach 1e308, whose squares overflow.
        values = RNG.normal(size=1000)
    with np.errstate(invalid="ignore"):
        widened = values.astype(np.float64) if "float" in dtype else values.astype(object)
    assert_close(array_numbers(values, dtype), twin(widened))


def test_large_means_do_not_cancel() -> None:
    values = 1e9 + RNG.normal(size=500_000)
    found = array_numbers(values, "float64")
    assert found is not None
    assert found.std == pytest.approx(float(values.std()), rel=1e-9)


def test_overflow_is_infinite_and_does_not_warn() -> None:
    found = array_numbers(np.array([1e308, 1e308]), "float64")
    assert found is not None
    assert (found.max, found.mean) == (1e308, math.inf)


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.array([np.nan, np.inf, -np.inf])])
def test_nothing_finite(values: np.ndarray[Any, Any]) -> None:
    assert_close(array_numbers(values, "float64"), twin(values))


def test_what_is_not_real() -> None:
    assert array_numbers(np.array([1j]), "complex128") is None
    assert array_numbers(np.array([b"x"], object), "string") is None


@pytest.mark.parametrize("name", load_golden())
def test_golden_checkpoints(name: str) -> None:
    prefix = golden(name).prefix
    report = stats(prefix, num_threads=3)
    assert report.failures == ()
    with fastckpt.open(prefix) as checkpoint:
        assert [x.name for x in report.tensors] == list(checkpoint)
        for tensor in report.tensors:
            assert tensor.numbers == array_numbers(checkpoint[tensor.name], tensor.dtype)
        assert sum(report.bytes_by_dtype.values()) == checkpoint.nbytes


def test_totals(tmp_path: Path) -> None:
    tensors = {"a": np.array([1.0, np.nan, 0.0]), "b": np.array([[-4, 3]]), "c": [b"x"]}
    fastckpt.save(tmp_path / "m", tensors, sync=False)
    report = stats(tmp_path / "m")
    assert_close(report.total, twin(np.array([1.0, np.nan, 0.0, -4, 3])))
    assert list(report.bytes_by_dtype) == ["float64", "int64", "string"]
    assert [x.name for x in stats(tmp_path / "m", ["c", "a"]).tensors] == ["c", "a"]
    assert [x.name for x in stats(tmp_path / "m", "?").tensors] == ["a", "b", "c"]
    with pytest.raises(fastckpt.TensorNotFoundError):
        stats(tmp_path / "m", "d")


def test_a_damaged_tensor_does_not_hide_the_others(tmp_path: Path) -> None:
    bundle = oracle.build_bundle({"a": np.ones(3), "b": [b"text"], "c": np.ones(2), "d": b"x"})
    bundle.entries[b"d"] = b"\xff\xff\xff"
    bundle.write(tmp_path / "m")
    flip_byte(shard_of(tmp_path / "m"), 0)
    flip_byte(shard_of(tmp_path / "m"), 24 + 6)
    report = stats(tmp_path / "m", progress=lambda _: None)
    assert [x.name for x in report.failures] == ["a", "b", "d"]
    assert [x.name for x in report.tensors] == ["c"]
    assert report.total == Numbers(2, 1.0, 1.0, 1.0)


def test_memory_and_progress(tmp_path: Path) -> None:
    # Big-endian tensors have no view, and come in pieces of 16 MiB.
    values = {"big": np.ones(10 << 20, np.float32), "small": np.ones(3, np.float32)}
    oracle.write_bundle(tmp_path / "m", values, byte_order="big")
    seen: list[fastckpt.Progress] = []
    tracemalloc.start()
    report = stats(tmp_path / "m", num_threads=1, progress=seen.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.total.finite == (10 << 20) + 3
    assert peak < 36 << 20
    assert seen[-1].bytes_done == seen[-1].bytes_total == (40 << 20) + 12
