"""Variables of TensorFlow's graphs as targets, through a real session."""

from __future__ import annotations

import gc
import mmap
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables import (
    SliceInfo,
    UninitializedError,
    assign_values,
    name_targets,
    needs_session,
    read_values,
)

tf1 = tf.compat.v1

KINDS = pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])


def get(name: str, value: Any, *, resource: bool, **more: Any) -> Any:
    return tf1.get_variable(name, initializer=np.asarray(value), use_resource=resource, **more)


def targets_of(var_list: Any) -> list[Any]:
    return [target for found in name_targets(var_list).values() for target in found]


# --- graphs --------------------------------------------------------------------------------------


@KINDS
def test_a_graph_variable_is_read_and_assigned_in_a_finalized_graph(resource: bool) -> None:
    with tf.Graph().as_default() as graph:
        a = get("scope/a", np.zeros((2, 3), np.float32), resource=resource)
        b = get("b", np.zeros(4, np.int64), resource=resource, trainable=False)
        graph.finalize()
        named = name_targets([b, a])
        assert list(named) == ["b", "scope/a"]
        ((tb,), (ta,)) = named.values()
        assert (ta.shape, ta.tf_dtype, ta.trainable) == ((2, 3), "float32", True)
        assert (tb.shape, tb.tf_dtype, tb.trainable) == ((4,), "int64", False)
        assert needs_session([ta])
        with tf1.Session() as session:
            # Not initialized before: a restore needs no initializer.
            full = np.arange(6, dtype=np.float32).reshape(2, 3)
            assign_values([(ta, full), (tb, np.arange(4))], session)
            assert session.run(a).tolist() == full.tolist()
            found = read_values([tb, ta], session)
            assert [x.tolist() for x in found] == [[0, 1, 2, 3], full.tolist()]
            assert [x.tolist() for x in read_values([tb])] == [[0, 1, 2, 3]]  # the default session


@KINDS
def test_values_are_not_the_memory_of_what_they_were_assigned_from(resource: bool) -> None:
    with tf.Graph().as_default():
        v = get("v", np.zeros(1 << 16, np.float32), resource=resource)
        add = tf1.assign_add(v, tf.ones(1 << 16))
        (target,) = targets_of([v])
        # On a page of its own, as a tensor in a map of a file: TensorFlow takes it as it is.
        backing = np.frombuffer(mmap.mmap(-1, 1 << 18), np.float32)
        backing[:] = 1
        view = backing.view()
        view.flags.writeable = False
        with tf1.Session() as session:
            assign_values([(target, view)], session)
            backing[:] = 7
            (value,) = read_values([target], session)
            assert set(value.tolist()) == {1.0}
            session.run(add)
            assert set(session.run(v).tolist()) == {2.0}
            assert set(value.tolist()) == {1.0}
            (shared,) = read_values([target], session, share=True)
            session.run(add)
            assert set(shared.tolist()) == ({2.0} if resource else {3.0})


@KINDS
def test_variables_that_share_their_initial_value(resource: bool) -> None:
    with tf.Graph().as_default():
        zero = tf.constant(0.0)
        many = [tf1.Variable(zero, name=f"v{i}", use_resource=resource) for i in range(4)]
        copied = tf1.Variable(many[0], name="copied", use_resource=resource)
        targets = targets_of([*many, copied])
        tf1.get_default_graph().finalize()
        with tf1.Session() as session:
            assign_values([(t, np.float32(i)) for i, t in enumerate(targets)], session)
            order = [target.origin for target in targets]
            assert session.run(order) == [0, 1, 2, 3, 4]


@KINDS
def test_reading_before_the_initializer_ran(resource: bool) -> None:
    with tf.Graph().as_default():
        v = get("lost", [1.0], resource=resource)
        with tf1.Session() as session:
            with pytest.raises(UninitializedError, match="lost") as caught:
                read_values(targets_of([v]), session)
            with pytest.raises(tf.errors.FailedPreconditionError):
                read_values(targets_of([v]), session)
    assert isinstance(caught.value, ValueError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is UninitializedError
    assert str(again) == str(caught.value)


@KINDS
def test_a_session_of_another_graph_or_none(resource: bool) -> None:
    with tf.Graph().as_default():
        v = get("v", [1.0], resource=resource)
    (target,) = targets_of([v])
    with (
        tf1.Session(graph=tf.Graph()) as other,
        pytest.raises(InvalidArgumentError, match="not elements of the session's graph"),
    ):
        read_values([target], other)
    with pytest.raises(WrongTypeError, match="'sess' must be a Session"):
        assign_values([(target, np.zeros(1))])


@KINDS
def test_a_closed_session(resource: bool) -> None:
    with tf.Graph().as_default():
        v = get("v", [1.0], resource=resource)
        (target,) = targets_of([v])
        with tf1.Session() as session:
            session.run(v.initializer)
            value = read_values([target], session)[0]
        for use in (
            lambda: session.run(v),
            lambda: read_values([target], session),
            lambda: assign_values([(target, value)], session),
        ):
            with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
                use()


@KINDS
def test_partitioned_variables_and_their_slices(resource: bool) -> None:
    full = np.arange(10, dtype=np.float32).reshape(5, 2)
    with tf.Graph().as_default():
        part = tf1.get_variable(
            "p",
            [5, 2],
            initializer=tf1.zeros_initializer(),
            partitioner=tf1.fixed_size_partitioner(2),
            use_resource=resource,
        )
        slices = list(part)
        wanted = [SliceInfo("p", (5, 2), (0, 0)), SliceInfo("p", (5, 2), (3, 0))]
        for var_list, key in (
            ([part], "p"),
            (slices, "p"),
            ({"z": part}, "z"),
            ({"z": slices}, "z"),
        ):
            ((name, targets),) = name_targets(var_list).items()
            assert (name, [t.slice for t in targets]) == (key, wanted)
            assert [t.shape for t in targets] == [(3, 2), (2, 2)]
        assert targets[0].mismatch("float32", (5, 2)) is None
        assert "shape_and_slice" in str(targets[0].mismatch("float32", (3, 2)))
        (whole,) = name_targets({"z": slices[1]})["z"]
        assert (whole.slice, whole.shape) == (None, (2, 2))
        with tf1.Session() as session:
            assign_values([(targets[1], full[3:]), (targets[0], full[:3])], session)
            assert session.run(part.as_tensor()).tolist() == full.tolist()
            first, second = read_values(targets, session)
            assert np.concatenate([first, second]).tolist() == full.tolist()


def test_a_ref_variable_of_unknown_shape() -> None:
    with tf.Graph().as_default() as graph:
        v = tf1.Variable([1.0, 2.0], validate_shape=False, name="v", use_resource=False)
        (target,) = targets_of([v])
        assert target.shape is None
        with tf1.Session() as session:
            graph.finalize()
            assign_values([(target, np.ones((3, 3), np.float32))], session)
            assert session.run(v).shape == (3, 3)
            assign_values([(target, np.zeros((4, 1), np.float32))], session)
            assert session.run(v).shape == (4, 1)


def test_a_variable_without_any_assignment() -> None:
    """What an imported GraphDef holds: no initializer, no Saver."""
    for finalize in (False, True):
        with tf.Graph().as_default() as graph:
            tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[2], shared_name="v", name="v")
            handle = graph.get_tensor_by_name("v:0")
            tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
            (target,) = targets_of([handle])
            if finalize:
                graph.finalize()
                with tf1.Session() as session, pytest.raises(UnsupportedError, match="finalized"):
                    assign_values([(target, np.ones(2, np.float32))], session)
                continue
            with tf1.Session() as session:
                assign_values([(target, np.ones(2, np.float32))], session)
                graph.finalize()
                assign_values([(target, np.full(2, 2.0, np.float32))], session)
                assert read_values([target], session)[0].tolist() == [2, 2]


@KINDS
def test_the_assignments_of_a_saver_serve_an_imported_graph(resource: bool) -> None:
    """An initializer that would run more than the assignment is not used."""
    with tf.Graph().as_default():
        get("v", np.array([1.0, 2.0]), resource=resource)
        tf1.Assert(False, ["this ran"], name="more")
        meta = tf1.train.export_meta_graph(saver_def=tf1.train.Saver().saver_def)
    (node,) = (n for n in meta.graph_def.node if n.name == "v/Assign")
    node.input.append("^more/Assert")
    with tf.Graph().as_default() as graph:
        tf1.train.import_meta_graph(meta)
        graph.finalize()
        (target,) = name_targets(None)["v"]
        with tf1.Session() as session:
            with pytest.raises(tf.errors.InvalidArgumentError, match="this ran"):
                session.run(target.origin.initializer)
            assign_values([(target, np.array([5.0, 6.0]))], session)
            assert read_values([target], session)[0].tolist() == [5, 6]


@KINDS
def test_tensors_that_are_or_read_a_variable(resource: bool) -> None:
    with tf.Graph().as_default() as graph:
        v = get("v", [1.0, 2.0], resource=resource)
        tensors = [graph.get_tensor_by_name("v:0"), graph.as_graph_element(v)]
        with tf1.Session() as session:
            session.run(v.initializer)
            for tensor in tensors:
                (target,) = name_targets([tensor])["v"]
                assert read_values([target], session)[0].tolist() == [1, 2]
                assign_values([(target, np.array([1.0, 2.0]))], session)
        with pytest.raises(InvalidArgumentError, match="restored with two names: b"):
            name_targets({"a": v, "b": graph.as_graph_element(v)})


def test_dtypes_of_a_graph_that_numpy_has_not() -> None:
    with tf.Graph().as_default():
        q = tf1.Variable(tf.bitcast(tf.constant([1, 2], tf.int8), tf.qint8), name="q")
        s = tf1.Variable([b"a\0", b"b"], name="s")
        h = tf1.Variable([1.5, 2.0], dtype=tf.bfloat16, name="h")
        targets = targets_of([q, s, h])
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            bf16, qint8, text = read_values(targets, session)
            assert bf16.tolist() == [1.5, 2.0]
            assert qint8.view(np.int8).tolist() == [1, 2]
            assert text.tolist() == [b"a\0", b"b"]
            new = [bf16[::-1], np.array([3, 4], np.int8), np.array([b"", b"\0"], object)]
            assign_values(list(zip(targets, new, strict=True)), session)
            assert session.run(h).tolist() == [2.0, 1.5]
            assert session.run(q).view(np.int8).tolist() == [3, 4]
            assert session.run(s).tolist() == [b"", b"\0"]


def test_devices_are_canonical() -> None:
    with tf.Graph().as_default():
        with tf.device("/cpu:0"):
            a = tf1.get_variable("a", [1])
        with tf.device("/job:ps/task:1"):
            b = tf1.get_variable("b", [1], use_resource=False)
        c = tf1.get_variable("c", [1], use_resource=False)
        assert [x.device for x in targets_of([a, b, c])] == ["/device:CPU:0", "/job:ps/task:1", ""]


def test_an_error_while_assigning_says_what_it_leaves() -> None:
    with tf.Graph().as_default():
        targets = targets_of([tf1.get_variable("v", [2], use_resource=False)])
        with tf1.Session() as session, pytest.raises(tf.errors.InvalidArgumentError) as caught:
            assign_values([(targets[0], np.zeros(3, np.float32))], session)
    assert "some variables may have their new values" in caught.value.__notes__[0]


def test_a_graph_is_not_kept_alive() -> None:
    with tf.Graph().as_default() as graph:
        v = tf1.Variable([1.0, 2.0], name="v", use_resource=False)
        targets = targets_of([v])
        with tf1.Session() as session:
            assign_values([(targets[0], np.ones(2, np.float32))], session)
            read_values(targets, session)
    gone = [weakref.ref(graph), weakref.ref(session)]
    del graph, v, targets, session
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_many_different_steps_and_a_session_that_prepares_none() -> None:
    class Plain:
        """Less than a session: what a wrapper around one might offer."""

        def __init__(self, session: Any) -> None:
            self.graph = session.graph
            self.run = session.run

    with tf.Graph().as_default():
        variables = [tf1.Variable(float(i), name=f"v{i}") for i in range(20)]
        targets = targets_of(variables)
        with tf1.Session() as session:
            for one in (session, Plain(session)):
                for i, target in enumerate(targets):
                    assign_values([(target, np.float32(i))], one)
                    assert read_values([target], one) == [i]
                assert len(read_values(targets, one)) == 20
