"""Stock TensorFlow restores everything that we write, whatever the layout."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from interop import partitions, zoo
from interop.partitions import DTYPES, LAYOUTS, random_values
from interop.stock import Row, add, assert_restores

pytestmark = pytest.mark.tf

MIB = 1 << 20
LARGE = "large/kernel"


def menagerie(generation: int = 0) -> dict[str, Row]:
    """Every dtype in every shape, awkward names, and tensors that have block checksums."""
    rng = np.random.default_rng(generation)
    rows = [
        Row(f"{dtype}/{name}", random_values(dtype, shape, generation + i), dtype)
        for dtype in DTYPES
        for i, (name, shape) in enumerate(zoo.SHAPES.items())
    ]
    rows += [Row(name, np.int32([i, generation]), "int32") for i, name in enumerate(zoo.NAMES)]
    rows += [Row(LARGE, rng.random((1250, 1000)).astype(np.float32), "float32")]
    rows += [Row("large/exact", rng.integers(0, 255, 8 * MIB, dtype=np.uint8), "uint8")]
    return {row.name: row for row in rows}


def write(prefix: Path, rows: dict[str, Row], **options: Any) -> None:
    with fastckpt.CheckpointWriter(prefix, **options) as writer:
        for row in rows.values():
            add(writer, row)


@pytest.mark.parametrize(
    ("num_shards", "alignment", "block_crcs"),
    [(1, 64, True), (1, 4096, False), (4, 64, True), (4, 1, True), (16, 4096, True)],
)
def test_layouts(tmp_path: Path, num_shards: int, alignment: int, block_crcs: bool) -> None:
    rows = menagerie()
    prefix = tmp_path / "m"
    write(prefix, rows, num_shards=num_shards, alignment=alignment, block_crcs=block_crcs)
    assert len(list(tmp_path.iterdir())) == 1 + num_shards
    assert_restores(prefix, rows)
    with fastckpt.open(prefix) as ckpt:
        offsets = [h.offset for h in ckpt.tensors() if h.nbytes >= 4096]
        assert {offset % alignment for offset in offsets if offset is not None} == {0}
        assert ckpt.verify().ok


def test_overwritten_again_and_again(tmp_path: Path) -> None:
    prefix = tmp_path / "m"
    for generation, num_shards in enumerate([1, 1, 4, 2, 1, 16]):
        rows = menagerie(generation)
        write(prefix, rows, num_shards=num_shards)
        assert_restores(prefix, rows)
        assert fastckpt.open(prefix).verify().ok


def test_more_shards_than_tensors(tmp_path: Path) -> None:
    rows = {name: Row(name, np.float32([1, 2]), "float32") for name in ("a", "b")}
    write(tmp_path / "m", rows, num_shards=16)
    assert len(list(tmp_path.glob("*.data-*-of-00016"))) == 16
    assert_restores(tmp_path / "m", rows)


def test_placed_by_the_caller(tmp_path: Path) -> None:
    rows = [Row(f"t{i}", np.arange(i * 100), "int64") for i in range(8)]
    with fastckpt.CheckpointWriter(tmp_path / "m", num_shards=3) as writer:
        for i, row in enumerate(rows):
            writer.add(row.name, row.values, shard=2 * (i % 2))
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert [ckpt.tensor(row.name).shard for row in rows] == [0, 2] * 4
    assert (tmp_path / "m.data-00001-of-00003").stat().st_size == 0
    assert_restores(tmp_path / "m", {row.name: row for row in rows})


# --- partitioned tensors -------------------------------------------------------------------------


@pytest.mark.parametrize("num_shards", [1, 4])
def test_slices(tmp_path: Path, num_shards: int) -> None:
    prefix = tmp_path / "m"
    with fastckpt.CheckpointWriter(prefix, num_shards=num_shards) as writer:
        for dtype, layout in itertools.product(DTYPES, LAYOUTS):
            values = partitions.values_of(dtype, layout)
            for spec in LAYOUTS[layout].specs:
                add(writer, Row(f"{dtype}/{layout}", values, dtype, spec))
    shapes = dict(tf.train.list_variables(str(prefix)))
    assert len(shapes) == len(DTYPES) * len(LAYOUTS)
    for dtype, layout in itertools.product(DTYPES, LAYOUTS):
        name, values = f"{dtype}/{layout}", partitions.values_of(dtype, layout)
        assert shapes[name] == list(values.shape)
        for spec in LAYOUTS[layout].specs:
            text = partitions.spec_text(values.shape, spec)
            partitions.assert_same(
                partitions.restore(prefix, name, text, dtype), values[partitions.region(spec)]
            )
        if dtype in partitions.ASSEMBLED_BY_TENSORFLOW:
            partitions.assert_same(partitions.restore(prefix, name, "", dtype), values)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.verify().ok


def test_a_slice_of_a_tensor_with_block_checksums(tmp_path: Path) -> None:
    row = menagerie()[LARGE]
    write(tmp_path / "m", {LARGE: row})
    found = partitions.restore(tmp_path / "m", LARGE, "1250 1000 600,50:-", "float32")
    partitions.assert_same(found, row.values[600:650])


# --- TensorFlow's merge --------------------------------------------------------------------------


@pytest.mark.parametrize("shards_of_a_part", [1, 3])
def test_tensorflow_merges_our_parts(tmp_path: Path, shards_of_a_part: int) -> None:
    rows = menagerie()
    names = list(rows)
    parts = []
    for i in range(4):
        parts.append(str(tmp_path / "m_temp" / f"part-{i}"))
        part = {name: rows[name] for name in names[i::4]}
        write(Path(parts[-1]), part, num_shards=shards_of_a_part)
    prefix = tmp_path / "m"
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(prefix))
    assert_restores(prefix, rows)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.num_shards == 4 * shards_of_a_part
        assert ckpt.verify().ok


# --- a reader that is at work meanwhile ----------------------------------------------------------

# Reads the whole checkpoint until the file "stop" appears, and prints what came of it: how many
# generations it saw, readings with values of several, and the errors by kind, which only their
# texts tell: the reader class raises plain OpErrors.
READER = """
import collections, json, pathlib, sys
import numpy as np, tensorflow as tf
prefix, stop = sys.argv[1], pathlib.Path(sys.argv[2])
names = json.loads(sys.argv[3])
seen, errors, mixes = collections.Counter(), collections.Counter(), []
def by_operation():
    return tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names),
        dtypes=[tf.int64] * len(names))
def by_reader():
    reader = tf.train.load_checkpoint(prefix)
    return [reader.get_tensor(name) for name in names]
rounds = 0
while not stop.exists() or rounds < 2:
    try:
        values = (by_reader, by_operation)[rounds % 2]()
    except (tf.errors.OpError, ValueError) as error:
        kinds = ("No such file or directory", "Checksum does not match")
        errors[next((kind for kind in kinds if kind in str(error)), repr(error))] += 1
    else:
        found = {int(x) for value in values for x in np.unique(value)}
        seen.update(found)
        mixes += [sorted(found)] if len(found) != 1 else []
    rounds += 1
    if rounds == 1:
        print("ready", flush=True)
print(json.dumps({"seen": len(seen), "errors": errors, "mixes": mixes}))
"""


@pytest.mark.parametrize(("num_shards", "sync"), [(1, True), (4, False)])
def test_a_reader_never_sees_a_mix(tmp_path: Path, num_shards: int, sync: bool) -> None:
    """TensorFlow opens data files late, and may fail for that; it never returns a mix.

    The file may be gone by then, or its name that of a file of two saves later, whose bytes do not
    have the checksums of the index that was read.
    """
    names = [f"t{i}" for i in range(12)]

    def save(generation: int) -> None:
        tensors = {name: np.full(500 * i + 1, generation) for i, name in enumerate(names)}
        fastckpt.save(tmp_path / "m", tensors, num_shards=num_shards, sync=sync)

    save(0)
    stop = tmp_path / "stop"
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "m"), str(stop), json.dumps(names)],
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for generation in range(1, 51):
            save(generation)
        stop.touch()
        outcome = json.loads(reader.stdout.read())
    assert outcome["mixes"] == []
    assert outcome["seen"] > 1
    assert set(outcome["errors"]) <= {"No such file or directory", "Checksum does not match"}
