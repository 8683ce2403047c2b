"""diff: what is told by checksums, what is read, how far apart, every kind of change."""

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
from fastckpt.checkpoint.legacy_writer import save_v1
from fastckpt.tools.diff import Change, DiffReport, Side, diff
from golden.manifest import golden, load_golden
from unit.cli_helpers import flip_byte, shard_of

RNG = np.random.default_rng(4)


def save(prefix: Path, tensors: dict[str, Any]) -> Path:
    fastckpt.save(prefix, tensors, sync=False)
    return prefix


def differ(tmp_path: Path, a: Any, b: Any, **options: Any) -> Change | None:
    """Compare one tensor; None where both are the same."""
    save(tmp_path / "a", {"x": a})
    save(tmp_path / "b", {"x": b})
    report = diff(tmp_path / "a", tmp_path / "b", **options)
    assert report.same == (not report.changes)
    return report.changes[0] if report.changes else None


@pytest.mark.parametrize("name", load_golden())
def test_a_checkpoint_is_the_same_as_itself(name: str) -> None:
    prefix = golden(name).prefix
    report = diff(prefix, prefix)
    count = len(fastckpt.open(prefix))
    assert (report.equal, report.same, report.unread) == (True, count, count)
    report = diff(prefix, prefix, read_all=True)
    assert (report.equal, report.same, report.unread) == (True, count, 0)


def test_equal_checksums_are_not_read(tmp_path: Path) -> None:
    save(tmp_path / "a", {"x": np.arange(9), "s": [b"q"]})
    save(tmp_path / "b", {"s": [b"q"], "x": np.arange(9)})
    shard_of(tmp_path / "a").unlink()
    assert diff(tmp_path / "a", tmp_path / "b").equal
    report = diff(tmp_path / "a", tmp_path / "b", read_all=True)
    assert sorted(x.name or "" for x in report.failures) == ["s", "x"]


def test_every_kind_of_change(tmp_path: Path) -> None:
    a = {"gone": np.ones(2), "same": np.ones(2), "type": np.ones(2), "shape": np.ones(2)}
    b = {"new": np.ones(2), "same": np.ones(2), "type": np.ones((1, 2), np.float32)}
    report = diff(
        save(tmp_path / "a", {**a, "values": np.array([1.0, 2.0])}),
        save(tmp_path / "b", {**b, "shape": np.ones((2, 1)), "values": np.array([1.0, 5.0])}),
    )
    plain = Side("float64", (2,), 16)
    assert report == DiffReport(
        str(tmp_path / "a"),
        str(tmp_path / "b"),
        same=1,
        unread=1,
        changes=(
            Change("gone", "removed", plain, None),
            Change("new", "added", None, plain),
            Change("shape", "reshaped", plain, Side("float64", (2, 1), 16)),
            Change("type", "retyped", plain, Side("float32", (1, 2), 8)),
            Change("values", "changed", plain, plain, 1, 3.0),
        ),
        failures=(),
    )


@pytest.mark.parametrize(
    ("a", "b", "elements", "max_abs"),
    [
        (np.int64([-(2**63), 1]), np.int64([2**63 - 1, 1]), 1, 2**64 - 1),
        (np.uint64([0, 2**64 - 1]), np.uint64([2**64 - 1, 0]), 2, 2**64 - 1),
        (np.int8([-128, 5]), np.int8([127, 3]), 2, 255),
        (np.array([True, False]), np.array([True, True]), 1, 1),
        (np.float32([1, 2, 3]), np.float32([1, 2.5, 2]), 2, 1.0),
        (np.array([1j, 0]), np.array([1j, 3 + 4j]), 1, 5.0),
        (np.float32([np.inf]), np.float32([-np.inf]), 1, math.inf),
        (np.float32([0.0]), np.float32([-0.0]), 1, 0.0),
        (np.array([1, 2], ml_dtypes.bfloat16), np.array([1, 4], ml_dtypes.bfloat16), 1, 2.0),
        (np.array([1, -8], ml_dtypes.int4), np.array([1, 7], ml_dtypes.int4), 1, 15),
        ([b"a", b"b"], [b"a", b"c"], 1, None),
        ((np.int8([1]), "qint8"), (np.int8([4]), "qint8"), 1, 3),
    ],
)
def test_how_far_apart(tmp_path: Path, a: Any, b: Any, elements: int, max_abs: Any) -> None:
    change = differ(tmp_path, a, b)
    assert change is not None
    assert (change.kind, change.elements, change.max_abs) == ("changed", elements, max_abs)
    assert type(change.max_abs) is type(max_abs)


def test_not_a_number(tmp_path: Path) -> None:
    change = differ(tmp_path, np.array([np.nan, 1.0, 5.0]), np.array([0.0, 2.0, np.nan]))
    assert change is not None
    assert change.elements == 3
    assert change.max_abs is not None
    assert math.isnan(change.max_abs)
    other = np.array([np.float64(np.nan).view(np.uint64) + 1], np.uint64).view(np.float64)
    change = differ(tmp_path, np.array([np.nan]), other)
    assert change is not None
    assert (change.elements, change.max_abs) == (1, 0.0)
    assert differ(tmp_path, np.array([np.nan]), other, atol=1e-9) is None


def test_tolerance(tmp_path: Path) -> None:
    a, b = np.float32([1.0, 100.0, np.inf]), np.float32([1.25, 101.0, np.inf])
    change = differ(tmp_path, a, b, atol=0.5)
    assert change is not None
    assert (change.elements, change.max_abs) == (1, 1.0)
    assert differ(tmp_path, a, b, atol=0.25, rtol=0.01) is None
    assert differ(tmp_path, a, b, rtol=0.2) is None
    assert differ(tmp_path, np.int64([10]), np.int64([12]), atol=2) is None
    assert differ(tmp_path, np.int64([10]), np.int64([12]), atol=1.5) is not None
    for wrong in ({"atol": -1.0}, {"rtol": math.nan}):
        with pytest.raises(fastckpt.InvalidArgumentError, match="atol and rtol"):
            diff(tmp_path / "a", tmp_path / "b", **wrong)


# --- slices, formats, byte order -----------------------------------------------------------------


def test_slices(tmp_path: Path) -> None:
    values = RNG.normal(size=(8, 3)).astype(np.float32)
    other = values.copy()
    other[6, 1] += 1
    cut = [([(0, 4), None], np.s_[:4]), ([(4, 4), None], np.s_[4:])]
    for name, array in (("a", values), ("b", values), ("c", other)):
        parts = [(place, array[index]) for place, index in cut]
        oracle.write_bundle(tmp_path / name, {"p": oracle.Slices((8, 3), parts)})
    save(tmp_path / "whole", {"p": values})
    assert diff(tmp_path / "a", tmp_path / "b").unread == 1
    report = diff(tmp_path / "a", tmp_path / "whole")
    assert (report.equal, report.unread) == (True, 0)
    (change,) = diff(tmp_path / "whole", tmp_path / "c").changes
    assert (change.elements, change.max_abs) == (1, 1.0)


def test_v1_and_byte_order_are_no_difference(tmp_path: Path) -> None:
    tensors = {"x": RNG.normal(size=9), "s": np.array([b"a", b"b"], object)}
    save(tmp_path / "new", tensors)
    save_v1(tmp_path / "old", tensors, sync=False)
    oracle.write_bundle(tmp_path / "big", tensors, byte_order="big")
    for other in ("old", "big"):
        assert diff(tmp_path / "new", tmp_path / other).equal
        assert diff(tmp_path / other, tmp_path / "new").equal


# --- trouble -------------------------------------------------------------------------------------


def test_damage_is_no_difference(tmp_path: Path) -> None:
    save(tmp_path / "a", {"x": np.arange(9), "y": np.arange(9)})
    save(tmp_path / "b", {"x": np.arange(9) + 1, "y": np.arange(9) + 1})
    flip_byte(shard_of(tmp_path / "b"), 5)
    report = diff(tmp_path / "a", tmp_path / "b")
    assert [x.name for x in report.changes] == ["y"]
    assert [x.name for x in report.failures] == ["x"]
    assert not report.equal


def test_a_malformed_entry_is_a_failure(tmp_path: Path) -> None:
    bundle = oracle.build_bundle({"x": np.zeros(2), "y": np.zeros(2)})
    bundle.write(tmp_path / "a")
    bundle.entries[b"x"] = b"\xff\xff\xff"
    bundle.write(tmp_path / "b")
    for first, second in ("ab", "ba"):
        report = diff(tmp_path / first, tmp_path / second)
        assert [x.name for x in report.failures] == ["x"]
        assert (report.changes, report.same) == ((), 1)


def test_large_tensors_are_compared_in_pieces(tmp_path: Path) -> None:
    values = np.zeros((10, 1 << 20), np.float32)
    oracle.write_bundle(tmp_path / "a", {"x": values}, byte_order="big")
    values[9, -1] = 2
    oracle.write_bundle(tmp_path / "b", {"x": values}, byte_order="big")
    seen: list[fastckpt.Progress] = []
    tracemalloc.start()
    report = diff(tmp_path / "a", tmp_path / "b", progress=seen.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.changes[0].elements, report.changes[0].max_abs) == (1, 2.0)
    assert peak < 36 << 20
    assert seen[-1].bytes_done == seen[-1].bytes_total == 40 << 20


def test_100_000_tensors(tmp_path: Path) -> None:
    value = np.zeros(4, np.float32)
    tensors = dict.fromkeys((f"layer_{i // 10:05d}/part_{i % 10}" for i in range(100_000)), value)
    save(tmp_path / "a", tensors)
    save(tmp_path / "b", {**tensors, "layer_00007/part_3": value + 1})
    report = diff(tmp_path / "a", tmp_path / "b")
    assert (report.same, report.unread, len(report.changes)) == (99_999, 99_999, 1)
