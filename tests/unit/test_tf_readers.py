"""Readers by TensorFlow's names, without TensorFlow, and the names the package offers."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt.checkpoint.tensorflow_errors import (
    NotConvertibleError,
    NotTextError,
    ShortShardError,
    WrongTypeError,
)
from fastckpt.dtypes import DType
from fastckpt.training import CheckpointReader
from golden.manifest import golden

LAZY = [
    "NewCheckpointReader", "checkpoint_exists", "checkpoints_iterator", "get_checkpoint_mtimes",
    "get_checkpoint_state", "inspect_checkpoint", "latest_checkpoint", "list_variables",
    "load_checkpoint", "load_variable", "wait_for_new_checkpoint",
]  # fmt: skip


# --- the package's names -------------------------------------------------------------------------


def test_the_names_are_public() -> None:
    assert set(LAZY) <= set(fastckpt.__all__)
    assert set(LAZY) <= set(dir(fastckpt))
    for name in LAZY:
        assert getattr(fastckpt, name).__name__ in (name, f"fastckpt.{name}")
    with pytest.raises(AttributeError, match="no_such_name"):
        fastckpt.no_such_name  # noqa: B018


def test_importing_the_package_imports_none_of_it() -> None:
    code = (
        "import sys, fastckpt; "
        "print([x for x in ('argparse', 'fastckpt.training', 'fastckpt.inspect_checkpoint', "
        "'google.protobuf') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


# --- dtypes --------------------------------------------------------------------------------------


def test_dtype() -> None:
    float32, qint8, string = DType(1), DType(11), DType(7)
    assert float32 == np.float32 == float32
    assert float32 == np.dtype("<f4")
    assert float32 == "float32"
    assert float32 == "float"
    assert float32 == DType(1) != DType(2)
    assert float32 == 1
    for other in (np.float64, "double", None, object(), "no dtype"):
        assert float32 != other
    assert DType(14) == ml_dtypes.bfloat16
    assert {float32: "found"}[DType(1)] == "found"
    assert (float32.name, float32.size, float32.as_datatype_enum) == ("float32", 4, 1)
    assert (str(float32), repr(float32), int(float32)) == (
        "<dtype: 'float32'>", "tf.float32", 1,
    )  # fmt: skip
    assert float32.as_numpy_dtype is np.float32
    assert string.as_numpy_dtype is object
    assert qint8.as_numpy_dtype == np.dtype([("qint8", "i1")])
    assert qint8 != np.int8
    assert pickle.loads(pickle.dumps(qint8)) == qint8
    with pytest.raises(fastckpt.InvalidArgumentError):
        DType(99)
    with pytest.raises(AttributeError):
        float32.name = "other"  # type: ignore[misc]


# --- readers -------------------------------------------------------------------------------------


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """The prefix of a scratch copy of the golden checkpoint `linear`, with its state file."""
    return golden("linear").copy_to(tmp_path / "run")


def test_reader(linear: Path) -> None:
    reader = fastckpt.NewCheckpointReader(str(linear))
    assert type(reader) is CheckpointReader
    assert reader.get_variable_to_shape_map()["w"] == [3, 2]
    assert list(reader.get_variable_to_dtype_map())[:2] == ["b", "global_step"]
    assert reader.get_variable_to_dtype_map()["global_step"] == np.int64
    step = reader.get_tensor("global_step")
    assert (step, type(step)) == (100, np.int64)
    value = reader.get_tensor(b"w")
    value[0, 0] = 7  # an array of one's own
    assert fastckpt.load_variable(linear, "w:0")[0, 0] == 0
    assert reader.checkpoint.prefix == str(linear)
    assert reader.debug_string().startswith(b"b (DT_FLOAT) [2]\nglobal_step (DT_INT64) []\n")


def test_listing_is_in_fresh_lists(linear: Path) -> None:
    first, second = fastckpt.list_variables(linear), fastckpt.list_variables(linear)
    first[0][1].append(9)
    assert second == [(t.name, list(t.shape)) for t in golden("linear").tensors]


def test_a_directory_wins_over_a_prefix_except_in_open(linear: Path) -> None:
    golden("object").copy_to(linear)
    inside = f"{linear}/ckpt-1"
    assert fastckpt.load_checkpoint(linear).checkpoint.prefix == inside
    assert fastckpt.NewCheckpointReader(str(linear)).checkpoint.prefix == str(linear)
    with fastckpt.open(linear) as ckpt:
        assert ckpt.prefix == str(linear)
    os.remove(linear / "checkpoint")
    with pytest.raises(fastckpt.CheckpointNotFoundError, match="prefix of a checkpoint too"):
        fastckpt.load_checkpoint(linear)


def test_a_directory_without_state_says_what_to_pass(tmp_path: Path) -> None:
    shutil.copyfile(golden("linear").prefix.parent / "model.ckpt-100.index", tmp_path / "m.index")
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file") as caught:
        fastckpt.load_checkpoint(tmp_path)
    assert str(tmp_path / "m") in str(caught.value)
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="variables/variables"):
        fastckpt.list_variables(tmp_path / "saved")


def test_a_checkpoint_deleted_between_naming_and_opening(
    linear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([f"{linear}-gone", str(linear)])
    monkeypatch.setattr("fastckpt.training.readers.latest_checkpoint", lambda _: next(answers))
    assert fastckpt.load_checkpoint(linear.parent).checkpoint.prefix == str(linear)
    monkeypatch.setattr("fastckpt.training.readers.latest_checkpoint", lambda _: f"{linear}-gone")
    with pytest.raises(fastckpt.CheckpointNotFoundError):
        fastckpt.load_checkpoint(linear.parent)


def test_missing_names(linear: Path) -> None:
    reader = fastckpt.load_checkpoint(linear)
    with pytest.raises(
        KeyError, match=r"Key W not found in checkpoint.*did you mean 'w'"
    ) as caught:
        reader.get_tensor("W")
    assert isinstance(caught.value, fastckpt.TensorNotFoundError)
    assert caught.value.key == "W"
    assert reader.has_tensor("")  # the header's key, as in TensorFlow


def test_errors_that_are_builtins_too(linear: Path) -> None:
    with pytest.raises(TypeError, match="filepattern must be str or bytes, not PosixPath"):
        fastckpt.NewCheckpointReader(linear)  # type: ignore[arg-type]
    os.truncate(f"{linear}.data-00000-of-00001", 3)
    reader = fastckpt.NewCheckpointReader(str(linear))
    with pytest.raises(IndexError) as caught:
        reader.get_tensor("w")
    assert isinstance(caught.value, fastckpt.DataLossError)


def test_a_variant_is_not_convertible(tmp_path: Path) -> None:
    oracle.write_bundle(tmp_path / "m", {"v": oracle.Variants((), [b"\x0a\x04Kind\x12\x04data"])})
    reader = fastckpt.NewCheckpointReader(str(tmp_path / "m"))
    assert reader.get_variable_to_dtype_map()["v"].name == "variant"
    with pytest.raises(NotConvertibleError, match="not convertible to numpy dtype"):
        reader.get_tensor("v")
    assert reader.checkpoint["v"].shape == ()


@pytest.mark.parametrize("name", ["m.index", "m.data-00000-of-00002", "m.meta"])
def test_other_files_of_a_checkpoint(tmp_path: Path, name: str) -> None:
    oracle.write_bundle(tmp_path / "m", {"v": np.zeros(9)}, num_shards=2)
    (tmp_path / "m.meta").write_bytes(b"\x0a\x02\x08\x01")
    prefix = str(tmp_path / "m")
    for function in (fastckpt.NewCheckpointReader, fastckpt.load_checkpoint):
        with pytest.raises(ValueError, match=f"pass the prefix '{prefix}'"):
            function(str(tmp_path / name))


def test_a_prefix_that_ends_like_a_file(tmp_path: Path) -> None:
    oracle.write_bundle(tmp_path / "m.index", {"v": np.zeros(2)})
    assert fastckpt.list_variables(tmp_path / "m.index") == [("v", [2])]


@pytest.mark.parametrize(
    "error",
    [
        WrongTypeError("m"),
        ShortShardError("m", path="p", offset=3, key="k"),
        NotConvertibleError("m", key="k"),
        NotTextError("m", reason=UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), path="p"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error: fastckpt.CheckpointError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == "m"
    assert (copy.path, copy.offset, copy.key) == (error.path, error.offset, error.key)
    assert copy.args == error.args
