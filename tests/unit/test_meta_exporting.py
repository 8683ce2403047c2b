"""Exporting a .meta: what is made of checkpoints and arrays, options, files, mistakes."""

import logging

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import CheckpointNotFoundError, InvalidArgumentError
from fastckpt.graph import MetaGraph, build_meta_graph, export_meta_graph, read_message
from fastckpt.graph.meta_sources import specs_of
from fastckpt.protos import message_class

W = np.arange(6, dtype=np.float32).reshape(2, 3)


def by_name(specs):
    return {spec.name: spec for spec in specs}


def test_arrays_and_checkpoints_give_the_same(tmp_path):
    arrays = {"w": W, "n": np.int64(3), "text": ["a", "b"], "q": (np.zeros(2, np.int8), "qint8")}
    prefix = fastckpt.save(tmp_path / "m", arrays)
    expected = meta_bytes(export_meta_graph(source=arrays))
    assert meta_bytes(export_meta_graph(source=prefix)) == expected
    assert meta_bytes(export_meta_graph(graph=tmp_path / "m")) == expected
    with fastckpt.open(prefix) as checkpoint:
        assert meta_bytes(export_meta_graph(source=checkpoint)) == expected


def meta_bytes(message):
    return message.SerializeToString(deterministic=True)


def test_no_tensor_is_read(tmp_path):
    prefix = fastckpt.save(tmp_path / "m", {"w": W}, num_shards=1)
    (tmp_path / "m.data-00000-of-00001").unlink()
    assert len(export_meta_graph(source=prefix).graph_def.node) > 4


def test_what_is_trainable():
    names = [
        *("dense/kernel", "dense/kernel/Adam", "dense/kernel/Adam_1", "beta1_power", "dense/bias"),
        *("bn/moving_mean", "bn/gamma", "opt/w/.ATTRIBUTES/VARIABLE_VALUE"),
        "opt/w/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE",
    ]
    specs = specs_of({**dict.fromkeys(names, W), "global_step": 1, "complex": 1j, "text": "a"})
    trained = {spec.name for spec in specs if spec.trainable}
    assert trained == {"dense/kernel", "dense/bias", "bn/gamma", "opt/w", "complex"}
    chosen = specs_of(dict.fromkeys(names, W), trainable=["beta1_power", "opt/w"])
    assert {spec.name for spec in chosen if spec.trainable} == {"beta1_power", "opt/w"}


def test_slices_and_keys_of_objects(tmp_path, caplog):
    with fastckpt.CheckpointWriter(tmp_path / "m") as writer:
        writer.add_slice("p", W[1:], W.shape, (1, 0))
        writer.add_slice("p", W[:1], W.shape, (0, 0))
        writer.add("p/part_0", W)
        writer.add("w", W)
        writer.add("w/.ATTRIBUTES/VARIABLE_VALUE", W)
        writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", b"message")
        writer.add("strange", np.zeros(2, np.int16), dtype="qint16")
    with caplog.at_level(logging.WARNING, "fastckpt"):
        specs = by_name(specs_of(tmp_path / "m"))
    (record,) = caplog.records
    assert record.getMessage() == (
        "tensor 'strange' is left out of the meta graph: TensorFlow has no variables of dtype "
        "qint16"
    )
    assert {name: spec.key for name, spec in specs.items()} == {
        "p/part_0": "p", "p/part_1": "p", "p/part_0_1": "p/part_0",
        "w": "w", "w_1": "w/.ATTRIBUTES/VARIABLE_VALUE",
    }  # fmt: skip
    part = specs["p/part_1"]
    assert (part.full_name, part.full_shape, part.start, part.shape) == (
        *("p", (2, 3), (1, 0), (1, 3)),
    )


@pytest.mark.parametrize("as_text", [False, True])
def test_files(tmp_path, as_text):
    path = tmp_path / "new" / "m.meta"
    message = export_meta_graph(path, source={"w": W}, as_text=as_text)
    assert read_message(path, "MetaGraphDef") == message
    assert path.read_bytes().startswith(b"meta_info_def {") is as_text


def test_a_graph_is_copied():
    message = build_meta_graph(specs_of({"w/a": W, "w/b": W, "c": W}))
    before = message.SerializeToString(deterministic=True)
    for options in (
        {"clear_devices": True, "strip_default_attrs": True, "collection_list": []},
        {"export_scope": "w", "clear_extraneous_savers": True},
    ):
        found = export_meta_graph(source=message, **options)
        assert found is not message
        assert meta_bytes(message) == before
    names = [node.name for node in found.graph_def.node]
    assert names[:5] == ["a", "a/Init", "a/Assign", "a/read", "b"]
    assert set(found.collection_def) == {"variables", "trainable_variables"}
    assert not found.HasField("saver_def")


def test_sources_that_hold_graphs():
    message = build_meta_graph(specs_of({"w": W}))

    class Holder:
        meta_graph_def = message

    class Graph:
        def as_graph_def(self):
            return message.graph_def

    assert export_meta_graph(source=Holder()) == message
    for graph in (Graph(), message.graph_def):
        assert export_meta_graph(source=graph).graph_def == message.graph_def
    replaced = export_meta_graph(source=message, graph_def=message_class("GraphDef")())
    assert list(replaced.graph_def.node) == []
    assert replaced.saver_def == message.saver_def


def test_what_no_collection_holds_is_left_out(caplog):
    graph = MetaGraph(build_meta_graph(specs_of({"w": W}))).graph
    graph.get_collection_ref("mixed").extend([1, "a"])
    with caplog.at_level(logging.WARNING, "fastckpt"):
        found = export_meta_graph(source=graph)
    assert "collection 'mixed': items must be all" in caplog.text
    assert set(found.collection_def) == {"variables", "trainable_variables"}


def test_mistakes(tmp_path):
    message = build_meta_graph(specs_of({"w": W}))
    for options, words in (
        ({}, "no default graph"),
        ({"source": 3}, "source must be"),
        ({"source": message, "graph": message}, "pass the source once"),
        ({"source": message, "saver_def": message}, "saver_def must be of type SaverDef"),
        ({"source": message, "meta_info_def": 1}, "meta_info_def must be of type MetaInfoDef"),
        ({"source": message, "collection_list": "variables"}, "collection_list must be a list"),
        ({"source": message, "filename": 3}, "filename must be"),
        ({"source": message, "graph_def": 3}, "graph_def must be a GraphDef"),
    ):
        with pytest.raises(TypeError, match=words):
            export_meta_graph(**options)
    with pytest.raises(InvalidArgumentError, match="no node lies below the scope 'x'"):
        export_meta_graph(source=message, export_scope="x")
    with pytest.raises(CheckpointNotFoundError):
        export_meta_graph(source=tmp_path / "none")
