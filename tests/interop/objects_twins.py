"""Nested arrays, and the variables that tf.train.Checkpoint restores them into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import tensorflow as tf

from fastckpt.graph import ObjectGraph, friendly_name, object_graph

# Several places may hold the same array, which is one variable then.
ARRAYS = [
    np.arange(3, dtype=np.float32),
    np.ones((2, 2), np.float64),
    np.array(7, np.int64),
    np.array([b"a", b""], object),
]
NAMES = st.text(st.sampled_from("ab0./_ é"), max_size=3)
LEAVES = (
    st.sampled_from(ARRAYS)
    | st.integers(-3, 3)
    | st.sampled_from([1.5, True, b"text", np.float16(2), np.int8(3)])
)
TREES = st.recursive(
    LEAVES,
    lambda tree: (
        st.dictionaries(NAMES, tree, max_size=3)
        | st.lists(tree, max_size=3)
        | st.lists(tree, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)
# Keyword arguments become attributes of a Checkpoint, which has some already.
OBJECTS = st.dictionaries(NAMES.map("k{}".format), TREES, max_size=4)


def as_variables(tree: Any, *, empty: bool = False) -> Any:
    """Replace what save_objects stores as a variable by a tf.Variable, empty ones on demand.

    Plain containers at several places stay one Python object, as arrays do.
    """
    return _Variables(empty=empty).convert(tree)


class _Variables:
    def __init__(self, *, empty: bool) -> None:
        self._empty = empty
        self._made: dict[int, Any] = {}

    def convert(self, tree: Any) -> Any:
        if isinstance(tree, dict | list | tuple | np.ndarray):
            if id(tree) not in self._made:
                self._made[id(tree)] = self._convert(tree)
            return self._made[id(tree)]
        return self._convert(tree)

    def _convert(self, tree: Any) -> Any:
        if isinstance(tree, dict):
            return {name: self.convert(value) for name, value in tree.items()}
        if isinstance(tree, list | tuple):
            return type(tree)([self.convert(value) for value in tree])
        value = tf.convert_to_tensor(tree)
        return tf.Variable(tf.zeros_like(value) if self._empty else value)


def as_loaded(tree: Any) -> Any:
    """Write a tree as load_objects gives it: lists and dicts look alike in a file."""
    if isinstance(tree, dict):
        names = [str(x) for x in range(len(tree))]
        if tree and set(tree) == set(names):
            return [as_loaded(tree[x]) for x in names]
        return {name: as_loaded(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [as_loaded(value) for value in tree] or {}
    return tree


def assert_same_trees(ours: Any, theirs: Any, place: str = "") -> None:
    """Compare nested arrays with nested arrays or variables."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), place
        for name, value in theirs.items():
            assert_same_trees(ours[name], value, f"{place}.{name}")
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), place
        for index, value in enumerate(theirs):
            assert_same_trees(ours[index], value, f"{place}[{index}]")
    else:
        ours, theirs = _as_array(ours), _as_array(theirs)
        assert ours.dtype == theirs.dtype, place
        np.testing.assert_array_equal(ours, theirs, err_msg=place)


def _as_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    tensor = tf.convert_to_tensor(value)
    # NumPy's own dtype of bytes would cut them at NULs.
    return np.asarray(tensor.numpy(), object if tensor.dtype == tf.string else None)


def full_names(graph: ObjectGraph) -> dict[str, str]:
    """The names that the program which saved a checkpoint gave its variables."""
    return {
        friendly_name(x.key): x.full_name
        for node in graph.nodes
        for x in node.attributes
        if x.name == "VARIABLE_VALUE"
    }


def without_full_names(graph: ObjectGraph) -> Any:
    """The message, with no names of variables: of unnamed ones TensorFlow's are all the same."""
    message = type(graph.message)()
    message.CopyFrom(graph.message)
    for node in message.nodes:
        for attribute in node.attributes:
            attribute.full_name = ""
    return message


def save_by_tensorflow(prefix: Path, *args: Any, **objects: Any) -> ObjectGraph:
    """Save with tf.train.Checkpoint, and give the object graph of the file."""
    return object_graph(tf.train.Checkpoint(*args, **objects).save(str(prefix)))
