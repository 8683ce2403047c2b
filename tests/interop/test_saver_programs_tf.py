"""What programs do with a Saver beside a real TensorFlow: both Savers do the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.trackable.base import VARIABLE_VALUE_KEY, Trackable
from tensorflow.python.training.saver import BaseSaverBuilder

import fastckpt
from fastckpt.errors import UnsupportedError
from fastckpt.training.manager import CheckpointManager
from fastckpt.training.saver import Saver

tf1 = tf.compat.v1
SAVERS = [tf1.train.Saver, Saver]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def session() -> Iterator[Any]:
    with tf1.Graph().as_default(), tf1.Session() as session:
        yield session


@pytest.mark.parametrize("make", SAVERS)
def test_a_saver_without_variables(session: Any, make: Callable[..., Any]) -> None:
    tf1.constant(1.0, name="c")
    assert make([], allow_empty=True).save(session, "m") is None
    assert os.listdir() == ["m.meta"]
    message = tf1.MetaGraphDef.FromString(Path("m.meta").read_bytes())
    assert [x.name for x in message.graph_def.node] == ["c"]
    assert not message.HasField("saver_def")


@pytest.mark.parametrize("make", SAVERS)
def test_export_of_an_adopted_saver_def(session: Any, make: Callable[..., Any]) -> None:
    variable = tf1.Variable([1.0], name="v")
    tf1.add_to_collection("numbers", 7)
    adopted = make(saver_def=tf1.train.Saver([variable]).as_saver_def())
    message = adopted.export_meta_graph("e.meta")
    assert sorted(message.collection_def) == ["numbers", "trainable_variables", "variables"]
    assert "v" in [x.name for x in message.graph_def.node]
    assert message.saver_def.restore_op_name == "save/restore_all"
    assert tf1.train.import_meta_graph("e.meta", import_scope="again") is not None
    assert session.graph.get_operation_by_name("again/v")


def _graph_of(value: float) -> tuple[Any, Any]:
    with tf1.Graph().as_default() as graph:
        return graph, tf1.Variable([value], name="v")


@pytest.mark.parametrize("make", SAVERS)
def test_a_session_of_another_graph_with_the_same_names(make: Callable[..., Any]) -> None:
    """What a SessionManager may be given: operations are found by their names."""
    graph, _ = _graph_of(1.0)
    with graph.as_default():
        saver = make()
    other, variable = _graph_of(2.0)
    with other.as_default(), tf1.Session() as session:
        tf1.train.Saver()
        session.run(variable.initializer)
        path = saver.save(session, "m", global_step=1)
        assert fastckpt.load_variable(path, "v") == [2.0]
        assert fastckpt.latest_checkpoint(".") == "./m-1"
        session.run(variable.assign([3.0]))
        saver.restore(session, path)
        assert session.run(variable) == [2.0]


def test_a_session_of_a_strange_graph() -> None:
    graph, _ = _graph_of(1.0)
    with graph.as_default():
        saver = Saver()
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.constant(1.0)
        with pytest.raises(ValueError, match="not elements of the session's graph"):
            saver.save(session, "m")
    assert os.listdir() == []


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("make", SAVERS)
def test_dataset_iterators(session: Any, make: Callable[..., Any], sharded: bool) -> None:
    iterator = tf1.data.make_initializable_iterator(tf.data.Dataset.range(10))
    variable = tf1.Variable([1.0], name="v")
    element = iterator.get_next()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    saver = make({"v": variable, "it": saveable}, sharded=sharded)
    session.run([iterator.initializer, variable.initializer])
    assert [session.run(element) for _ in range(3)] == [0, 1, 2]
    path = saver.save(session, "m", global_step=3)
    assert [session.run(element) for _ in range(3)] == [3, 4, 5]
    session.run(variable.assign([5.0]))
    saver.restore(session, path)
    assert session.run(element) == 3
    assert session.run(variable) == [1.0]
    assert fastckpt.latest_checkpoint(".") == "./m-3"


def test_iterators_do_not_mix_with_arrays(session: Any) -> None:
    iterator = tf1.data.make_initializable_iterator(tf.data.Dataset.range(10))
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    with pytest.raises(UnsupportedError, match="a Saver of its own"):
        Saver({"a": np.ones(1), "it": saveable})
    assert session.graph.get_operations()


class _Owner(Trackable):
    """Something that says what there is to save of it."""

    name = "owner"

    def __init__(self) -> None:
        self.main = tf.Variable(1.0, name="main")
        self.other = tf.Variable([2.0, 3.0], name="other")

    def _gather_saveables_for_checkpoint(self) -> dict[str, Any]:
        return {VARIABLE_VALUE_KEY: self.main, "more": self.other}


@pytest.mark.parametrize("form", ["list", "dict"])
@pytest.mark.parametrize("eager", [True, False])
def test_trackable_objects(eager: bool, form: str) -> None:
    with context.eager_mode() if eager else tf1.Graph().as_default():
        owner = _Owner()
        var_list = [owner] if form == "list" else {"owner": owner}
        session = None if eager else tf1.Session()
        if session is not None:
            session.run([owner.main.initializer, owner.other.initializer])
        stock, ours = tf1.train.Saver(var_list), Saver(var_list)
        expected = fastckpt.open(stock.save(session, "stock/m")).load()
        for saver in (stock, ours):
            path = saver.save(session, "ours/m")
            assert {k: v.tolist() for k, v in fastckpt.open(path).load().items()} == {
                k: v.tolist() for k, v in expected.items()
            }
            for variable in (owner.main, owner.other):
                assigned = variable.assign(tf1.zeros_like(variable))
                if session is not None:
                    session.run(assigned)
            saver.restore(session, path)
            found = [owner.main, owner.other]
            values = session.run(found) if session is not None else [x.numpy() for x in found]
            assert [np.asarray(x).tolist() for x in values] == [1.0, [2.0, 3.0]]
        if session is not None:
            session.close()


def test_objects_that_say_nothing() -> None:
    with pytest.raises(TypeError, match="Not a variable"):
        Saver({"m": tf.Module()})


class _Counting(BaseSaverBuilder.SaveableObject):  # type: ignore[misc]
    """Counts how often its value is computed."""

    def __init__(self) -> None:
        self.count = 0
        spec = BaseSaverBuilder.SaveSpec(
            self._value, "", "counted", dtype=tf.float32, device="/device:CPU:0"
        )
        super().__init__(tf.constant([2.0]), [spec], "counted")

    def _value(self) -> Any:
        self.count += 1
        return tf.constant([1.0])

    def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
        return tf.no_op()


@pytest.mark.parametrize("make", SAVERS)
def test_saveables_are_computed_once(make: Callable[..., Any]) -> None:
    saveable = _Counting()
    saver = make([saveable])
    path = saver.save(None, "m")
    assert saveable.count == 1
    saver.restore(None, path)
    assert saveable.count == 1
    assert fastckpt.load_variable(path, "counted") == [1.0]


def test_tables(session: Any) -> None:
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 0.0)
    keys = tf.constant(["a", "b"])
    fill = table.insert(keys, [1.0, 2.0])
    clear = table.remove(keys)
    for make in SAVERS:
        saver = make({"table": table})
        session.run(fill)
        path = saver.save(session, f"{make.__module__}/m")
        for reader in (saver, *(x({"table": table}) for x in SAVERS)):
            session.run(clear)
            reader.restore(session, path)
            assert session.run(table.lookup(keys)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("make", SAVERS)
def test_one_saveable_under_two_names(session: Any, make: Callable[..., Any]) -> None:
    assert session.graph is tf1.get_default_graph()
    saveable = _Counting()
    with pytest.raises(ValueError, match="same saveable will be restored with two names: counted"):
        make({"a": saveable, "b": saveable})


@pytest.mark.parametrize("make", SAVERS)
def test_eager_variables_take_any_session(make: Callable[..., Any]) -> None:
    variable = tf.Variable([1.0], name="v")
    saver = make([variable])
    path = saver.save(object(), "m", global_step=tf.Variable(2))
    assert path == "m-2"
    variable.assign([0.0])
    saver.restore(object(), path)
    assert variable.numpy() == [1.0]


@pytest.mark.parametrize("make", SAVERS)
def test_other_names_in_an_object_based_checkpoint(session: Any, make: Callable[..., Any]) -> None:
    with context.eager_mode():
        path = tf.train.Checkpoint(v=tf.Variable([1.0], name="v")).write("objects")
    variable = tf1.Variable([0.0], name="other")
    with pytest.raises(tf.errors.NotFoundError, match="Could not find some variables"):
        make([variable]).restore(session, path)


@pytest.mark.parametrize("kind", [tf.train.CheckpointManager, CheckpointManager])
def test_a_manager_counts_in_a_graph_variable(session: Any, kind: Callable[..., Any]) -> None:
    step = tf1.Variable(5, name="step", use_resource=True)
    checkpoint = tf.train.Checkpoint(step=step)
    session.run(step.initializer)
    manager = kind(checkpoint, "run", max_to_keep=None)
    assert manager.save(checkpoint_number=step) == "run/ckpt-5"
