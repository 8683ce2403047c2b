"""Graphs of variables, sessions and savers of the TensorFlow-shaped namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.compat import tf


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    tf.reset_default_graph()
    yield
    tf.reset_default_graph()


def test_a_variable_has_a_value_once_it_is_set() -> None:
    w = tf.Variable([1.0, 2.0], name="w")
    assert (w.name, w.op.name, w.dtype, w.shape.as_list()) == ("w:0", "w", np.float32, [2])
    with tf.Session() as sess:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value w"):
            sess.run(w)
        sess.run(tf.global_variables_initializer())
        assert sess.run("w:0").tolist() == [1.0, 2.0]
        sess.run(w.assign([3.0, 4.0]))
        values = sess.run({"a": w, "b": [w, (w,)]})
        assert values["a"].tolist() == values["b"][1][0].tolist() == [3.0, 4.0]
        values["a"][0] = 9  # a copy
        assert w.eval().tolist() == [3.0, 4.0]
    with pytest.raises(fastckpt.ClosedError):
        sess.run(w)


def test_names_are_made_unique() -> None:
    names = [tf.Variable(0.0).name for _ in range(3)]
    assert names == ["Variable:0", "Variable_1:0", "Variable_2:0"]
    with tf.variable_scope("a"):
        v = tf.get_variable("v", shape=[2], initializer=tf.ones_initializer())
        with tf.name_scope("inner"):
            other = tf.Variable(1, name="x")
    assert (v.op.name, other.op.name) == ("a/v", "a/inner/x")
    with pytest.raises(ValueError, match="already exists, disallowed"), tf.variable_scope("a"):
        tf.get_variable("v", shape=[2])
    with tf.variable_scope("a", reuse=True):
        assert tf.get_variable("v") is v
        with pytest.raises(ValueError, match="does not exist"):
            tf.get_variable("w")
    with tf.variable_scope("a", reuse=tf.AUTO_REUSE):
        assert tf.get_variable("v") is v
        assert tf.get_variable("w", initializer=np.arange(3)).shape.as_list() == [3]
    with pytest.raises(ValueError, match="must be fully defined"):
        tf.get_variable("z")


def test_graphs_are_apart() -> None:
    tf.Variable(0.0, name="outside")
    with tf.Graph().as_default() as graph:
        inside = tf.Variable(0.0, name="inside")
        assert tf.global_variables() == [inside]
        graph.finalize()
        with pytest.raises(RuntimeError, match="finalized"):
            tf.Variable(0.0)
        with pytest.raises(fastckpt.InvalidArgumentError):
            tf.reset_default_graph()
    assert [v.op.name for v in tf.global_variables()] == ["outside"]


def test_placeholders_are_fed() -> None:
    w = tf.Variable(np.zeros(2), name="w")
    p = tf.placeholder(tf.float64, [2])
    change = tf.group(tf.assign(w, p), tf.assign_add(w, [1.0, 1.0]))
    with tf.Session() as sess:
        sess.run(w.initializer)
        assert sess.run(change, {p: [1, 2]}) is None
        assert sess.run(w).tolist() == [2.0, 3.0]
        assert sess.run([w, tf.constant(2)], feed_dict={w: [0, 0]})[1] == 2
        with pytest.raises(tf.errors.InvalidArgumentError, match="You must feed"):
            sess.run(p)
        with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
            sess.run(tf.assign(w, [1.0]))
        with pytest.raises(tf.errors.InvalidArgumentError, match="Fetch argument"):
            sess.run(7)


def test_saver_and_meta_graph(tmp_path: Path) -> None:
    w = tf.get_variable("w", initializer=np.arange(4, dtype=np.float32))
    tf.get_variable("slot", initializer=np.zeros(2), trainable=False)
    saver = tf.train.Saver(max_to_keep=1)
    with tf.Session() as sess:
        with pytest.raises(tf.errors.FailedPreconditionError):
            saver.save(sess, str(tmp_path / "early"))
        sess.run(tf.global_variables_initializer())
        for step in range(2):
            path = saver.save(sess, str(tmp_path / "m"), global_step=step)
    assert saver.last_checkpoints == [path]
    assert not (tmp_path / "m-0.index").exists()
    tf.reset_default_graph()
    imported = tf.train.import_meta_graph(f"{path}.meta")
    with tf.Session() as sess:
        with pytest.raises(fastckpt.CheckpointError, match="uninitialized value w"):
            sess.run("w:0")
        imported.restore(sess, path)
        assert sess.run("w:0").tolist() == [0, 1, 2, 3]
        assert [v.op.name for v in tf.trainable_variables()] == ["w"]
        variable = next(v for v in tf.global_variables() if v.op.name == "w")
        sess.run(variable.assign(np.ones(4)))
        assert sess.run("w/read:0").tolist() == [1, 1, 1, 1]
        tf.train.Saver([variable]).save(sess, str(tmp_path / "part"), write_meta_graph=False)
    assert fastckpt.load(tmp_path / "part")["w"].tolist() == [1, 1, 1, 1]
    assert w.is_initialized


def test_collections() -> None:
    v = tf.Variable(0.0, name="layer/v")
    tf.add_to_collection("mine", v)
    tf.add_to_collection("mine", "text")
    graph = tf.get_default_graph()
    assert graph.get_collection("mine") == [v, "text"]
    assert graph.get_collection("mine", scope="layer") == [v]
    assert graph.get_collection("nothing") == []
    assert {"variables", "trainable_variables", "mine"} <= set(graph.get_all_collection_keys())
    assert [n.op for n in graph.as_graph_def().node][:1] == ["VariableV2"]
