"""Graphs of variables, sessions and savers of the TensorFlow-shaped namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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


# --- without a session ---------------------------------------------------------------------------


def test_values_are_there_at_once_until_a_session_says_otherwise() -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    assert tf.executing_eagerly()
    change = v.assign([3.0, 4.0])  # not known yet which it is
    v.assign_add([1.0, 1.0])
    assert "numpy=array([4., 5.]" in repr(v)
    assert v.numpy().tolist() == change.numpy().tolist() == [4.0, 5.0]
    assert change.shape.as_list() == [2]
    assert v.assign_sub([1.0, 1.0]) is v
    assert np.asarray(v).tolist() == [3.0, 4.0]
    n = tf.Variable(3, dtype=tf.int64)
    assert (int(n), float(n), bool(n), n.numpy()) == (3, 3.0, True, 3)
    assert [tf.Variable(0.0).name for _ in range(2)] == ["Variable:0", "Variable:0"]


def test_a_session_drops_what_was_never_run() -> None:
    v = tf.Variable(1.0, name="v")
    change = v.assign(5.0)
    with tf.Session() as sess:
        assert not tf.executing_eagerly()
        with pytest.raises(tf.errors.FailedPreconditionError):
            v.numpy()
        sess.run(tf.global_variables_initializer())
        assert sess.run(v) == 1.0
        sess.run(change)
        assert sess.run(v) == 5.0
    assert tf.Variable(0.0, name="v").name == "v_1:0"


def test_what_the_program_says_of_eager_execution_stays() -> None:
    from fastckpt.compat import modes

    try:
        tf.disable_v2_behavior()
        tf.reset_default_graph()
        assert not tf.executing_eagerly()
        tf.enable_eager_execution()
    finally:
        modes._state.__init__()
    assert tf.executing_eagerly()
    with tf.Graph().as_default():
        assert not tf.executing_eagerly()
        w = tf.Variable(1.0)
        assert "numpy" not in repr(w)
        assert bool(w)


def test_there_is_no_arithmetic() -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    for attempt in (
        lambda: v + 1,
        lambda: 2 * v,
        lambda: -v,
        lambda: v < 3,
        lambda: v[0],
        lambda: v @ v,
    ):
        with pytest.raises(fastckpt.UnsupportedError, match="let NumPy compute"):
            attempt()
    assert (np.ones(2) + v).tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match="copied"):
        np.array(v, copy=False)


def test_objects_of_a_program_and_of_a_graph(tmp_path: Path) -> None:
    step = tf.Variable(1, name="step")
    checkpoint = tf.train.Checkpoint(step=step, values=[tf.Variable([1.0])], array=[np.ones(2)])
    path = checkpoint.save(tmp_path / "ckpt", options=tf.train.CheckpointOptions())
    assert fastckpt.graph.object_graph(path).names_to_keys().keys() == {
        "step", "Variable", "save_counter"
    }  # fmt: skip
    step.assign(9)
    assert checkpoint.restore(path).assert_consumed().run_restore_ops() is None
    assert int(step) == 1
    with pytest.raises(ValueError, match="trackable object"):
        tf.train.Checkpoint(array=np.ones(2))
    with tf.Graph().as_default():
        step, late = tf.Variable(0, name="s"), tf.Variable(7.0, name="late")
        checkpoint = tf.train.Checkpoint(step=step, late=late)
        status = checkpoint.restore(path)
        with tf.Session() as sess:
            status.initialize_or_restore(sess)
            assert sess.run([step, late]) == [1, 7.0]
            sess.run(tf.global_variables_initializer())
            assert sess.run(step) == 0
            status.run_restore_ops(sess)
            assert sess.run(step) == 1
            status.expect_partial()
            assert checkpoint.save(f"{path}-graph", session=sess) == f"{path}-graph-2"


def test_initial_values_from_a_checkpoint(tmp_path: Path) -> None:
    prefix = fastckpt.save(
        tmp_path / "c", {"a/x": np.float32(1), "a/y": np.float32(2), "z": np.float32(3)}
    )
    with tf.variable_scope("b"):
        x, y = tf.get_variable("x", []), tf.get_variable("y", [])
    z, other = tf.get_variable("zz", []), tf.get_variable("other", [])
    tf.train.init_from_checkpoint(prefix, {"a/": "b/", "z": z})
    tf.train.init_from_checkpoint(prefix, [("a/x", "other")])
    with tf.Session() as sess:
        assert sess.run(tf.report_uninitialized_variables()).tolist() == [
            b"b/x", b"b/y", b"zz", b"other"
        ]  # fmt: skip
        sess.run(tf.global_variables_initializer())
        assert sess.run([x, y, z, other]) == [1, 2, 3, 1]
        assert sess.run(tf.report_uninitialized_variables()).tolist() == []
    with pytest.raises(ValueError, match="is not found in"):
        tf.train.init_from_checkpoint(prefix, {"nope": z})
    with pytest.raises(ValueError, match="Should be 'scope/'"):
        tf.train.init_from_checkpoint(prefix, {"z": "nothing"})
    with pytest.raises(ValueError, match="doesn't match with shape"):
        tf.train.init_from_checkpoint(prefix, {"z": tf.get_variable("wide", [4])})


def test_random_initial_values() -> None:
    for make in (tf.random_normal_initializer, tf.truncated_normal_initializer(stddev=0.5)):
        values = tf.get_variable(f"v{id(make)}", [100], initializer=make)
        assert np.unique(values.numpy()).size == 100
    assert np.abs(tf.truncated_normal([1000]).numpy()).max() <= 2
    uniform = tf.random.uniform([1000], 2, 3, dtype=tf.float64).numpy()
    assert (uniform.min() >= 2, uniform.max() <= 3, uniform.dtype.name) == (True, True, "float64")
    assert tf.random_normal([2], seed=1).numpy().tolist() == (
        tf.random_normal([2], seed=1).numpy().tolist()
    )


def test_dtypes_tell_their_kinds() -> None:
    kinds = {
        name: (d.is_floating, d.is_integer, d.is_unsigned, d.is_complex, d.is_bool, d.is_quantized)
        for name in ("bfloat16", "uint8", "complex64", "bool", "qint8", "string")
        for d in [tf.as_dtype(name)]
    }
    assert {name: row.index(True) for name, row in kinds.items() if True in row} == {
        "bfloat16": 0, "uint8": 1, "complex64": 3, "bool": 4, "qint8": 5
    }  # fmt: skip
    assert (tf.int8.min, tf.int8.max, tf.float16.max) == (-128, 127, 65504)
    assert tf.complex128.real_dtype == tf.float64
    assert tf.float32.is_compatible_with(np.float32)
    with pytest.raises(ValueError, match="no least"):
        _ = tf.string.max
    assert tf.types_pb2.DT_INT32 == tf.types_pb2.DataType.Value("DT_INT32") == 3
    with pytest.raises(AttributeError):
        _ = tf.types_pb2.DT_NOTHING


def test_nests_and_functions() -> None:
    class Pair(NamedTuple):
        a: object
        b: object

    nest = {"b": [1, (2, Pair(3, 4))], "a": 0}
    assert tf.nest.flatten(nest) == [0, 1, 2, 3, 4]
    doubled = tf.nest.map_structure(lambda x, y: x + y, nest, nest)
    assert doubled == {"b": [2, (4, Pair(6, 8))], "a": 0}
    assert list(doubled) == ["b", "a"]
    for wrong in ([1], [1, [2]], 3):
        with pytest.raises(ValueError, match="same nested structure"):
            tf.nest.map_structure(max, [1, 2], wrong)
    with pytest.raises(ValueError, match="same nested structure"):
        tf.nest.map_structure(max, 1, [1])
    module = tf.Module()
    module.held = {"x": [1, 2]}
    assert type(tf.nest.map_structure(str, module.held)) is dict

    @tf.function
    def plain() -> int:
        return 1

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def signed(x: object) -> object:
        return tf.matmul(x, x)

    assert plain() == 1
    with pytest.raises(AttributeError, match="computes nothing"):
        signed(1)
