"""``init_from_checkpoint`` beside TensorFlow's: variables of a graph are its business."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from fastckpt.errors import InvalidArgumentError
from fastckpt.training.initializing import init_from_checkpoint
from fastckpt.training.variables import Variable, reset_default_collection

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("init") / "m"
    values = {"v1": np.arange(3, dtype=np.float32), "scope/a": np.float32(1), "scope/b": [b"x"]}
    return fastckpt.save(path, {**values, "p": np.ones((4, 2), np.float32)})


def build(resource: bool) -> dict[str, Any]:
    """Variables of one graph, as a TF1 script makes them."""
    get = tf1.get_variable
    with tf1.variable_scope("n", use_resource=resource):
        found = {"a": get("a", [3]), "four": get("four", [4])}
        found["p"] = get("p", [4, 2], partitioner=tf1.fixed_size_partitioner(2))
    with tf1.variable_scope("mine", use_resource=resource):
        found["mine"] = get("a", [])
    return found


@pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])
def test_graph_variables_get_their_values_when_their_initializers_run(
    prefix: str, resource: bool
) -> None:
    mine, array = Variable(0.0, name="beside_a_graph"), np.zeros(3, np.float32)
    eager = tf.Variable(0.0)
    with tf.Graph().as_default():
        found = build(resource)
        init_from_checkpoint(
            prefix,
            [
                ("v1", "n/a"), ("scope/", "mine/"), ("p", list(found["p"])), ("v1", array),
                ("scope/a", mine), ("scope/a", eager),
            ],
        )  # fmt: skip
        assert (array.tolist(), mine.value) == ([0, 1, 2], 1)
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            assert session.run(found["a"]).tolist() == [0, 1, 2]
            assert session.run(found["mine"]) == 1
            assert session.run(found["p"].as_tensor()).tolist() == np.ones((4, 2)).tolist()
    assert eager.numpy() == 1


def test_eager_variables_are_assigned_at_once(prefix: str) -> None:
    reset_default_collection()
    variable, named = tf.Variable(tf.zeros(3)), Variable(0.0, name="mine/a")
    init_from_checkpoint(prefix, {"v1": variable, "scope/": "mine/"})
    assert variable.numpy().tolist() == [0, 1, 2]
    assert named.value == 1


# What both say; a scope without its slash makes TensorFlow look for a wrong name.
MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "absent": (lambda found: {"nope": found["a"]}, "Tensor nope is not found in "),
    "no variable": (
        lambda found: {"v1": "n/nobody"},
        "scope only name n should map to scope only v1. Should be 'scope/': 'other_scope/'.",
    ),
    "shape": (
        lambda found: {"v1": found["four"]},
        " ((4,)) doesn't match with shape of tensor v1 ([3])",
    ),
    "scope member": (
        lambda found: {"scope/": "n/"},
        "Tensor scope/four (four in scope/) is not found",
    ),
    "scope without a slash": (lambda found: {"scope/": "mine"}, ""),
}


def make_ours() -> dict[str, Any]:
    """The same variables, of fastckpt."""
    reset_default_collection()
    sizes = {"n/a": 3, "n/four": 4, "mine/a": 1}
    made = {name: Variable(np.zeros(n, np.float32), name=name) for name, n in sizes.items()}
    return {"a": made["n/a"], "four": made["n/four"], "alive": made}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_tensorflows(prefix: str, case: str) -> None:
    make, words = MISTAKES[case]
    with tf.Graph().as_default():
        found = build(True)
        with pytest.raises(ValueError, match=" ") as theirs:
            tf1.train.init_from_checkpoint(prefix, make(found))
        with pytest.raises(InvalidArgumentError) as delegated:
            init_from_checkpoint(prefix, make(found))
    assert words in str(theirs.value)
    assert str(delegated.value) == str(theirs.value)
    ours = make_ours()
    with pytest.raises(InvalidArgumentError) as caught:
        init_from_checkpoint(prefix, make(ours))
    assert words in str(caught.value)


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        v = tf1.get_variable("v", [1])
        with pytest.raises(fastckpt.CheckpointNotFoundError):
            init_from_checkpoint(tmp_path / "none", {"v": v})
