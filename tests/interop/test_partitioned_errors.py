"""Partitioned tensors that cannot be read: overlaps, gaps, what is missing, wrong requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fastckpt
import oracle

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from interop import partitions
from interop.partitions import LAYOUTS, assert_same, save_slices

pytestmark = pytest.mark.tf

GRID = np.arange(12, dtype=np.float32).reshape(4, 3)


def assert_unreadable(prefix: Path, error: type[Exception], match: str) -> None:
    """Check that every way to the whole tensor "w" raises, and that verify() says so."""
    with fastckpt.open(prefix) as ckpt:
        handle = ckpt.tensor("w")
        assert handle.shape == (4, 3)
        for read in (
            handle.read,
            lambda: ckpt["w"],
            lambda: handle[...],
            ckpt.load,
            lambda: dict(ckpt.stream()),
            lambda: ckpt.load_into({"w": np.zeros((4, 3), np.float32)}),
        ):
            with pytest.raises(error, match=match) as caught:
                read()
            assert caught.value.key == "w"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "specs",
    [
        ["0,3:-", "2,2:-"],
        ["0,2:-", "2,2:-", "1,1:0,1"],
        ["0,4:0,2", "-:1,2"],
        ["0,2:-", "0,2:0,3"],
    ],
)
def test_overlapping_slices(tmp_path: Path, specs: list[str]) -> None:
    prefix = save_slices(tmp_path / "overlap", "w", GRID, specs)
    with pytest.raises(tf.errors.InternalError, match=r"[Oo]verlapping"):
        partitions.restore(prefix, "w", "", "float32")
    assert_unreadable(prefix, fastckpt.InvalidArgumentError, "overlap")
    with fastckpt.open(prefix) as ckpt:
        # As in TensorFlow, even where only one of the slices is wanted.
        with pytest.raises(fastckpt.InvalidArgumentError, match="overlap"):
            ckpt.tensor("w")[3:, :1]
        assert [failure.name for failure in ckpt.verify().failures] == ["w"]


@pytest.mark.parametrize("specs", [["0,2:-"], ["0,1:-", "2,2:-"], ["-:0,1", "-:2,1"]])
def test_insufficient_slices(tmp_path: Path, specs: list[str]) -> None:
    prefix = save_slices(tmp_path / "gap", "w", GRID, specs)
    with pytest.raises(tf.errors.InvalidArgumentError, match="sufficient slices"):
        partitions.restore(prefix, "w", "", "float32")
    assert_unreadable(prefix, fastckpt.InvalidArgumentError, "sufficient slices")
    with fastckpt.open(prefix) as ckpt:
        assert_same(ckpt.tensor("w")[:1, :1], GRID[:1, :1])
        assert_same(ckpt.tensor("w")[2:2], GRID[2:2])
        with pytest.raises(fastckpt.InvalidArgumentError, match="sufficient slices"):
            ckpt.tensor("w")[0:4, 0:3]


def test_missing_slice_entry(tmp_path: Path) -> None:
    prefix = save_slices(tmp_path / "missing", "w", GRID, ["0,2:-", "2,2:-"])
    header, entries = oracle.read_entries(prefix)
    del entries[oracle.slice_key(b"w", [(2, 2), None])]
    oracle.index_path(prefix).write_bytes(oracle.Bundle(header, dict(entries)).index())
    with pytest.raises(tf.errors.NotFoundError):
        partitions.restore(prefix, "w", "", "float32")
    assert_unreadable(prefix, fastckpt.TensorNotFoundError, "missing")
    with fastckpt.open(prefix) as ckpt:
        assert_same(ckpt.tensor("w")[:2], partitions.restore(prefix, "w", "4 3 0,2:-", "float32"))
        with pytest.raises(fastckpt.TensorNotFoundError):
            ckpt.tensor("w")[1:3]
        # The bytes that the removed entry described are a gap that is not zero.
        assert {failure.name for failure in ckpt.verify().failures} == {"w", None}


def test_damaged_slice(tmp_path: Path) -> None:
    prefix = save_slices(tmp_path / "flip", "w", GRID, ["0,2:-", "2,2:-"])
    shard = oracle.shard_path(prefix, 0, 1)
    data = bytearray(shard.read_bytes())
    data[30] ^= 1
    shard.write_bytes(data)
    with fastckpt.open(prefix) as ckpt:
        assert_same(ckpt.tensor("w")[:2], GRID[:2])
        for read in (lambda: ckpt["w"], lambda: ckpt.tensor("w")[3], ckpt.load):
            with pytest.raises(fastckpt.DataLossError):
                read()
        assert len(ckpt.verify().failures) == 1
    with fastckpt.open(prefix, verify="off") as ckpt:
        assert ckpt["w"][3].tobytes() == data[36:]


def test_missing_shard_of_some_slices(tmp_path: Path) -> None:
    prefix = tmp_path / "shards"
    partitions.write(prefix, 2)
    oracle.shard_path(prefix, 1, 2).unlink()
    with fastckpt.open(prefix) as ckpt:
        values = partitions.values_of("float16", "rows_implicit")
        found = 0
        for spec in LAYOUTS["rows_implicit"].specs:
            try:
                part = ckpt.tensor("float16/rows_implicit")[partitions.region(spec)]
            except fastckpt.CheckpointNotFoundError:
                continue
            assert_same(part, values[partitions.region(spec)])
            found += 1
        assert found == 1
        with pytest.raises(fastckpt.CheckpointNotFoundError, match="data-00001-of-00002"):
            ckpt["float16/rows_implicit"]


def test_wrong_requests(tmp_path: Path) -> None:
    prefix = save_slices(tmp_path / "wrong", "w", GRID, ["0,1:-", "1,3:-"])
    with fastckpt.open(prefix) as ckpt:
        handle = ckpt.tensor("w")
        for index in (4, (0, 3), -5, (0, 0, 0)):
            with pytest.raises(IndexError):
                handle[index]
        for index in ([0, 1], np.array([0]), "w", True, 1.0):
            with pytest.raises(fastckpt.InvalidArgumentError):
                handle[index]
        for out in (np.zeros((3, 4), np.float32), np.zeros((4, 3), np.float64)):
            with pytest.raises(fastckpt.InvalidArgumentError):
                handle.read(out)
            with pytest.raises(fastckpt.InvalidArgumentError):
                ckpt.load_into({"w": out})
    for spec in ("3 4 0,1:-", "4 3 1,9:-", "4 0,1"):
        with pytest.raises(tf.errors.OpError):
            partitions.restore(prefix, "w", spec, "float32")
