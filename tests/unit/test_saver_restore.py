"""Restoring: the report, what is not assigned, slices, shapes, other people's checkpoints."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import protos
from fastckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    DataLossError,
    InvalidArgumentError,
    TensorNotFoundError,
)
from fastckpt.training.saver import Saver


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def zeros(**shapes: Any) -> dict[str, Any]:
    return {name.replace("_", "/"): np.zeros(shape, np.float32) for name, shape in shapes.items()}


def save(prefix: str = "m", **shapes: Any) -> None:
    tensors = {name: array + 1 for name, array in zeros(**shapes).items()}
    fastckpt.save(prefix, tensors, sync=False)


def assert_untouched(arrays: dict[str, Any]) -> None:
    assert {name for name, array in arrays.items() if array.any()} == set()


def test_everything_wrong_is_in_one_report() -> None:
    save(layer_kernel=(2, 3), layer_bias=(3,), fits=(4,), extra=(1,))
    arrays = zeros(layer_kernl=(2, 3), layer_bias=(5,), fits=(4,))
    arrays["extra"] = np.zeros(1, np.int32)
    with pytest.raises(TensorNotFoundError) as caught:
        Saver(arrays).restore("m")
    text = str(caught.value)
    assert text.startswith("Restoring from checkpoint failed.")
    for part in (
        "a Variable name or other graph key that is missing",
        "Key layer/kernl not found in checkpoint; did you mean 'layer/kernel'",
        "layer/bias: Assign requires shapes of both tensors to match. lhs shape= [5] rhs shape=",
        "extra: expected dtype int32 does not equal original dtype float32",
        "asked for by no variable: 'layer/kernel'",
        "Nothing was assigned",
    ):
        assert part in text
    assert caught.value.key == "layer/kernl"
    assert_untouched(arrays)


def test_a_mismatch_alone_is_an_invalid_argument() -> None:
    save(w=(3,), b=(2,))
    arrays = zeros(w=(4,), b=(2,))
    with pytest.raises(InvalidArgumentError, match="a mismatch between the current graph") as e:
        Saver(arrays).restore("m")
    assert not isinstance(e.value, KeyError)
    assert_untouched(arrays)


def test_many_missing_names_are_counted() -> None:
    save(w=(1,))
    arrays = {f"v{i:03d}": np.zeros(1, np.float32) for i in range(100)}
    with pytest.raises(TensorNotFoundError, match="and 80 more"):
        Saver(arrays).restore("m")


def test_the_rest_on_request(caplog: pytest.LogCaptureFixture) -> None:
    save(a=(2,), b=(3,), c=(1,))
    arrays = zeros(a=(2,), b=(4,), d=(1,))
    with caplog.at_level(logging.WARNING, "fastckpt"):
        report = Saver(arrays).restore("m", strict=False)
    assert report.restored == ["a"]
    assert report.missing == ["d"]
    assert list(report.mismatched) == ["b"]
    assert report.unexpected == ["c"]
    assert report.values is arrays
    assert not report.ok
    assert arrays["a"].tolist() == [1, 1]
    assert_untouched({"b": arrays["b"], "d": arrays["d"]})
    (text,) = (x.getMessage() for x in caplog.records)
    assert "Key d not found in checkpoint" in text
    assert Saver({"a": arrays["a"]}).restore("m", strict=False).ok


def test_names_are_remapped() -> None:
    save(v1=(2,), v2=(2,))
    arrays = zeros(v1=(2,), v2=(2,))
    arrays["v2"] += 5
    Saver({"v1": arrays["v2"]}).restore("m")
    assert arrays["v2"].tolist() == [1, 1]
    assert_untouched({"v1": arrays["v1"]})


def test_reshape() -> None:
    save(w=(2, 3))
    arrays = zeros(w=(6,))
    Saver(arrays, reshape=True).restore("m")
    assert arrays["w"].tolist() == [1] * 6
    with pytest.raises(InvalidArgumentError, match="Input to reshape is a tensor with 6 values"):
        Saver(zeros(w=(4,)), reshape=True).restore("m")


def test_damaged_bytes_assign_nothing() -> None:
    save(a=(2,), b=(3,))
    data = Path("m.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    for arrays in (zeros(a=(2,), b=(3,)), _variables("a", "b", shapes=(2, 3))):
        with pytest.raises(DataLossError):
            Saver(arrays).restore("m")
        assert_untouched({name: np.asarray(x) for name, x in arrays.items()})


def _variables(*names: str, shapes: tuple[int, ...]) -> dict[str, Any]:
    return {
        name: fastckpt.Variable(np.zeros(shape, np.float32), name=f"{name}_of_damage")
        for name, shape in zip(names, shapes, strict=True)
    }


def test_a_missing_shard() -> None:
    save(a=(2,))
    os.remove("m.data-00000-of-00001")
    arrays = zeros(a=(2,))
    with pytest.raises(CheckpointNotFoundError):
        Saver(arrays).restore("m")
    assert_untouched(arrays)


PATHS: dict[str, tuple[type[Exception], Any]] = {
    "none": (ValueError, None),
    "nowhere": (ValueError, "nowhere"),
    "empty": (ValueError, ""),
    "number": (TypeError, 3),
    "index": (ValueError, "m.index"),
    "data": (DataLossError, "m.data-00000-of-00001"),
    "meta": (DataLossError, "m.meta"),
    "state": (DataLossError, "checkpoint"),
    "directory": (DataLossError, "d"),
    "NUL": (ValueError, "m\0"),
    "pattern": (CheckpointError, "*"),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths(name: str) -> None:
    os.mkdir("d")
    arrays = zeros(w=(2,))
    saver = Saver(arrays)
    saver.save("m")
    kind, path = PATHS[name]
    with pytest.raises(kind) as caught:
        saver.restore(None, path)
    assert isinstance(caught.value, CheckpointError)


def test_none_says_where_it_comes_from() -> None:
    with pytest.raises(ValueError, match="Can't load save_path when it is None"):
        Saver(zeros(w=(1,))).restore(fastckpt.latest_checkpoint("nowhere"))


def test_a_session_first_and_a_path_twice() -> None:
    with pytest.raises(TypeError):
        Saver(zeros(w=(1,))).restore("m", "m")
    save(w=(1,))
    with pytest.raises(TypeError):
        Saver(zeros(w=(1,))).restore(3, "m")


@pytest.mark.parametrize("version", [1, 2])
def test_brackets_are_ordinary(version: int) -> None:
    arrays = zeros(w=(2,))
    saver = Saver(arrays, write_version=version, max_to_keep=1)
    for step in range(3):
        saver.save("run[1]/m", step)
    arrays["w"] += 1
    saver.restore("run[1]/m-2")
    assert_untouched(arrays)
    assert len(os.listdir("run[1]")) == (3 if version == 1 else 4)


def test_partitions_both_ways() -> None:
    full = np.arange(10, dtype=np.float32).reshape(5, 2)
    with fastckpt.CheckpointWriter("parts") as writer:
        writer.add_slice("p", full[:3], (5, 2), (0, 0))
        writer.add_slice("p", full[3:], (5, 2), (3, 0))
    arrays = zeros(p=(5, 2))
    Saver(arrays).restore("parts")
    assert (arrays["p"] == full).all()


def test_a_gap_between_slices() -> None:
    with fastckpt.CheckpointWriter("parts", allow_gaps=True) as writer:
        writer.add_slice("p", np.ones((3, 2), np.float32), (5, 2), (0, 0))
    arrays = zeros(p=(5, 2))
    with pytest.raises(InvalidArgumentError, match="sufficient slices"):
        Saver(arrays).restore("parts")
    assert_untouched(arrays)


def object_based(prefix: str, **names: str) -> None:
    graph = protos.message_class("TrackableObjectGraph")()
    graph.nodes.add()
    tensors: dict[str, Any] = {}
    for name, key in names.items():
        full_key = f"{key}/.ATTRIBUTES/VARIABLE_VALUE"
        node = graph.nodes.add()
        node.attributes.add(name="VARIABLE_VALUE", full_name=name, checkpoint_key=full_key)
        tensors[full_key] = np.full(2, len(tensors) + 1, np.float32)
    tensors["_CHECKPOINTABLE_OBJECT_GRAPH"] = graph.SerializeToString()
    fastckpt.save(prefix, tensors, sync=False)


def test_object_based_checkpoints(caplog: pytest.LogCaptureFixture) -> None:
    object_based("o", kernel="model/k", bias="model/b")
    arrays = zeros(kernel=(2,), bias=(2,))
    Saver(arrays).restore("o")
    assert (arrays["kernel"][0], arrays["bias"][0]) == (1, 2)
    assert any("object-based" in x.getMessage() for x in caplog.records)


def test_object_based_checkpoints_without_some_names() -> None:
    object_based("o", kernel="model/k", old="model/b")
    arrays = zeros(kernel=(2,), new=(2,))
    with pytest.raises(TensorNotFoundError) as caught:
        Saver(arrays).restore("o")
    for part in (
        "Existing variables not in the checkpoint: new",
        "don't exist now: old",
        "(1 variable name(s) did match)",
    ):
        assert part in str(caught.value)
    assert_untouched(arrays)
    report = Saver(arrays).restore("o", strict=False)
    assert (report.restored, report.missing) == (["kernel"], ["new"])


def test_names_of_the_checkpoint_itself_come_first() -> None:
    object_based("o", kernel="model/k")
    key = "model/k/.ATTRIBUTES/VARIABLE_VALUE"
    arrays = {key: np.zeros(2, np.float32)}
    Saver(arrays).restore("o")
    assert arrays[key].tolist() == [1, 1]


def test_variables_take_over_what_was_read() -> None:
    save(w=(3,))
    variable = fastckpt.Variable(np.zeros(3, np.float32), name="w_of_take_over")
    Saver({"w": variable}).restore("m")
    variable.assign_add(np.ones(3, np.float32))
    assert variable.numpy().tolist() == [2, 2, 2]
    assert fastckpt.load("m")["w"].tolist() == [1, 1, 1]
