"""GraphDefs beside TensorFlow's tools: sub-graphs, training nodes, default attributes, files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import meta_graph as tf_meta_graph

from fastckpt import protos
from fastckpt.errors import CheckpointError
from fastckpt.graph.files import read_message
from fastckpt.graph.graph_def import strip_default_attrs, write_graph
from fastckpt.graph.sub_graphs import extract_sub_graph, remove_training_nodes
from interop.graph_corpus import corpus_graphs

GraphDef = tf.compat.v1.GraphDef
graph_util = tf.compat.v1.graph_util

_MAX_BYTES = 50_000


@pytest.fixture(scope="module")
def graphs(corpus_dir: Path) -> dict[str, GraphDef]:
    return dict(corpus_graphs(corpus_dir))


def theirs(message) -> GraphDef:
    return GraphDef.FromString(message.SerializeToString())


def some_outputs(graph_def: GraphDef) -> Iterator[list[str]]:
    """A few choices of nodes that have all their inputs in the graph."""
    names = [node.name for node in graph_def.node]
    if names:
        yield names[-1:]
        yield names[:: max(1, len(names) // 5)]
        yield []


def test_sub_graphs(graphs) -> None:
    compared = 0
    for name, graph_def in graphs.items():
        for outputs in some_outputs(graph_def):
            try:
                expected = graph_util.extract_sub_graph(graph_def, outputs)
            except KeyError:
                with pytest.raises(KeyError):
                    extract_sub_graph(graph_def, outputs)
                continue
            assert theirs(extract_sub_graph(graph_def, outputs)) == expected, name
            compared += 1
    assert compared >= 3 * len(graphs) // 2


def test_training_nodes(graphs) -> None:
    for name, graph_def in graphs.items():
        protected = [node.name for node in graph_def.node[-3:]]
        for kept in (None, protected):
            expected = graph_util.remove_training_nodes(graph_def, kept)
            assert theirs(remove_training_nodes(graph_def, kept)) == expected, name


def test_default_attributes(graphs) -> None:
    stripped = 0
    for name, graph_def in graphs.items():
        meta_graph = meta_graph_pb2.MetaGraphDef()
        meta_graph.graph_def.CopyFrom(graph_def)
        ours = strip_default_attrs(meta_graph)
        assert ours.graph_def == strip_default_attrs(graph_def)
        before = meta_graph.SerializeToString()
        tf_meta_graph.strip_graph_default_valued_attrs(meta_graph)
        assert meta_graph_pb2.MetaGraphDef.FromString(ours.SerializeToString()) == meta_graph, name
        stripped += meta_graph.ByteSize() < len(before)
    assert stripped > len(graphs) // 2


@pytest.mark.parametrize("as_text", [True, False])
def test_written_files(graphs, tmp_path: Path, as_text: bool) -> None:
    # Text form of large graphs takes protobuf seconds and shows nothing else.
    some = {name: x for name, x in graphs.items() if x.ByteSize() < _MAX_BYTES}
    for name, graph_def in list(some.items())[::4]:
        expected = tf.io.write_graph(graph_def, str(tmp_path / "tf"), "g", as_text)
        for source in (graph_def, extract_private(graph_def)):
            path = write_graph(source, str(tmp_path / "ours"), "g", as_text)
            assert path == str(tmp_path / "ours" / "g")
            assert Path(path).read_bytes() == Path(expected).read_bytes(), name
        assert read_message(path, "GraphDef") == extract_private(graph_def)


def extract_private(message):
    return protos.message_class(message.DESCRIPTOR.name).FromString(message.SerializeToString())


def test_what_is_written(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default():
        tf.constant(1.0, name="a")
    path = write_graph(graph, tmp_path / "new" / "directory", "g.pb")
    assert text_format.Parse(Path(path).read_text(), GraphDef()) == graph.as_graph_def()
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
    written = read_message(write_graph(meta_graph, tmp_path, "m", False), "MetaGraphDef")
    assert written.graph_def.node[0].name == "a"
    with pytest.raises(AttributeError):
        tf.io.write_graph(graph, None, "g")
    with pytest.raises(AttributeError):
        write_graph(graph, None, "g")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        tf.io.write_graph(3, str(tmp_path), "g")
    with pytest.raises(AttributeError):
        write_graph(3, tmp_path, "g")


@pytest.mark.parametrize(
    ("graph_def", "outputs"),
    [
        (GraphDef(), "a"),
        (3, ["a"]),
        (GraphDef(), ["a"]),
        (text_format.Parse('node { name: "y" op: "NoOp" }', GraphDef()), ["y:0"]),
        (text_format.Parse('node { name: "y" op: "NoOp" input: "x" }', GraphDef()), ["y"]),
    ],
)
def test_sub_graphs_that_there_are_not(graph_def, outputs) -> None:
    with pytest.raises(Exception) as expected:
        graph_util.extract_sub_graph(graph_def, outputs)
    with pytest.raises(expected.type) as ours:
        extract_sub_graph(graph_def, outputs)
    assert isinstance(ours.value, CheckpointError)


def test_the_given_graph_is_not_changed(graphs) -> None:
    for graph_def in list(graphs.values())[::7]:
        before = graph_def.SerializeToString(deterministic=True)
        private = extract_private(graph_def)
        for source in (graph_def, private):
            extract_sub_graph(source, [node.name for node in source.node[:1]])
            remove_training_nodes(source)
            strip_default_attrs(source)
        assert graph_def.SerializeToString(deterministic=True) == before
        assert private.SerializeToString(deterministic=True) == before
