"""Parts of meta graphs equal those that stock TensorFlow exports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.graph import MetaGraph, export_meta_graph

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf
from tensorflow.core.protobuf import control_flow_pb2

tf1 = tf.compat.v1
pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def graph() -> Any:
    """A graph with two scopes, a loop, two savers and collections of all kinds."""
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, [2], name="x")
        with tf1.variable_scope("one"):
            w = tf1.get_variable("w", [2], use_resource=False)
            with tf.device("/cpu:0"):
                y = tf.add(x, w, name="y")
            tf1.add_to_collection("outputs", y)
            with tf.control_dependencies([x]):
                tf.identity(w, name="kept")
        with tf1.variable_scope("two"):
            v = tf1.get_variable("v", [2], use_resource=True, trainable=False)
            tf1.add_to_collection("outputs", tf.multiply(v, y, name="z"))
        tf1.add_to_collection("numbers", 3)
        tf1.train.Saver([w], name="first")
        tf1.train.Saver(name="second", max_to_keep=7)
    return graph


def saver_def(scope: str) -> Any:
    return tf1.train.SaverDef(
        filename_tensor_name=f"{scope}/Const:0",
        save_tensor_name=f"{scope}/control_dependency:0",
        restore_op_name=f"{scope}/restore_all",
        version=tf1.train.SaverDef.V2,
    )


def stock(graph: Any, **options: Any) -> Any:
    with graph.as_default():
        return tf1.train.export_meta_graph(graph=graph, **options)


def assert_same(found: Any, expected: Any) -> None:
    """Compare node by node and collection by collection."""
    found = tf1.MetaGraphDef.FromString(found.SerializeToString())
    assert [node.name for node in found.graph_def.node] == [
        node.name for node in expected.graph_def.node
    ]
    for ours, theirs in zip(found.graph_def.node, expected.graph_def.node, strict=True):
        for node in (ours, theirs):
            if "_class" in node.attr and not node.attr["_class"].list.s:
                del node.attr["_class"]
        assert ours == theirs
    assert set(found.collection_def) == set(expected.collection_def)
    for key, collection in expected.collection_def.items():
        assert found.collection_def[key] == collection, key


@contextlib.contextmanager
def _old_control_flow() -> Iterator[None]:
    was_new = tf1.control_flow_v2_enabled()
    tf1.disable_control_flow_v2()
    yield
    if was_new:
        tf1.enable_control_flow_v2()


@pytest.fixture(scope="module")
def flowing() -> Any:
    """A graph whose scopes hold what collections describe in messages of their own."""
    with tf.Graph().as_default() as graph, _old_control_flow():
        for scope in ("one", "one/deeper", "two"):
            with tf1.name_scope(f"{scope}/"), tf1.variable_scope(tf1.get_variable_scope()):
                x = tf1.placeholder(tf.int32, [], name="x")
                branch = tf1.cond(x > 1, lambda x=x: x + 1, lambda: 5, name="choice")
                count = tf1.while_loop(lambda i: i < 3, lambda i, x=x: i + x, [branch])
                queue = tf1.FIFOQueue(3, tf.int32, name="queue")
                runner = tf1.train.QueueRunner(queue, [queue.enqueue(count)])
                tf1.train.add_queue_runner(runner)
                with tf1.variable_scope(scope):
                    parts = tf1.get_variable(
                        "parts", (5, 2), partitioner=tf1.fixed_size_partitioner(2)
                    )
                for part in parts:
                    tf1.add_to_collection("mine", part)
                tf1.add_to_collection("savers", tf1.train.Saver(list(parts), name="save"))
    return graph


@pytest.mark.parametrize("scope", ["one", "one/deeper", "two", None])
def test_what_collections_say_of_a_scope(flowing: Any, scope: str | None) -> None:
    expected = stock(flowing, export_scope=scope)
    assert {"cond_context", "while_context", "queue_runners", "mine", "savers"} <= set(
        expected.collection_def
    )
    for source in (stock(flowing), flowing):
        with flowing.as_default():
            found = export_meta_graph(source=source, export_scope=scope)
        assert set(found.collection_def) == set(expected.collection_def)
        for key, collection in expected.collection_def.items():
            wanted = messages(key, collection)
            assert messages(key, found.collection_def[key]) == wanted, key


def messages(key: str, collection: Any) -> Any:
    """The content of a collection; of messages whose maps have no order, parsed."""
    kind = {
        "cond_context": control_flow_pb2.CondContextDef,
        "while_context": control_flow_pb2.WhileContextDef,
    }.get(key)
    if kind is None:
        return collection.SerializeToString(deterministic=True)
    return [kind.FromString(x) for x in collection.bytes_list.value]


@pytest.mark.parametrize("scope", ["one", "two"])
def test_below_a_scope(graph: Any, scope: str) -> None:
    whole = stock(graph)
    assert_same(
        export_meta_graph(source=whole, export_scope=scope), stock(graph, export_scope=scope)
    )
    graph.clear_collection("unbound_inputs")


@pytest.mark.parametrize("kept", ["first", "second", None])
def test_without_other_savers(graph: Any, kept: str | None) -> None:
    definition = None if kept is None else saver_def(kept)
    whole = stock(graph, saver_def=definition)
    found = export_meta_graph(source=whole, clear_extraneous_savers=True)
    expected = stock(graph, saver_def=definition, clear_extraneous_savers=True)
    assert_same(found, expected)
    assert len(found.graph_def.node) < len(whole.graph_def.node)


def test_options(graph: Any, tmp_path: Path) -> None:
    whole = stock(graph)
    found = export_meta_graph(
        tmp_path / "made" / "m.meta", source=whole, collection_list=["numbers", "variables"],
        clear_devices=True, strip_default_attrs=True,
    )  # fmt: skip
    expected = stock(
        graph, collection_list=["numbers", "variables"], clear_devices=True,
        strip_default_attrs=True,
    )  # fmt: skip
    assert_same(found, expected)
    assert found.meta_info_def.stripped_default_attrs
    assert any(node.device for node in whole.graph_def.node)
    written = tf1.MetaGraphDef.FromString((tmp_path / "made" / "m.meta").read_bytes())
    assert written.SerializeToString(deterministic=True) == found.SerializeToString(
        deterministic=True
    )


def test_collections_of_a_graph(graph: Any) -> None:
    """Those of a graph that was opened, with what was added to it since, as it was imported."""
    whole = stock(graph)
    opened = MetaGraph(whole).graph
    assert_same(export_meta_graph(source=opened), whole)
    opened.get_collection_ref("numbers").append(4)
    opened.get_collection_ref("words").extend(["a", b"b"])
    opened.get_collection_ref("floats").append(0.5)
    opened.get_collection_ref("mixed").extend([1, "a"])
    opened.get_collection_ref("objects").append(object())
    opened.get_collection_ref("flags").append(True)
    opened.get_collection_ref("none")
    opened.get_collection_ref("operations").append(opened.get_operation_by_name("one/y"))
    found = export_meta_graph(source=opened)
    with tf.Graph().as_default() as again:
        tf1.train.import_meta_graph(tf1.MetaGraphDef.FromString(found.SerializeToString()))
    assert again.get_collection("numbers") == [3, 4]
    assert again.get_collection("words") == [b"a", b"b"]
    assert again.get_collection("floats") == [0.5]
    assert [op.name for op in again.get_collection("operations")] == ["one/y"]
    assert {"mixed", "objects", "flags", "none"}.isdisjoint(found.collection_def)


def test_parts_given_as_messages_of_tensorflow(graph: Any) -> None:
    info = tf1.MetaGraphDef.MetaInfoDef(tags=["serve"])
    found = export_meta_graph(
        meta_info_def=info, graph_def=graph.as_graph_def(), saver_def=saver_def("first")
    )
    assert list(found.meta_info_def.tags) == ["serve"]
    assert found.saver_def.restore_op_name == "first/restore_all"
    assert len(found.graph_def.node) == len(graph.as_graph_def().node)


def test_a_scoped_graph_imports(tmp_path: Path) -> None:
    """A scope taken out of a checkpoint's graph has a saver that fits the smaller graph."""
    w = np.arange(3, dtype=np.float32)
    prefix = fastckpt.save(tmp_path / "m", {"w": w})
    message = export_meta_graph(source=prefix)
    path = str(tmp_path / "m.meta")
    export_meta_graph(path, source=message)
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.train.import_meta_graph(path, import_scope="deep")
        again = stock(tf1.get_default_graph(), saver_def=saver_def("deep/save"))
    export_meta_graph(path, source=again, export_scope="deep/")
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.train.import_meta_graph(path).restore(session, prefix)
        assert session.run("w:0").tolist() == w.tolist()
