"""Everything real TensorFlow can store reads back byte for byte as TensorFlow reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from tensorflow.python.training import py_checkpoint_reader

from interop import zoo

pytestmark = pytest.mark.tf

INDEX_BLOCK_BYTES = 256 * 1024  # TensorFlow's data block size
NUM_SHARDS = (1, 2, 7)


@pytest.fixture(scope="session", params=NUM_SHARDS, ids=lambda n: f"{n}-shards")
def animals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint with every dtype, shape, string and name."""
    prefix = tmp_path_factory.mktemp("zoo") / "animals.ckpt"
    tensors = zoo.dtype_tensors() | zoo.string_tensors() | zoo.named_tensors()
    zoo.write(prefix, tensors, num_shards=request.param)
    return prefix


@pytest.fixture(scope="session")
def herd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint with 10 000 tensors and several index blocks."""
    prefix = tmp_path_factory.mktemp("zoo") / "herd.ckpt"
    zoo.write(prefix, zoo.many_tensors(10_000))
    return prefix


def read_theirs(reader: Any, name: str) -> Any:
    """One tensor as TensorFlow's reader gives it; strings always as an object array."""
    value = reader.get_tensor(name)
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def assert_same(ours: Any, theirs: Any, name: str) -> None:
    """Compare one tensor's shape and bytes; string elements one by one."""
    assert isinstance(ours, np.ndarray), name
    assert ours.shape == theirs.shape, name
    if theirs.dtype == object:
        assert ours.dtype == object, name
        assert ours.ravel().tolist() == theirs.ravel().tolist(), name
    else:
        assert ours.dtype.itemsize == theirs.dtype.itemsize, name
        assert ours.tobytes() == theirs.tobytes(), name


def assert_same_listing(ckpt: fastckpt.Checkpoint, reader: Any) -> None:
    """Compare names, their order, dtypes and shapes."""
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    names = sorted(shapes, key=str.encode)
    assert list(ckpt) == names
    assert [handle.name for handle in ckpt.tensors()] == names
    assert {h.name: list(h.shape) for h in ckpt.tensors()} == shapes
    assert {h.name: h.tf_dtype for h in ckpt.tensors()} == {n: dtypes[n].name for n in names}


@pytest.mark.parametrize("dtype", zoo.DTYPES)
def test_dtype(animals: Path, dtype: str) -> None:
    reader = py_checkpoint_reader.NewCheckpointReader(str(animals))
    numpy_type, _ = zoo.DTYPES[dtype]
    with fastckpt.open(animals) as ckpt:
        for shape in zoo.SHAPES:
            name = f"{dtype}/{shape}"
            handle = ckpt.tensor(name)
            assert (handle.tf_dtype, handle.dtype) == (dtype, np.dtype(numpy_type))
            assert_same(ckpt[name], read_theirs(reader, name), name)
            assert_same(handle.read(), read_theirs(reader, name), name)


@pytest.mark.parametrize("name", ["scalar", "scalar_empty", "none", "empties", "long",
                                  "length_127_128", "many", "not_utf8", "rank3"])  # fmt: skip
def test_strings(animals: Path, name: str) -> None:
    key = f"string/{name}"
    theirs = read_theirs(py_checkpoint_reader.NewCheckpointReader(str(animals)), key)
    with fastckpt.open(animals) as ckpt:
        assert ckpt.tensor(key).tf_dtype == "string"
        assert_same(ckpt[key], theirs, key)


def test_names(animals: Path) -> None:
    with fastckpt.open(animals) as ckpt:
        for i, name in enumerate(zoo.NAMES):
            assert name in ckpt
            assert ckpt[name].tolist() == [i]


def test_listing(animals: Path) -> None:
    reader = py_checkpoint_reader.NewCheckpointReader(str(animals))
    with fastckpt.open(animals) as ckpt:
        assert_same_listing(ckpt, reader)


def test_load_and_verify(animals: Path) -> None:
    reader = py_checkpoint_reader.NewCheckpointReader(str(animals))
    with fastckpt.open(animals) as ckpt:
        values = ckpt.load()
        report = ckpt.verify()
        assert len(ckpt.files) == 1 + ckpt.num_shards
    assert report.ok
    assert report.tensors == len(values) == len(reader.get_variable_to_shape_map())
    for name, value in values.items():
        assert_same(value, read_theirs(reader, name), name)


def test_stream(animals: Path) -> None:
    with fastckpt.open(animals) as ckpt:
        places = []
        for name, value in ckpt.stream():
            handle = ckpt.tensor(name)
            places.append((handle.shard, handle.offset))
            assert_same(value, ckpt[name], name)
        assert len(places) == len(ckpt)
    assert places == sorted(places)


def test_several_index_blocks(herd: Path) -> None:
    assert Path(f"{herd}.index").stat().st_size > 3 * INDEX_BLOCK_BYTES
    reader = py_checkpoint_reader.NewCheckpointReader(str(herd))
    with fastckpt.open(herd) as ckpt:
        assert len(ckpt) == 10_000
        assert_same_listing(ckpt, reader)
        assert ckpt.verify().ok
        for name, value in ckpt.load().items():
            assert_same(value, read_theirs(reader, name), name)
