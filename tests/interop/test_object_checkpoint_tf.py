"""``ObjectCheckpoint`` beside ``tf.train.Checkpoint``: files go both ways, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from fastckpt.errors import InvalidArgumentError
from fastckpt.training.objects import Module, ObjectCheckpoint
from interop.stock import STOCK_LAYOUT, assert_same_files

W = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ours(value: Any, name: str | None = None) -> Any:
    # Eager variables of TensorFlow share names, fastckpt's do not.
    variable = fastckpt.Variable(value)
    variable.name = name or "Variable"
    return variable


def tree(variable: Any, module: type) -> Any:
    """Make the same objects of either library."""
    top = module()
    top.z = variable(W, name="z")
    top.layers = [module(), {"kernel": variable(W + 1), "a/b": variable(np.int64(3))}]
    top.layers[0].bias = variable(np.zeros(3, np.float32), name="bias")
    top.pair = (top.z, variable(True))
    top.text = "no variable"
    top.sizes = [2, 3]
    return top


def checkpoints(root: bool) -> tuple[Any, Any]:
    mine, theirs = tree(ours, Module), tree(tf.Variable, tf.Module)
    if root:
        return (
            ObjectCheckpoint(mine, step=ours(np.int64(7))),
            tf.train.Checkpoint(theirs, step=tf.Variable(np.int64(7))),
        )
    return (
        ObjectCheckpoint(model=mine, step=ours(np.int64(7))),
        tf.train.Checkpoint(model=theirs, step=tf.Variable(np.int64(7))),
    )


@pytest.mark.parametrize("root", [False, True])
def test_files_are_the_same(root: bool) -> None:
    mine, theirs = checkpoints(root)

    for _ in range(2):
        assert mine.save("ours/ckpt", **STOCK_LAYOUT).replace("ours", "tf") == theirs.save(
            "tf/ckpt"
        )
    assert_same_files("ours/ckpt-2", "tf/ckpt-2")
    assert Path("ours/checkpoint").read_text() == Path("tf/checkpoint").read_text()


@pytest.mark.parametrize("root", [False, True])
def test_each_restores_what_the_other_saved(root: bool) -> None:
    mine, theirs = checkpoints(root)
    model = theirs.root if root else theirs.model
    model.layers[1]["kernel"].assign(W * 9)
    path = theirs.save("tf/ckpt")
    mine.restore(path).assert_consumed().assert_existing_objects_matched()
    kernel = (mine.root if root else mine.model).layers[1]["kernel"]
    np.testing.assert_array_equal(kernel.numpy(), W * 9)
    assert mine.save("tf/ckpt") == "tf/ckpt-2"
    kernel.assign(W * 5)
    saved = mine.save("ours/ckpt")
    theirs.restore(saved).assert_consumed().assert_existing_objects_matched()
    np.testing.assert_array_equal(model.layers[1]["kernel"].numpy(), W * 5)
    assert int(theirs.save_counter) == 3


def test_a_model_of_keras_is_restored_into_plain_modules() -> None:
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    path = tf.train.Checkpoint(model).save("keras/ckpt")
    mine = Module()
    mine._functional = Module()
    operations = mine._functional._operations = [Module() for _ in range(3)]
    for operation, layer in zip(operations[1:], model.layers, strict=True):
        operation._kernel = np.zeros(layer.kernel.shape, np.float32)
        operation.bias = np.zeros(layer.bias.shape, np.float32)
    status = ObjectCheckpoint(mine).restore(path)
    status.assert_existing_objects_matched()
    status.assert_consumed()
    for operation, layer in zip(operations[1:], model.layers, strict=True):
        np.testing.assert_array_equal(operation._kernel, layer.kernel.numpy())
    operations[1]._kernel[...] = 5
    tf.train.Checkpoint(model).restore(ObjectCheckpoint(mine).save("mine/ckpt")).expect_partial()
    assert float(tf.reduce_sum(model.layers[0].kernel)) == 5 * 12


def test_variables_of_tensorflow_are_restored() -> None:
    v = tf.Variable(W)
    path = ObjectCheckpoint(v=v).save("ckpt")
    v.assign(W * 0)
    ObjectCheckpoint(v=v).restore(path).assert_consumed()
    np.testing.assert_array_equal(v.numpy(), W)


def test_a_saved_model_is_restored() -> None:
    module = tf.Module()
    module.v = tf.Variable(W)
    tf.saved_model.save(module, "model")
    mine = Module()
    mine.v = np.zeros_like(W)
    ObjectCheckpoint(mine).restore("model").expect_partial()
    np.testing.assert_array_equal(mine.v, W)
    with pytest.raises(fastckpt.DataLossError):
        ObjectCheckpoint(mine).read("model")


def test_deviations() -> None:
    """What TensorFlow does in another way; docs/deviations.md has a row for each."""
    path = tf.train.Checkpoint(a=tf.Variable(W), b=tf.Variable(W)).save("ckpt")
    theirs = {"a": tf.Variable(W * 0), "b": tf.Variable(W[:1])}
    with pytest.raises(ValueError, match="incompatible tensor"):
        tf.train.Checkpoint(**theirs).restore(path)
    mine = {"a": W * 0, "b": W[:1] * 0}
    with pytest.raises(InvalidArgumentError, match="Nothing was assigned"):
        ObjectCheckpoint(**mine).restore(path)
    assert not mine["a"].any()
    # The name of an index is taken for an empty checkpoint of the first format.
    tf.train.Checkpoint(v=tf.Variable(1.0)).restore(f"{path}.index").expect_partial()
    with pytest.raises(InvalidArgumentError, match="pass the prefix"):
        ObjectCheckpoint(v=np.zeros(1)).restore(f"{path}.index")
    assert tf.train.Checkpoint(v=tf.Variable(1.0)).save(b"m") == "b'm'-1"
    assert ObjectCheckpoint(v=np.zeros(1)).save(b"m") == "m-1"
    failing = tf.train.Checkpoint(v=[tf.Variable(1.0)])
    failing.v.pop()
    with pytest.raises(ValueError, match="Unable to save"):
        failing.save("ckpt")
    assert int(failing.save_counter) == 1
    stuck = ObjectCheckpoint(v=[np.zeros(1)])
    stuck.v.pop()
    with pytest.raises(InvalidArgumentError, match="Unable to save"):
        stuck.save("ckpt")
    assert int(stuck.save_counter.numpy()) == 0
