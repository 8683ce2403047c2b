"""Object graphs beside tf.train.Checkpoint: nested dicts, modules, tables, Python state."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.python.training import saver as tf_saver

import fastckpt
from fastckpt.graph import (
    ObjectState,
    checkpoint_key,
    friendly_name,
    load_objects,
    names_to_keys,
    object_graph,
    save_objects,
)
from golden.manifest import load_corpus, require_corpus
from interop import objects_twins as twins
from interop.stock import STOCK_LAYOUT, assert_same_files

W = np.arange(6, dtype=np.float32).reshape(2, 3)
CORPUS = {x.name: x for x in load_corpus(frozenset({"v2-object", "savedmodel-object"}))}
_numbers = itertools.count(1)


def restore(path: str, *args: Any, **objects: Any) -> tf.train.Checkpoint:
    """Restore everything, and every variable."""
    checkpoint = tf.train.Checkpoint(*args, **objects)
    checkpoint.restore(path).assert_consumed().assert_existing_objects_matched()
    return checkpoint


def tensorflow_graph(path: str) -> Any:
    reader = tf.train.load_checkpoint(path)
    data = reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(data)


@settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(objects=twins.OBJECTS)
def test_any_nesting_goes_both_ways(tmp_path: Path, objects: dict[str, Any]) -> None:
    folder = tmp_path / str(next(_numbers))
    theirs = twins.save_by_tensorflow(folder / "tf", **twins.as_variables(objects))
    ours = object_graph(save_objects(folder / "ours-1", objects, sync=False))
    # Numbers, names, keys, order, what has values: all as TensorFlow writes it.
    assert twins.without_full_names(ours) == twins.without_full_names(theirs)
    variables = twins.as_variables(objects, empty=True)
    restore(ours.checkpoint.prefix, **variables)
    twins.assert_same_trees(twins.as_loaded(variables), twins.as_loaded(objects))
    loaded = load_objects(theirs.checkpoint)
    assert loaded.pop("save_counter") == 1
    expected = dict(sorted(objects.items()))
    twins.assert_same_trees(loaded, twins.as_loaded(expected))


def test_files_are_those_of_tensorflow(tmp_path: Path) -> None:
    shared = tf.Variable(W, name="shared")
    objects = {
        "b": [shared, {"x": tf.Variable("text"), "a/b.c": tf.Variable(1)}],
        "a": {"w": shared, "none": {}, "t": (tf.Variable(2.0, name="two"), shared)},
    }
    theirs = twins.save_by_tensorflow(tmp_path / "tf", **objects)
    ours = save_objects(
        tmp_path / "ours-1",
        load_objects(theirs.checkpoint),
        full_names=twins.full_names(theirs),
        sync=False,
        **STOCK_LAYOUT,
    )
    assert_same_files(ours, theirs.checkpoint.prefix)


def test_the_next_save_continues_the_numbers(tmp_path: Path) -> None:
    path = save_objects(tmp_path / "ckpt-7", {"w": W}, sync=False)
    checkpoint = restore(path, w=tf.Variable(W * 0))
    assert checkpoint.save(str(tmp_path / "ckpt")) == str(tmp_path / "ckpt-8")
    assert object_graph(tmp_path / "ckpt-8").save_counter == 8
    assert object_graph(tmp_path).save_counter == 8
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=3)
    assert manager.save() == str(tmp_path / "ckpt-9")


def test_without_a_counter_it_is_for_read(tmp_path: Path) -> None:
    path = save_objects(tmp_path / "m", {"w": W}, save_counter=False, sync=False)
    variable = tf.Variable(W * 0)
    checkpoint = tf.train.Checkpoint(w=variable)
    checkpoint.read(path).assert_consumed()
    np.testing.assert_array_equal(variable, W)
    assert checkpoint.save(str(tmp_path / "m")).endswith("m-1")
    with pytest.raises(AssertionError, match="not bound"):
        tf.train.Checkpoint(w=variable).restore(path).assert_consumed()


class Layer(tf.Module):
    def __init__(self, parent: Any, scale: float) -> None:
        super().__init__()
        self.w = tf.Variable(W * scale, name="w")
        self.parent = parent


class Model(tf.Module):
    """Children that know their parent, a variable of two layers, dicts and lists."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.layers = [Layer(self, scale), Layer(self, scale + 1)]
        self.layers[1].shared = self.layers[0].w
        self.by_name = {"a/b": tf.Variable(scale), "c.d": {"e": tf.Variable([scale, 1])}}


def test_modules_with_cycles_go_both_ways(tmp_path: Path) -> None:
    model = Model(3.0)
    theirs = twins.save_by_tensorflow(tmp_path / "tf", model=model)
    assert theirs.aliases("model.layers[0].w") == ["model.layers[0].w", "model.layers[1].shared"]
    np.testing.assert_array_equal(theirs["model.layers[0].parent.layers[1].w"], W * 4)
    assert theirs.key('model.by_name["c.d"].e') == (
        "model/by_name/c..d/e/.ATTRIBUTES/VARIABLE_VALUE"
    )
    copy = save_objects(tmp_path / "copy-1", load_objects(theirs.checkpoint), sync=False)
    other = Model(0.0)
    restore(copy, model=other)
    np.testing.assert_array_equal(other.layers[1].w, W * 4)
    assert other.by_name["c.d"]["e"].numpy().tolist() == [3, 1]


def test_a_module_as_the_root(tmp_path: Path) -> None:
    theirs = twins.save_by_tensorflow(tmp_path / "tf", Model(3.0), step=tf.Variable(5))
    assert theirs.find("root").id == 0
    tree = load_objects(theirs.checkpoint)
    assert "root" not in tree
    by_hand = {
        "layers": [{"w": W}, {"w": W + 1}],
        "by_name": {"a/b": 9.0, "c.d": {"e": [4.0, 5.0]}},
        "step": 6,
    }
    by_hand["by_name"]["c.d"]["e"] = np.array([4, 5], np.float32)
    for objects, expected in ((tree, 3.0), (by_hand, 9.0)):
        model, step = Model(0.0), tf.Variable(0)
        restore(save_objects(tmp_path / "ours", objects, sync=False), model, step=step)
        assert model.by_name["a/b"].numpy() == expected


class State(tf.train.experimental.PythonState):
    def __init__(self, text: bytes) -> None:
        self.text = text

    def serialize(self) -> bytes:
        return self.text

    def deserialize(self, string_value: bytes) -> None:
        self.text = string_value


def others(number: int) -> dict[str, Any]:
    """Objects whose values are no variables: Python state, a table, an iterator, a generator."""
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(["k"], [number])
    iterator = iter(tf.data.Dataset.range(10))
    for _ in range(number):
        next(iterator)
    generator = tf.random.Generator.from_seed(number)
    return {"state": State(b"%d" % number), "t": table, "it": iterator, "g": generator}


def test_what_is_no_variable_goes_both_ways(tmp_path: Path) -> None:
    theirs = twins.save_by_tensorflow(tmp_path / "tf", **others(4))
    assert list(theirs.others) == [
        "it@ITERATOR_STATE", "state@py_state", "t@table-keys", "t@table-values",
    ]  # fmt: skip
    assert theirs.python_state == {"state": b"4"}
    tree = load_objects(theirs.checkpoint)
    assert isinstance(tree["t"], ObjectState)
    tree["t"].attributes["table-values"] = np.array([40])
    objects = others(0)
    restore(save_objects(tmp_path / "ours", tree, sync=False), **objects)
    assert objects["state"].text == b"4"
    assert objects["t"].lookup(tf.constant(["k"])).numpy().tolist() == [40]
    assert next(objects["it"]).numpy() == 4
    np.testing.assert_array_equal(objects["g"].state, others(4)["g"].state)


def test_names_for_the_saver_are_those_of_tensorflow(tmp_path: Path) -> None:
    theirs = twins.save_by_tensorflow(tmp_path / "tf", model=Model(1.0), **others(2))
    path = theirs.checkpoint.prefix
    assert names_to_keys(path) == tf_saver.object_graph_key_mapping(path)
    assert list(names_to_keys(path)) == list(tf_saver.object_graph_key_mapping(path))


def test_a_saver_restores_by_full_name(tmp_path: Path) -> None:
    path = save_objects(
        tmp_path / "m", {"layer": {"w": W}, "b": 2.0}, full_names={"b": "out/b"}, sync=False
    )
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        w = tf.compat.v1.get_variable("layer/w", W.shape)
        b = tf.compat.v1.get_variable("out/b", ())
        tf.compat.v1.train.Saver([w, b]).restore(session, path)
        np.testing.assert_array_equal(session.run(w), W)
        assert session.run(b) == 2


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str, tmp_path: Path) -> None:
    path = str(CORPUS[name].prefix)
    graph = object_graph(path)
    theirs = tensorflow_graph(path)
    assert graph.message.SerializeToString() == theirs.SerializeToString()
    attributes = [x for node in theirs.nodes for x in node.attributes]
    assert [x.key for node in graph.nodes for x in node.attributes] == [
        x.checkpoint_key for x in attributes
    ]
    assert graph.names_to_keys() == {x.full_name: x.checkpoint_key for x in attributes}
    for x in attributes:
        assert checkpoint_key(friendly_name(x.checkpoint_key)) == x.checkpoint_key
        assert graph.stored_keys(x.checkpoint_key)
    names = [*graph.variables, *(x for of in graph.slots.values() for x in of)]
    assert all(graph.key(x) in graph.checkpoint for x in names)
    view = tf.train.CheckpointView(path)
    assert all(graph.nodes[x].children == view.children(x) for x in range(len(graph.nodes)))
    # Every tensor but the graph itself belongs to an object.
    slots = {x.name for of in graph.slots.values() for x in of.values()}
    known = {x.name for x in (*graph.variables.values(), *graph.others.values())} | slots
    assert known == set(graph.checkpoint) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    if all(x.sha256 for x in CORPUS[name].tensors):
        counter = None if graph.save_counter is not None else False
        copy = save_objects(
            tmp_path / "m", load_objects(path), slots=graph.slots, save_counter=counter, sync=False
        )
        assert set(fastckpt.open(copy)) == set(graph.checkpoint)


def test_the_corpus_is_there() -> None:
    require_corpus()
    assert len(CORPUS) >= 40
