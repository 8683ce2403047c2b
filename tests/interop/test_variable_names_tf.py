"""What a Saver's `var_list` may be: the same keys and the same mistakes as TensorFlow's Saver."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fastckpt.errors import InvalidArgumentError
from fastckpt.training import variables
from fastckpt.training.variables import EagerError, Variable, name_targets

tf1 = tf.compat.v1


class Scene:
    """The variables of one graph."""

    def __init__(self, *, resource: bool) -> None:
        self.v = tf1.get_variable("v", [2], use_resource=resource)
        self.w = tf1.get_variable("w", [2], use_resource=resource)
        self.c = tf.constant([1.0, 2.0], name="c")
        self.p, self.p2 = (
            tf1.get_variable(
                name,
                [5, 2],
                partitioner=tf1.fixed_size_partitioner(2),
                use_resource=resource,
            )
            for name in ("p", "p2")
        )
        self.a, self.b = self.p
        self.a2, self.b2 = self.p2
        self.read = tf1.get_default_graph().as_graph_element(self.v)


NAMED: dict[str, Callable[[Scene], Any]] = {
    "list": lambda s: [s.w, s.v],
    "tuple": lambda s: (s.w, s.v),
    "set": lambda s: {s.w, s.v},
    "nested": lambda s: [[s.w], (s.v, [s.p])],
    "dict": lambda s: {"x/y": s.v, "a": s.w},
    "dict in a list": lambda s: [{"x": s.v, "y": [s.w]}],
    "partitioned": lambda s: [s.p2, s.p],
    "slices": lambda s: [s.b, s.v, s.a],
    "one slice": lambda s: [s.b],
    "partitioned under a key": lambda s: {"z": s.p},
    "slices under a key": lambda s: {"z": list(s.p), "y": (s.b2,)},
    "one slice that is no list": lambda s: {"z": s.b},
    "a slice twice": lambda s: {"z": list(s.p), "y": s.b},
    "no slices": lambda s: {"z": [], "y": s.v},
    "tensor": lambda s: [s.read],
    "tensor under a key": lambda s: {"z": s.read},
    "slices and a whole": lambda s: [s.a, s.v, s.w],
}

# What TensorFlow says of each, in both kinds of variables.
MISTAKES: dict[str, tuple[Callable[[Scene], Any], str]] = {
    "twice": (lambda s: [s.v, s.v], "At least two variables have the same name: v"),
    "twice, nested": (lambda s: [s.v, [(s.v,)]], "At least two variables have the same name: v"),
    "a tensor too": (lambda s: [s.v, s.read], "At least two variables have the same name: v"),
    "two keys": (lambda s: {"a": s.v, "b": s.v}, "will be restored with two names: b"),
    "two keys for slices": (
        lambda s: {"a": list(s.p), "b": s.p},
        "will be restored with two names: b",
    ),
    "str": (lambda s: "abc", "should be passed in a dict or a list. Got abc"),
    "int": (lambda s: 5, "should be passed in a dict or a list. Got 5"),
    "generator": (lambda s: (x for x in [s.v]), "should be passed in a dict or a list. Got <gen"),
    "constant": (lambda s: [s.c], 'Variable to save is not a Variable: Tensor("c:0"'),
    "constant under a key": (lambda s: {"x": s.c}, "names_to_saveables must be a dict mapping"),
    "number under a key": (lambda s: {"x": 5}, "names_to_saveables must be a dict mapping"),
    "int key": (lambda s: {1: s.v}, "names_to_saveables must be a dict mapping string names"),
    "bytes key": (lambda s: {b"a": s.v}, "Name is not a string: b'a'"),
    "mixed keys": (lambda s: {1: s.v, "a": s.w}, ""),
    "ints": (lambda s: [1, 2], "'int' object has no attribute 'name'"),
    "strs": (lambda s: ["v"], "'str' object has no attribute 'name'"),
    "none": (lambda s: [None], "'NoneType' object has no attribute 'name'"),
    "ndarray": (lambda s: [np.zeros(2)], "'numpy.ndarray' object has no attribute 'name'"),
    "none under a key": (lambda s: {"a": None}, ""),
    "no slices": (lambda s: {"a": [s.v, s.w]}, "Slices must all be slices: <tf.Variable 'v:0'"),
    "no variables": (lambda s: {"a": [s.c]}, 'Slices must all be Variables: Tensor("c:0"'),
    "arrays for slices": (lambda s: {"a": [np.zeros(2)]}, "Slices must all be Variables: "),
    "slices of two": (
        lambda s: {"a": [s.a, s.b2]},
        "Slices must all be from the same tensor: p != p2",
    ),
    "slice and whole": (lambda s: [s.p, s.a], "Mixing slices and non-slices with the same name"),
    "partitioned twice": (lambda s: [s.p, s.p], "At least two variables have the same name: p"),
    "operation": (lambda s: [s.v.op], ""),
}  # fmt: skip

KINDS = pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])


def keys_and_slices(saver: Any) -> list[tuple[str, str]]:
    """What the save operation of TensorFlow's Saver stores."""
    graph = tf1.get_default_graph()
    save = graph.get_operation_by_name("save/SaveV2")
    with tf1.Session() as session:
        names, specs = session.run([save.inputs[1], save.inputs[2]])
    return sorted((n.decode(), s.decode()) for n, s in zip(names, specs, strict=True))


def our_keys_and_slices(var_list: Any) -> list[tuple[str, str]]:
    found = []
    for key, targets in name_targets(var_list).items():
        for target in targets:
            spec = ""
            if target.slice is not None:
                pairs = zip(target.slice.start, target.shape, strict=True)
                extents = ":".join(f"{start},{length}" for start, length in pairs)
                spec = f"{' '.join(map(str, target.slice.full_shape))} {extents}"
            found.append((key, spec))
    return sorted(found)


@KINDS
@pytest.mark.parametrize("case", NAMED)
def test_keys_and_slices_are_tensorflows(case: str, resource: bool) -> None:
    with tf.Graph().as_default():
        scene = Scene(resource=resource)
        ours = our_keys_and_slices(NAMED[case](scene))
        assert ours == keys_and_slices(tf1.train.Saver(NAMED[case](scene)))


@KINDS
@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_tensorflows(case: str, resource: bool) -> None:
    make, gist = MISTAKES[case]
    with tf.Graph().as_default():
        scene = Scene(resource=resource)
        with pytest.raises((TypeError, ValueError, AttributeError)) as theirs:
            tf1.train.Saver(make(scene))
        with pytest.raises(InvalidArgumentError) as ours:
            name_targets(make(scene))
    assert isinstance(ours.value, type(theirs.value))
    assert gist in str(theirs.value)
    assert gist in str(ours.value)


@KINDS
def test_a_variable_alone(resource: bool) -> None:
    with tf.Graph().as_default():
        scene = Scene(resource=resource)
        for make in (tf1.train.Saver, name_targets):
            with pytest.raises(TypeError):
                make(scene.v)


@KINDS
def test_a_whole_variable_of_the_name_of_slices(resource: bool) -> None:
    with tf.Graph().as_default():
        scene = Scene(resource=resource)
        with tf1.variable_scope("", reuse=False):
            whole = tf1.Variable([1.0], name="p", use_resource=resource)
        assert whole.op.name == "p"
        for make in (tf1.train.Saver, name_targets):
            with pytest.raises(ValueError, match="At least two variables have the same name: p"):
                make([scene.a, scene.b, whole])


@KINDS
def test_the_default_is_the_collections_at_construction(resource: bool) -> None:
    with tf.Graph().as_default():
        Scene(resource=resource)
        tf1.get_variable("local", [1], collections=[tf1.GraphKeys.LOCAL_VARIABLES])
        named = name_targets(None)
        assert our_keys_and_slices(None) == keys_and_slices(tf1.train.Saver())
        tf1.get_variable("later", [1])
        assert "later" not in named
        assert "later" in name_targets(None)


def test_a_graph_in_use_wins_over_variables_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    mine = Variable(1.0, name="of_ours")
    with tf.Graph().as_default():
        assert list(name_targets(None)) == [mine.name]
        tf1.get_variable("v", [1])
        with caplog.at_level(logging.WARNING, "fastckpt"):
            assert list(name_targets(None)) == ["v"]
        assert "1 of fastckpt are not" in caplog.text
        assert sorted(name_targets({"a": mine, "v": tf1.global_variables()[0]})) == ["a", "v"]


@KINDS
def test_names_that_clash_only_through_slices(resource: bool) -> None:
    with tf.Graph().as_default():
        scene = Scene(resource=resource)
        info = tf.Variable.SaveSliceInfo("v", [2], [0], [2])
        scene.w._set_save_slice_info(info)
        scene.p2._name = "p"
        for make in (tf1.train.Saver, name_targets):
            with pytest.raises(ValueError, match="same name: v"):
                make([scene.v, scene.w])
            with pytest.raises(ValueError, match="same name: p"):
                make([scene.p, scene.p2])
            make({"v": scene.v, "other": [scene.w]})


def test_an_empty_key_is_refused_where_tensorflow_aborts_at_save() -> None:
    with tf.Graph().as_default():
        v = tf1.get_variable("v", [1])
        tf1.train.Saver({"": v})
        with pytest.raises(InvalidArgumentError, match="must not be empty"):
            name_targets({"": v})


# --- eager ---------------------------------------------------------------------------------------


def eager_cases() -> dict[str, Any]:
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    n, n2 = tf.Variable(3.0, name="n"), tf.Variable(4.0, name="n")
    return {
        "unnamed": [a],
        "same object twice": [n, n],
        "dict": {"x": a, "y": b},
        "two unnamed": [a, b],
        "two of one name": [n, n2],
        "two keys": {"x": a, "y": a},
        "tensor": [tf.constant(1.0)],
        "tensor under a key": {"x": tf.constant(1.0)},
        "none": None,
        "str": "abc",
        "ints": [1],
        "variable alone": a,
    }


@pytest.mark.parametrize("case", list(eager_cases()))
def test_eager_lists(case: str, tmp_path: Path) -> None:
    variables.reset_default_collection()
    var_list = eager_cases()[case]
    theirs: BaseException | list[str]
    try:
        prefix = tf1.train.Saver(var_list).save(None, str(tmp_path / "m"))
        theirs = [name for name, _ in tf.train.list_variables(prefix)]
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        theirs = error
    if isinstance(theirs, list):
        assert list(name_targets(var_list)) == theirs
        return
    with pytest.raises(InvalidArgumentError) as ours:
        name_targets(var_list)
    assert isinstance(ours.value, type(theirs))
    words = str(theirs).split(".")[0].split(":")[0][:60]
    assert words in str(ours.value) or case == "tensor"


def test_eager_execution_has_no_default() -> None:
    variables.reset_default_collection()
    with pytest.raises(EagerError, match="must specify a list or dict") as caught:
        name_targets(None)
    assert isinstance(caught.value, RuntimeError)
    mine = Variable(1.0, name="mine")
    assert list(name_targets(None)) == [mine.name]
