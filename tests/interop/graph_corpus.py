"""The graphs of the corpus, as TensorFlow reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

GraphDef = tf.compat.v1.GraphDef

# Files of the corpus that are no graph, whatever their name says.
_MIN_NODES = 2


def corpus_graphs(corpus: Path) -> Iterator[tuple[str, GraphDef]]:
    """Yield the graph of every .meta, .pb and .pbtxt file, and of every SavedModel."""
    for path in sorted(corpus.rglob("*")):
        if path.suffix in {".meta", ".pb", ".pbtxt"} and path.is_file():
            for i, graph_def in enumerate(_graphs_of(path)):
                if len(graph_def.node) >= _MIN_NODES:
                    yield f"{path.parent.name}/{path.name}:{i}", graph_def


def _graphs_of(path: Path) -> list[GraphDef]:
    if path.name.startswith("saved_model."):
        model = _read(path, saved_model_pb2.SavedModel)
        return [x.graph_def for x in model.meta_graphs] if model else []
    if path.suffix == ".meta" or "meta_graph" in path.name:
        meta_graph = _read(path, meta_graph_pb2.MetaGraphDef)
        return [meta_graph.graph_def] if meta_graph else []
    graph_def = _read(path, GraphDef)
    return [graph_def] if graph_def else []


def _read(path: Path, cls):
    data = path.read_bytes()
    try:
        if path.suffix == ".pbtxt":
            return text_format.Parse(data.decode(), cls())
        return cls.FromString(data)
    except (DecodeError, text_format.ParseError):
        return None
