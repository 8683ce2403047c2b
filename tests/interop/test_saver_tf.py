"""TensorFlow restores what Saver writes, and Saver what TensorFlow writes, in one session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from fastckpt.training.saver import Saver

tf1 = tf.compat.v1


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Model:
    """Variables of several types, one of them partitioned, two on devices of their own."""

    def __init__(self, *, resource: bool) -> None:
        self.graph = tf1.Graph()
        with self.graph.as_default():
            self.variables = {
                "w": _variable("w", (3, 4), tf.float32, resource),
                "count": _variable("count", (), tf.int64, resource),
                "half": _variable("half", (5,), tf.bfloat16, resource),
                "flag": _variable("flag", (2,), tf.bool, resource),
                "empty": _variable("empty", (0, 3), tf.float64, resource),
            }
            with tf1.device("/device:CPU:1"):
                self.variables["scope/far"] = _variable("scope/far", (2,), tf.float32, resource)
            with tf1.device("/device:CPU:0"):
                self.variables["scope/near"] = _variable("scope/near", (2,), tf.float32, resource)
            self.parts = tf1.get_variable(
                "parts", (5, 2), partitioner=tf1.fixed_size_partitioner(2), use_resource=resource
            )
            config = tf1.ConfigProto(device_count={"CPU": 2})
            self.session = tf1.Session(config=config)
            self.everything = [*self.variables.values(), *self.parts]
            self.initializers = tf1.variables_initializer(self.everything)
            self.fetches = {**self.variables, "parts": self.parts.as_tensor()}

    def load(self, seed: int) -> dict[str, Any]:
        """Give every variable new values; what they are."""
        random = np.random.default_rng(seed)
        for variable in self.everything:
            value = random.integers(0, 100, variable.shape.as_list())
            array = np.asarray(value, variable.dtype.base_dtype.as_numpy_dtype)
            self.session.run(variable.initializer, {variable.initializer.inputs[1]: array})
        return self.values()

    def values(self) -> dict[str, Any]:
        found = self.session.run(self.fetches)
        return {name: np.asarray(value) for name, value in found.items()}

    def clear(self) -> None:
        self.session.run(self.initializers)


def _variable(name: str, shape: Any, dtype: Any, resource: bool) -> Any:
    return tf1.Variable(tf1.zeros(shape, dtype), name=name, use_resource=resource)


def assert_equal(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].tobytes() == value.tobytes(), name


@pytest.fixture(scope="module", params=["ref", "resource"])
def made(request: pytest.FixtureRequest) -> Iterator[Model]:
    model = Model(resource=request.param == "resource")
    yield model
    model.session.close()


@pytest.fixture
def model(made: Model) -> Iterator[Model]:
    with made.graph.as_default():
        yield made


OPTIONS: dict[str, dict[str, Any]] = {
    "V2": {},
    "V2 sharded": {"sharded": True},
    "V1": {"write_version": 1},
    "V1 sharded": {"write_version": 1, "sharded": True},
}


def options_for(model: Model, name: str) -> tuple[list[Any], dict[str, Any]]:
    # V1 files have no bfloat16.
    variables = [x for x in model.everything if "V2" in name or "half" not in x.name]
    return variables, OPTIONS[name]


@pytest.mark.parametrize("name", OPTIONS)
def test_both_ways(model: Model, name: str) -> None:
    variables, options = options_for(model, name)
    stock, ours = tf1.train.Saver(variables, **options), Saver(variables, **options)
    for writer, reader in ((ours, stock), (stock, ours), (ours, ours)):
        wanted = model.load(7)
        path = writer.save(model.session, "d/m", global_step=3)
        model.clear()
        assert reader.restore(model.session, path) is None
        if "V1" in name:
            wanted["half"] = np.zeros_like(wanted["half"])
        assert_equal(model.values(), wanted)


@pytest.mark.parametrize("name", OPTIONS)
def test_files_and_state_are_those_of_stock(model: Model, name: str) -> None:
    variables, options = options_for(model, name)
    model.load(1)
    told = []
    for folder, saver in (
        ("ours", Saver(variables, **options)),
        ("stock", tf1.train.Saver(variables, **options)),
    ):
        os.mkdir(folder)
        paths = [saver.save(model.session, f"{folder}/m", global_step=step) for step in (1, 2)]
        text = Path(folder, "checkpoint").read_text()
        told.append([[x.replace(folder, "") for x in paths], sorted(os.listdir(folder)), text])
    assert told[0] == told[1]


def test_tensors_are_in_the_shards_of_their_devices(model: Model) -> None:
    variables, options = options_for(model, "V2 sharded")
    model.load(2)
    for path, saver in (
        ("ours", Saver(variables, **options)),
        ("stock", tf1.train.Saver(variables, **options)),
    ):
        saver.save(model.session, path, write_meta_graph=False)
    ours, stock = fastckpt.open("ours"), fastckpt.open("stock")
    assert stock.num_shards == 3
    assert {x.name: [part.shard for part in x.parts] for x in ours.tensors()} == {
        x.name: [part.shard for part in x.parts] for x in stock.tensors()
    }


def test_stock_takes_the_meta_graph(model: Model) -> None:
    wanted = model.load(3)
    variables, _ = options_for(model, "V2")
    tf1.add_to_collection("of_the_test", tf1.identity(model.variables["w"]))
    path = Saver(variables).save(model.session, "d/m", global_step=1)
    with tf1.Graph().as_default(), tf1.Session() as session:
        saver = tf1.train.import_meta_graph(f"{path}.meta", clear_devices=True)
        saver.restore(session, path)
        found = {x.op.name: session.run(x) for x in tf1.global_variables()}
        assert found["w"].tobytes() == wanted["w"].tobytes()
        assert found["parts/part_1"].tobytes() == wanted["parts"][3:].tobytes()
        assert session.run(tf1.get_collection("of_the_test")[0]).shape == (3, 4)
        assert saver.save(session, "again") == "again"
    assert_equal(fastckpt.load("again"), fastckpt.load(path))


def test_the_meta_graph_follows_the_graph(model: Model) -> None:
    variables, _ = options_for(model, "V2")
    saver = Saver(variables)
    saver.save(model.session, "a")
    saver.save(model.session, "b")
    assert Path("a.meta").read_bytes() == Path("b.meta").read_bytes()
    tf1.add_to_collection("numbers", len(tf1.get_collection("numbers")))
    saver.save(model.session, "c", strip_default_attrs=True)
    saver.save(model.session, "d")
    assert len({Path(f"{x}.meta").read_bytes() for x in "acd"}) == 3
    stock = tf1.train.Saver(saver_def=saver.saver_def)
    stock.export_meta_graph("stock.meta")
    assert Path("stock.meta").read_bytes() == Path("d.meta").read_bytes()


def test_debug_info(model: Model) -> None:
    variables, _ = options_for(model, "V2")
    saver = Saver(variables)
    saver.save(model.session, "m", meta_graph_suffix="graph", save_debug_info=True)
    assert {"m.graph", "m.debug"} <= set(os.listdir())
    assert tf1.MetaGraphDef.FromString(Path("m.graph").read_bytes()).HasField("saver_def")


def test_steps_of_the_graph(model: Model) -> None:
    variables, _ = options_for(model, "V2")
    saver = Saver(variables)
    step = tf1.train.get_or_create_global_step()
    model.session.run(step.initializer)
    number = tf1.constant(7, name="seven_of_the_test")
    assert saver.save(model.session, "m", step) == "m-0"
    assert saver.save(model.session, "m", number) == "m-7"
    assert saver.save(model.session, "m", number.name) == "m-7"
    for wrong in (1.5, "global_step" if "Ref" in type(step).__name__ else "global_step:0"):
        with pytest.raises(TypeError):
            saver.save(model.session, "m", wrong)


def test_a_finalized_graph() -> None:
    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        variable = tf1.Variable(1.0, name="v")
        session.run(variable.initializer)
        saver = Saver()
        graph.finalize()
        path = saver.save(session, "m")
        saver.restore(session, path)
        with pytest.raises(RuntimeError, match="finalized"):
            Saver()


def test_variables_made_later_are_not_saved() -> None:
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.Variable(1.0, name="early")
        saver, deferred = Saver(), Saver(defer_build=True)
        tf1.Variable(2.0, name="late")
        tf1.Variable(3.0, name="local", collections=[tf1.GraphKeys.LOCAL_VARIABLES])
        deferred.build()
        session.run(tf1.global_variables_initializer())
        assert fastckpt.list_variables(saver.save(session, "a")) == [("early", [])]
        assert len(fastckpt.list_variables(deferred.save(session, "b"))) == 2


def test_uninitialized_variables(model: Model) -> None:
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.Variable(1.0, name="v")
        saver = Saver()
        with pytest.raises(tf.errors.FailedPreconditionError):
            saver.save(session, "m")
        assert os.listdir() == []
        fastckpt.save("m", {"v": np.float32(5)})
        saver.restore(session, "m")
        assert session.run(tf1.global_variables()[0]) == 5


def test_saver_defs_of_each_other(model: Model) -> None:
    variables, _ = options_for(model, "V2")
    wanted = model.load(9)
    ours = Saver(variables)
    stock = tf1.train.Saver(saver_def=ours.as_saver_def())
    path = stock.save(model.session, "stock")
    adopted = Saver(saver_def=tf1.train.Saver(variables).as_saver_def(), max_to_keep=1)
    for step in range(6):
        adopted_path = adopted.save(model.session, "d/adopted", step)
    assert len(adopted.last_checkpoints) == 5
    for saver in (ours, stock, adopted):
        for place in (path, adopted_path):
            model.clear()
            saver.restore(model.session, place)
            assert_equal(model.values(), wanted)


def test_a_builder_of_other_operations(model: Model) -> None:
    variables, _ = options_for(model, "V2")
    wanted = model.load(4)
    saver = Saver(variables, builder=tf1.train.Saver.__init__.__globals__["BaseSaverBuilder"]())
    path = saver.save(model.session, "m")
    model.clear()
    saver.restore(model.session, path)
    assert_equal(model.values(), wanted)


def test_graph_variables_beside_arrays(model: Model) -> None:
    wanted = model.load(5)["w"]
    extra = np.arange(3)
    saver = Saver({"w": model.variables["w"], "extra": extra})
    path = saver.save(model.session, "m")
    extra[...] = 0
    model.clear()
    saver.restore(model.session, path)
    assert extra.tolist() == [0, 1, 2]
    assert model.values()["w"].tobytes() == wanted.tobytes()
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.train.import_meta_graph(f"{path}.meta", clear_devices=True).restore(session, path)


def test_object_based_checkpoints() -> None:
    layer = tf.Module()
    layer.kernel = tf.Variable(tf.range(4.0), name="kernel")
    layer.bias = tf.Variable([1.0], name="bias")
    path = tf.train.Checkpoint(layer=layer).write("objects")
    with tf1.Graph().as_default(), tf1.Session() as session:
        variables = [tf1.Variable(tf.zeros(4), name="kernel"), tf1.Variable([0.0], name="bias")]
        Saver(variables).restore(session, path)
        assert [x.tolist() for x in session.run(variables)] == [[0, 1, 2, 3], [1]]
        adopted = Saver(variables, saver_def=tf1.train.Saver(variables).as_saver_def())
        session.run(tf1.global_variables_initializer())
        adopted.restore(session, path)
        assert [x.tolist() for x in session.run(variables)] == [[0, 1, 2, 3], [1]]


def test_eager_variables() -> None:
    variables = [tf.Variable([1.0, 2.0], name="a"), tf.Variable(3, name="b")]
    stock, ours = tf1.train.Saver(variables), Saver(variables)
    for folder, writer, reader in (("stock", stock, ours), ("ours", ours, stock)):
        path = writer.save(None, f"{folder}/m", global_step=tf.Variable(4))
        assert path == f"{folder}/m-4"
        for variable in variables:
            variable.assign(tf.zeros_like(variable))
        reader.restore(None, path)
        assert [x.numpy().tolist() for x in variables] == [[1, 2], 3]
        variables[0].assign([1.0, 2.0])
    assert sorted(os.listdir("ours")) == sorted(os.listdir("stock"))
    assert not any(x.endswith(".meta") for x in os.listdir("ours"))


def test_arrays_and_a_stock_graph() -> None:
    values = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.int64([7])}
    path = Saver(values).save("m", 1)
    with tf1.Graph().as_default(), tf1.Session() as session:
        saver = tf1.train.import_meta_graph("m-1.meta")
        saver.restore(session, path)
        assert session.run("w:0").tolist() == values["w"].tolist()
        session.run(tf1.global_variables()[0].assign(tf1.zeros_like(tf1.global_variables()[0])))
        again = saver.save(session, "again")
    Saver(values).restore(again)
    assert 0 in {values["w"].sum(), values["n"].sum()}
