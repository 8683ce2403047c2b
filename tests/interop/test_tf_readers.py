"""Readers by TensorFlow's names against TensorFlow's own: values, orders, types, errors."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf
from tensorflow.python.training import checkpoint_utils, py_checkpoint_reader

import fastckpt
from golden.manifest import CORPUS_ROOT, ExpectedCheckpoint, golden, load_corpus, load_golden
from interop import zoo
from interop.differential import (
    assert_same_error,
    assert_same_outcome,
    assert_same_value,
    outcome,
)

pytestmark = pytest.mark.tf

V2_KINDS = frozenset({"v2-name", "v2-object", "savedmodel-name", "savedmodel-object"})
CORPUS = {expected.name: expected for expected in load_corpus(V2_KINDS)}
CORPUS_V1 = {expected.name: expected for expected in load_corpus(frozenset({"v1", "v1-sharded"}))}
GOLDEN = load_golden()

PAIRS = {
    "NewCheckpointReader": py_checkpoint_reader.NewCheckpointReader,
    "list_variables": tf.train.list_variables,
    "load_variable": tf.train.load_variable,
    "load_checkpoint": tf.train.load_checkpoint,
    "latest_checkpoint": tf.train.latest_checkpoint,
    "get_checkpoint_state": tf.train.get_checkpoint_state,
    "checkpoint_exists": tf.compat.v1.train.checkpoint_exists,
    "get_checkpoint_mtimes": tf.compat.v1.train.get_checkpoint_mtimes,
    "checkpoints_iterator": tf.train.checkpoints_iterator,
    "wait_for_new_checkpoint": checkpoint_utils.wait_for_new_checkpoint,
}


def theirs_of(name: str) -> Any:
    return PAIRS[name]


@pytest.mark.parametrize("name", PAIRS)
def test_signature(name: str) -> None:
    def shape(function: Any) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(inspect.unwrap(function)).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert shape(getattr(fastckpt, name)) == shape(PAIRS[name])


# --- whole checkpoints ---------------------------------------------------------------------------


def assert_same_checkpoint(prefix: str, *, is_v1: bool = False) -> None:
    """Compare every method on every tensor."""
    ours, theirs = fastckpt.NewCheckpointReader(prefix), PAIRS["NewCheckpointReader"](prefix)
    assert_same_listing(prefix, ours, theirs, is_v1=is_v1)
    for name in theirs.get_variable_to_shape_map():
        for key in (name, name.encode()):
            assert ours.has_tensor(key) is theirs.has_tensor(key) is True
        assert ours.has_tensor(f"{name}:0") is theirs.has_tensor(f"{name}:0")
        if is_v1 and outcome(theirs.get_tensor, name).error is not None:
            continue  # TensorFlow refuses V1 tensors of several slices
        assert_same_outcome(ours.get_tensor, theirs.get_tensor, name)
    for absent in ("", "no such tensor", b"no such tensor"):
        assert ours.has_tensor(absent) is theirs.has_tensor(absent)
    assert_same_outcome(ours.get_tensor, theirs.get_tensor, "no such tensor")


def assert_same_listing(prefix: str, ours: Any, theirs: Any, *, is_v1: bool) -> None:
    """Compare names, their order, shapes, dtypes and the debug string."""
    assert fastckpt.list_variables(prefix) == tf.train.list_variables(prefix)
    shapes, dtypes = ours.get_variable_to_shape_map(), ours.get_variable_to_dtype_map()
    assert shapes == theirs.get_variable_to_shape_map()
    assert {(type(name), type(shape)) for name, shape in shapes.items()} <= {(str, list)}
    assert {type(size) for shape in shapes.values() for size in shape} <= {int}
    known = theirs.get_variable_to_dtype_map()
    assert dtypes == known
    for name, dtype in dtypes.items():
        assert (dtype.name, str(dtype), repr(dtype), dtype.as_datatype_enum, dtype.size) == (
            known[name].name, str(known[name]), repr(known[name]),
            known[name].as_datatype_enum, known[name].size,
        )  # fmt: skip
        if dtype.name not in ("variant", "resource"):
            assert dtype.as_numpy_dtype == known[name].as_numpy_dtype
    listed, known_list = ours.debug_string(), theirs.debug_string()
    assert type(listed) is bytes
    if is_v1:
        listed, known_list = sorted(listed.splitlines()), sorted(known_list.splitlines())
    assert listed == known_list


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_same_checkpoint(str(GOLDEN[name].prefix))


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    assert_same_checkpoint(str(CORPUS[name].prefix))


@pytest.mark.parametrize("name", CORPUS_V1)
def test_corpus_v1(name: str) -> None:
    assert_same_checkpoint(str(CORPUS_V1[name].prefix), is_v1=True)


def test_corpus_is_there(corpus_dir: Path) -> None:
    assert corpus_dir == CORPUS_ROOT
    assert len(CORPUS) >= 80
    assert len(CORPUS_V1) >= 3


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint with every dtype, shape, string and name, on three shards."""
    prefix = tmp_path_factory.mktemp("tf_readers") / "animals.ckpt"
    tensors = zoo.dtype_tensors() | zoo.string_tensors() | zoo.named_tensors()
    zoo.write(prefix, tensors, num_shards=3)
    return prefix


def test_zoo(animals: Path) -> None:
    assert_same_checkpoint(str(animals))


def test_several_index_blocks(tmp_path: Path) -> None:
    zoo.write(tmp_path / "herd", zoo.many_tensors(4_000))
    assert_same_checkpoint(str(tmp_path / "herd"))


def test_a_variant(tmp_path: Path) -> None:
    variant = tf.raw_ops.TensorListReserve(
        element_shape=[2], num_elements=3, element_dtype=tf.float32
    )
    zoo.write(tmp_path / "m", {"list": variant, "v": tf.zeros([2])})
    assert_same_checkpoint(str(tmp_path / "m"))


# --- partitioned tensors -------------------------------------------------------------------------


class TestPartitioned:
    """What a checkpoint with slices gives."""

    @pytest.fixture
    def prefix(self, tmp_path: Path) -> str:
        x = tf.reshape(tf.range(24.0), (4, 6))
        tf.raw_ops.SaveV2(
            prefix=str(tmp_path / "m"),
            tensor_names=["rows", "rows", "columns", "columns", "gap", "wide", "plain"],
            shape_and_slices=[
                "4 6 0,1:-", "4 6 1,3:-", "4 6 -:0,5", "4 6 -:5,1", "10 300 0,1:0,300",
                "1 100000 -:0,100000", "",
            ],
            tensors=[
                x[:1], x[1:], x[:, :5], x[:, 5:], tf.zeros([1, 300]),
                tf.zeros([1, 100_000]), x,
            ],
        )  # fmt: skip
        return str(tmp_path / "m")

    def test_everything(self, prefix: str) -> None:
        assert_same_checkpoint(prefix)

    def test_load_variable(self, prefix: str) -> None:
        for name in ("rows", "columns:0"):
            assert_same_outcome(fastckpt.load_variable, tf.train.load_variable, prefix, name)

    def test_a_short_shard(self, prefix: str) -> None:
        os.truncate(f"{prefix}.data-00000-of-00001", 30)
        theirs = outcome(tf.train.load_variable, prefix, "rows").error
        assert isinstance(theirs, IndexError)
        assert_same_error(outcome(fastckpt.load_variable, prefix, "rows").error, theirs)

    def test_dtypes_that_tensorflow_refuses(self, tmp_path: Path) -> None:
        prefix = str(tmp_path / "m")
        value = tf.constant([b"a", b"b", b"c"])
        tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=["s", "s"], shape_and_slices=["3 0,1", "3 1,2"],
            tensors=[value[:1], value[1:]],
        )  # fmt: skip
        assert outcome(tf.train.load_variable, prefix, "s").error is not None
        assert fastckpt.load_variable(prefix, "s").tolist() == [b"a", b"b", b"c"]


# --- paths and arguments -------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with the checkpoint `m`, other files and directories."""
    monkeypatch.chdir(tmp_path)
    zoo.write(Path("m"), {"v": tf.constant([1.0, 2.0]), "s": tf.constant(b"text")})
    Path("m.meta").write_bytes(b"\x0a\x02\x08\x01")
    Path("checkpoint").write_text('model_checkpoint_path: "m"\n')
    Path("empty").touch()
    Path("text").write_text("words, more words and a few words again, as long as a footer is")
    Path("sub").mkdir()
    Path("sub.index").write_bytes(Path("m.index").read_bytes())
    shutil.copytree(golden("object").prefix.parent, "with_state")
    zoo.write(Path("with_state.ckpt"), {"other": tf.constant(1)})
    return tmp_path


PATHS = [
    "m", b"m", "./m", "sub/../m", "m.data-00000-of-00001", "m.meta", "checkpoint", "empty", "text",
    "nothing", "nothing.index", "", ".", "sub", "sub/", "with_state", "with_state/", "m*", "?",
    "nul\0", "no/such/directory", None, 3, Path("m"), Path("with_state"), Path("nothing"),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_paths(small: Path, path: Any) -> None:
    def names(opened: Any) -> list[str]:
        return sorted(opened.get_variable_to_shape_map())

    for function in ("NewCheckpointReader", "load_checkpoint"):
        assert_same_outcome(
            lambda x, f=function: names(getattr(fastckpt, f)(x)),
            lambda x, f=function: names(theirs_of(f)(x)),
            path,
        )
    assert_same_outcome(fastckpt.list_variables, tf.train.list_variables, path)


@pytest.mark.parametrize("path", ["m.data-00000-of-00001", "m.meta", "m.index"])
def test_other_files_name_the_prefix(small: Path, path: str) -> None:
    for function in (fastckpt.NewCheckpointReader, fastckpt.list_variables):
        with pytest.raises(fastckpt.CheckpointError, match=r"pass the prefix 'm'"):
            function(path)


@pytest.mark.parametrize("name", ["v", "v:0", "s", "s:0", "v:0:0", "v:1", "nope", b"v"])
def test_load_variable(small: Path, name: Any) -> None:
    assert_same_outcome(fastckpt.load_variable, tf.train.load_variable, "m", name)
    assert_same_outcome(fastckpt.load_variable, tf.train.load_variable, Path("m"), name)


@pytest.mark.parametrize("key", ["v", b"v", "nope", b"nope", None, 7, Path("v")], ids=repr)
def test_keys(small: Path, key: Any) -> None:
    ours, theirs = fastckpt.NewCheckpointReader("m"), PAIRS["NewCheckpointReader"]("m")
    assert_same_outcome(ours.has_tensor, theirs.has_tensor, key)
    assert_same_outcome(ours.get_tensor, theirs.get_tensor, key)


# --- damage --------------------------------------------------------------------------------------


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A checkpoint of one string and two numeric tensors, to be damaged."""
    prefix = tmp_path / "m"
    zoo.write(prefix, {"s": tf.constant([b"a", b"bb"]), "v": tf.range(3), "w": tf.zeros([4, 4])})
    return prefix


def compare_values(prefix: Path) -> list[type[Exception] | None]:
    """Compare the outcome of every tensor; give the classes of TensorFlow's errors."""
    ours = fastckpt.NewCheckpointReader(str(prefix))
    theirs = PAIRS["NewCheckpointReader"](str(prefix))
    found = []
    for name in "svw":
        there = outcome(theirs.get_tensor, name)
        here = outcome(ours.get_tensor, name)
        if there.error is None:
            assert_same_value(here.value, there.value)
        else:
            assert_same_error(here.error, there.error)
        found.append(type(there.error) if there.error else None)
    return found


def test_a_missing_shard(victim: Path) -> None:
    Path(f"{victim}.data-00000-of-00001").unlink()
    assert fastckpt.list_variables(str(victim)) == tf.train.list_variables(str(victim))
    assert None not in compare_values(victim)


@pytest.mark.parametrize("size", [0, 5, 30])
def test_a_short_shard(victim: Path, size: int) -> None:
    os.truncate(f"{victim}.data-00000-of-00001", size)
    assert compare_values(victim)[-1] is IndexError


@pytest.mark.parametrize("offset", [-1, -70])
def test_a_flipped_byte(victim: Path, offset: int) -> None:
    shard = Path(f"{victim}.data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[offset] ^= 1
    shard.write_bytes(data)
    assert tf.errors.OpError in compare_values(victim)


@pytest.mark.parametrize("size", [0, 10, 47, 60, -1])
def test_a_cut_index(victim: Path, size: int) -> None:
    index = Path(f"{victim}.index")
    index.write_bytes(index.read_bytes()[:size])
    for name in ("NewCheckpointReader", "list_variables"):
        assert_same_outcome(getattr(fastckpt, name), PAIRS[name], str(victim))


@pytest.mark.parametrize("offset", [3, 20, -1, -50])
def test_a_flipped_byte_of_the_index(victim: Path, offset: int) -> None:
    index = Path(f"{victim}.index")
    data = bytearray(index.read_bytes())
    data[offset] ^= 1
    index.write_bytes(data)
    there = outcome(PAIRS["NewCheckpointReader"], str(victim))
    if there.error is not None:
        assert_same_error(outcome(fastckpt.NewCheckpointReader, str(victim)).error, there.error)
    else:
        with pytest.raises(fastckpt.DataLossError):
            fastckpt.NewCheckpointReader(str(victim))


def test_expected_checkpoints_are_read_as_recorded() -> None:
    expected: ExpectedCheckpoint = golden("linear")
    listed = fastckpt.list_variables(expected.prefix)
    assert listed == [(t.name, list(t.shape)) for t in expected.tensors]
    assert all(type(value) is np.float32 for value in fastckpt.load_variable(expected.prefix, "b"))
