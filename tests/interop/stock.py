"""Checkpoints written by stock TensorFlow and by us, and what TensorFlow makes of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import fastckpt
from interop import partitions
from interop.partitions import Spec

# TensorFlow's layout: no padding and nothing in the entries that TensorFlow does not write.
STOCK_LAYOUT: dict[str, Any] = {"num_shards": 1, "alignment": 1, "block_crcs": False}


class Row(NamedTuple):
    """A tensor, or with `spec` the slice of one, under TensorFlow's name of its dtype."""

    name: str
    values: np.ndarray[Any, Any]
    dtype: str
    spec: Spec | None = None

    @property
    def part(self) -> np.ndarray[Any, Any]:
        """What is stored of the values."""
        return self.values if self.spec is None else self.values[partitions.region(self.spec)]


def add(writer: fastckpt.CheckpointWriter, row: Row) -> None:
    """Write one row with fastckpt."""
    if row.spec is None:
        writer.add(row.name, row.part, dtype=row.dtype)
        return
    start = [None if extent is None else extent[0] for extent in row.spec]
    writer.add_slice(row.name, row.part, row.values.shape, start, dtype=row.dtype)


def save_by_tensorflow(prefix: Path, rows: Iterable[Row]) -> None:
    """Write rows with SaveV2, in their order."""
    partitions.save_rows(
        prefix,
        [
            (
                row.name,
                "" if row.spec is None else partitions.spec_text(row.values.shape, row.spec),
                partitions.as_tensor(row.part, row.dtype),
            )
            for row in rows
        ],
    )


def assert_same_files(ours: Path | str, theirs: Path | str) -> None:
    """Compare an unsharded checkpoint with TensorFlow's, byte for byte."""
    for suffix in (".data-00000-of-00001", ".index"):
        our_bytes = Path(f"{ours}{suffix}").read_bytes()
        their_bytes = Path(f"{theirs}{suffix}").read_bytes()
        # Megabytes in a failed assertion help nobody.
        assert len(our_bytes) == len(their_bytes), suffix
        different = np.frombuffer(our_bytes, np.uint8) != np.frombuffer(their_bytes, np.uint8)
        assert np.flatnonzero(different)[:5].tolist() == [], suffix


def check_identical(folder: Path, rows: Sequence[Row], num_threads: int = 2) -> None:
    """Write rows with both, whole tensors also through `save`, and compare the files."""
    folder.mkdir(parents=True, exist_ok=True)
    theirs, streamed = folder / "theirs", folder / "streamed"
    save_by_tensorflow(theirs, rows)
    with fastckpt.CheckpointWriter(streamed, **STOCK_LAYOUT, num_threads=num_threads) as writer:
        for row in rows:
            add(writer, row)
    assert_same_files(streamed, theirs)
    if all(row.spec is None for row in rows):
        tensors = {row.name: (row.values, row.dtype) for row in rows}
        at_once = fastckpt.save(
            folder / "at_once", tensors, **STOCK_LAYOUT, num_threads=num_threads
        )
        assert_same_files(at_once, theirs)


def assert_restores(prefix: Path | str, rows: Mapping[str, Row]) -> None:
    """TensorFlow's listing and its restore operation agree with the whole tensors of `rows`."""
    reader = tf.train.load_checkpoint(str(prefix))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert shapes == {name: list(row.values.shape) for name, row in rows.items()}
    assert {n: d.name for n, d in dtypes.items()} == {n: row.dtype for n, row in rows.items()}
    values = tf.raw_ops.RestoreV2(
        prefix=str(prefix),
        tensor_names=list(rows),
        shape_and_slices=[""] * len(rows),
        dtypes=[tf.dtypes.as_dtype(row.dtype) for row in rows.values()],
    )
    for row, value in zip(rows.values(), values, strict=True):
        partitions.assert_same(_numpy(value, row.dtype), row.values)


def _numpy(value: Any, dtype: str) -> np.ndarray[Any, Any]:
    if dtype.startswith(("qint", "quint")):
        value = tf.bitcast(value, tf.dtypes.as_dtype(dtype.removeprefix("q")))
    found = value.numpy()
    return found if isinstance(found, np.ndarray) else np.array(found, partitions.DTYPES[dtype])
