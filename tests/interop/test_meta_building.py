"""Meta graphs made from arrays alone are full citizens of stock TensorFlow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.graph import SaverSpec, VariableSpec, export_meta_graph, meta_graph_bytes
from fastckpt.graph.meta_names import legal_name
from fastckpt.graph.meta_variables import can_be_variable

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from interop import partitions, zoo

tf1 = tf.compat.v1
pytestmark = pytest.mark.tf

W = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.array([1, 2, 3], np.int64)
P = np.arange(10, dtype=np.float32).reshape(5, 2)

# Legal as keys, not all of them as names of nodes -> the name that the node gets.
NAMES = {
    "w:0": "w_0",
    "my weights": "my_weights",
    "my_weights": "my_weights_1",
    "_CHECKPOINTABLE": "v_CHECKPOINTABLE",
    "/leading": "v/leading",
    "日本語/重み": "v___/__",
    "model/layer/.ATTRIBUTES/VARIABLE_VALUE": "model/layer/.ATTRIBUTES/VARIABLE_VALUE",
    "a..b/c.Sd": "a..b/c.Sd",
    "x/read": "x/read",
    "x/Assign": "x/Assign",
    "x": "x",
    "save/Const": "save/Const",
    "dir/": "dir/",
    "^control": "v_control",
    "back\\slash": "back_slash",
    "-dash>": "v-dash_",
}

SPECS = [
    VariableSpec("w", "float32", (2, 3)),
    VariableSpec("b", np.int64, (3,), trainable=False, device="/job:localhost/cpu:0"),
    VariableSpec("p/part_0", "float32", (3, 2), None, "p", (5, 2), (0, 0)),
    VariableSpec("p/part_1", "float32", (2, 2), None, "p", (5, 2), (3, 0)),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    prefix = tmp_path_factory.mktemp("arrays") / "model.ckpt"
    return fastckpt.save(prefix, {"w": W, "b": B, "p": P})


@contextmanager
def imported(data: bytes, folder: Path, **options: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Import a meta graph into a graph of its own: graph, session, saver."""
    path = folder / "imported.meta"
    path.write_bytes(data)
    with tf.Graph().as_default() as graph, tf1.Session(graph=graph) as session:
        saver = tf1.train.import_meta_graph(str(path), **options)
        yield graph, session, saver


@pytest.mark.parametrize(
    ("kind", "sharded", "version"), list(product(["ref", "resource"], [False, True], [1, 2]))
)
def test_restore_fetch_save(
    checkpoint: str, tmp_path: Path, kind: Any, sharded: bool, version: int
) -> None:
    saver_spec = SaverSpec(3, 2.5, sharded, version)
    data = meta_graph_bytes(SPECS, kind=kind, saver=saver_spec)
    with imported(data, tmp_path) as (_, session, saver):
        names = [variable.name for variable in tf1.global_variables()]
        assert names == ["w:0", "b:0", "p/part_0:0", "p/part_1:0"]
        trained = [variable.name for variable in tf1.trainable_variables()]
        assert trained == ["w:0", "p/part_0:0", "p/part_1:0"]
        session.run(tf1.global_variables_initializer())
        assert session.run(tf1.global_variables()[0]).tolist() == np.zeros((2, 3)).tolist()
        saver.restore(session, checkpoint)
        values = session.run([variable.value() for variable in tf1.global_variables()])
        for value, expected in zip(values, (W, B, P[:3], P[3:]), strict=True):
            np.testing.assert_array_equal(value, expected)
        if kind == "ref":
            np.testing.assert_array_equal(session.run("w:0"), W)
            np.testing.assert_array_equal(session.run("w/read:0"), W)
        definition = saver.saver_def
        assert (definition.max_to_keep, definition.sharded, definition.version) == (
            *(3, sharded, version),
        )
        assert definition.keep_checkpoint_every_n_hours == 2.5
        session.run(tf1.global_variables()[0].assign(W + 1))
        saved = saver.save(session, str(tmp_path / "saved"))
        session.run(tf1.global_variables_initializer())
        saver.restore(session, saved)
        np.testing.assert_array_equal(session.run(tf1.global_variables()[0]), W + 1)
    with fastckpt.open(saved) as again:
        assert {name: again[name].tolist() for name in again} == {
            "w": (W + 1).tolist(),
            "b": B.tolist(),
            "p": P.tolist(),
        }
        assert again.num_shards == (2 if sharded else 1)
    # What TensorFlow exported again imports as well.
    meta = f"{tmp_path}/saved.meta"
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.train.import_meta_graph(meta).restore(session, saved)
        np.testing.assert_array_equal(session.run(tf1.global_variables()[0]), W + 1)


@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_train_a_step_and_freeze(checkpoint: str, tmp_path: Path, kind: Any) -> None:
    data = meta_graph_bytes(SPECS, kind=kind)
    with imported(data, tmp_path) as (graph, session, saver):
        saver.restore(session, checkpoint)
        variable = tf1.trainable_variables()[0]
        loss = tf.reduce_sum(variable * variable) / 2 + tf.reduce_sum(tf1.trainable_variables()[1])
        output = tf.identity(variable * 2, name="output")
        step = tf1.train.GradientDescentOptimizer(0.5).minimize(loss, name="step")
        session.run(step)
        np.testing.assert_array_equal(session.run(variable), W / 2)
        np.testing.assert_array_equal(session.run(tf1.trainable_variables()[1]), P[:3] - 0.5)
        adam = tf1.train.AdamOptimizer(0.1).minimize(loss)
        session.run(tf1.variables_initializer(set(tf1.global_variables()[4:])))
        session.run(adam)
        expected = session.run(output)
        frozen = tf1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["output"]
        )
    assert "VariableV2" not in {node.op for node in frozen.node}
    with tf.Graph().as_default(), tf1.Session() as session:
        (again,) = tf.import_graph_def(frozen, return_elements=["output:0"])
        np.testing.assert_array_equal(session.run(again), expected)


@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_import_twice_with_scopes(checkpoint: str, tmp_path: Path, kind: Any) -> None:
    data = meta_graph_bytes(SPECS, kind=kind)
    with imported(data, tmp_path, import_scope="a") as (_, session, first):
        second = tf1.train.import_meta_graph(str(tmp_path / "imported.meta"), import_scope="c")
        names = [variable.name for variable in tf1.global_variables()]
        assert names[:1] + names[4:5] == ["a/w:0", "c/w:0"]
        first.restore(session, checkpoint)
        second.restore(session, checkpoint)
        session.run(tf1.global_variables()[4].assign(W * 3))
        saved = second.save(session, str(tmp_path / "second"))
        # Resources of equal shared names are one, in TensorFlow's own meta graphs too.
        expected = W if kind == "ref" else W * 3
        np.testing.assert_array_equal(session.run(tf1.global_variables()[0]), expected)
    assert fastckpt.load(saved)["w"].tolist() == (W * 3).tolist()


@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_every_dtype(tmp_path: Path, kind: Any) -> None:
    values = {
        name: partitions.random_values(name, (2, 3), seed)
        for seed, name in enumerate(partitions.DTYPES)
        if can_be_variable(name)
    }
    assert set(partitions.DTYPES) - set(values) == {
        *("qint16", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz")
    }
    prefix = fastckpt.save(tmp_path / "dtypes", {k: (v, k) for k, v in values.items()})
    data = meta_graph_bytes([VariableSpec(name, name, (2, 3)) for name in values], kind=kind)
    with imported(data, tmp_path) as (_, session, saver):
        session.run(tf1.global_variables_initializer())
        for variable in tf1.global_variables():
            assert not session.run(variable.value()).any()
        saver.restore(session, prefix)
        for variable in tf1.global_variables():
            name = variable.op.name
            found = session.run(variable.value())
            partitions.assert_same(found, values[name])
        saved = saver.save(session, str(tmp_path / "again"))
    with fastckpt.open(saved) as again:
        assert {tensor.name: tensor.tf_dtype for tensor in again.tensors()} == {
            name: name for name in values
        }
        for name, expected in values.items():
            partitions.assert_same(again[name], expected)


@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_unusual_names(tmp_path: Path, kind: Any) -> None:
    values = {name: np.full(2, i, np.float32) for i, name in enumerate(NAMES)}
    prefix = fastckpt.save(tmp_path / "names", values)
    data = meta_graph_bytes([VariableSpec(name, "float32", (2,)) for name in NAMES], kind=kind)
    with imported(data, tmp_path) as (_, session, saver):
        found = [variable.op.name for variable in tf1.global_variables()]
        assert found == list(NAMES.values())
        saver.restore(session, prefix)
        read = session.run([variable.value() for variable in tf1.global_variables()])
        assert [value[0] for value in read] == list(range(len(NAMES)))
        assert saver.saver_def.filename_tensor_name == "save_1/Const:0"
        saved = saver.save(session, str(tmp_path / "again"))
    again = fastckpt.load(saved)
    assert {name: value.tolist() for name, value in again.items()} == {
        name: value.tolist() for name, value in values.items()
    }


def test_names_that_tensorflow_takes_are_kept() -> None:
    rng = random.Random(1)
    names = {"".join(rng.choices("aZ0_./>-:^ \\é", k=rng.randint(1, 4))) for _ in range(1500)}
    kept = 0
    for name in names:
        is_taken = is_name(name)
        kept += is_taken
        assert (legal_name(name) == name) == is_taken, name
        assert is_taken or is_name(legal_name(name)), name
    assert kept > 50


def is_name(name: str) -> bool:
    graph = tf1.GraphDef(node=[tf1.NodeDef(name=name, op="NoOp")])
    with tf.Graph().as_default():
        try:
            tf.import_graph_def(graph, name="")
        except ValueError:
            return False
    return True


def test_names_of_the_zoo(tmp_path: Path) -> None:
    prefix = fastckpt.save(tmp_path / "zoo", dict.fromkeys(zoo.NAMES, W))
    export_meta_graph(f"{prefix}.meta", source=prefix)
    with tf.Graph().as_default(), tf1.Session() as session:
        saver = tf1.train.import_meta_graph(f"{prefix}.meta", import_scope="scope")
        saver.restore(session, prefix)
        for variable in tf1.global_variables():
            np.testing.assert_array_equal(session.run(variable), W)
        assert len(tf1.global_variables()) == len(zoo.NAMES)


def test_devices_can_be_cleared(checkpoint: str, tmp_path: Path) -> None:
    device = "/job:ps/replica:0/task:3/gpu:1"
    specs = [spec._replace(device=device) for spec in SPECS]
    data = meta_graph_bytes(specs, saver=SaverSpec(sharded=True))
    with imported(data, tmp_path) as (graph, session, saver):
        assert graph.get_operation_by_name("w/Assign").device == (
            "/job:ps/replica:0/task:3/device:GPU:1"
        )
        with pytest.raises(tf.errors.InvalidArgumentError, match="Cannot assign a device"):
            saver.restore(session, checkpoint)
    with imported(data, tmp_path, clear_devices=True) as (_, session, saver):
        saver.restore(session, checkpoint)
        np.testing.assert_array_equal(session.run("w:0"), W)
    cleared = export_meta_graph(source=fastckpt.graph.build_meta_graph(specs), clear_devices=True)
    with imported(cleared.SerializeToString(), tmp_path) as (_, session, saver):
        saver.restore(session, checkpoint)
        np.testing.assert_array_equal(session.run("w:0"), W)


@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_without_a_saver_tensorflow_makes_one(checkpoint: str, tmp_path: Path, kind: Any) -> None:
    data = meta_graph_bytes(SPECS, kind=kind, saver=None)
    with imported(data, tmp_path) as (_, session, saver):
        saver.restore(session, checkpoint)
        slices = [variable._get_save_slice_info() for variable in tf1.global_variables()[2:]]
        assert [(s.full_name, s.full_shape, s.var_offset, s.var_shape) for s in slices] == [
            ("p", [5, 2], [0, 0], [3, 2]),
            ("p", [5, 2], [3, 0], [2, 2]),
        ]
        np.testing.assert_array_equal(session.run(tf1.global_variables()[3]), P[3:])
        saved = saver.save(session, str(tmp_path / "own"))
    assert fastckpt.load(saved)["p"].tolist() == P.tolist()


def test_a_shape_that_no_memory_holds(tmp_path: Path) -> None:
    """Initial values are made when they are asked for, and not before."""
    specs = [VariableSpec("huge", "float32", (1 << 40, 8)), VariableSpec("w", "float32", (2, 3))]
    with imported(meta_graph_bytes(specs), tmp_path) as (_, session, _saver):
        session.run("w/Assign")
        assert session.run("w:0").tolist() == np.zeros((2, 3)).tolist()
        assert tf1.global_variables()[0].shape == (1 << 40, 8)


def test_variants_restore(tmp_path: Path) -> None:
    prefix = str(tmp_path / "variants")
    listed = tf.raw_ops.TensorListFromTensor(
        tensor=tf.constant([1.5, 2.5]), element_shape=tf.constant([], tf.int32)
    )
    partitions.save_rows(Path(prefix), [("v", "", listed)])
    for kind in ("ref", "resource"):
        message = export_meta_graph(source=prefix, kind=kind)  # type: ignore[arg-type]
        with imported(message.SerializeToString(), tmp_path) as (_, session, saver):
            saver.restore(session, prefix)
            value = tf.raw_ops.TensorListStack(
                input_handle=tf1.global_variables()[0].value(),
                element_shape=tf.constant([], tf.int32),
                element_dtype=tf.float32,
            )
            assert session.run(value).tolist() == [1.5, 2.5]


def test_exported_checkpoints(tmp_path: Path) -> None:
    """From a prefix, binary and text: slices, an object-based key, and what is no variable."""
    prefix = tmp_path / "mixed"
    with fastckpt.CheckpointWriter(prefix) as writer:
        writer.add_slice("p", P[:3], P.shape, (0, 0))
        writer.add_slice("p", P[3:], P.shape, (3, 0))
        writer.add("model/w/.ATTRIBUTES/VARIABLE_VALUE", W)
        writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", b"")
        writer.add("strange", np.zeros(2, np.int16), dtype="qint16")
    for as_text in (False, True):
        export_meta_graph(f"{prefix}.meta", source=prefix, as_text=as_text)
        with tf.Graph().as_default(), tf1.Session() as session:
            saver = tf1.train.import_meta_graph(f"{prefix}.meta")
            saver.restore(session, str(prefix))
            assert [variable.name for variable in tf1.global_variables()] == [
                *("model/w:0", "p/part_0:0", "p/part_1:0")
            ]
            np.testing.assert_array_equal(session.run("model/w:0"), W)
            np.testing.assert_array_equal(session.run("p/part_1:0"), P[3:])
