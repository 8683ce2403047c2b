"""Models of the corpus, frozen by freeze_graph of TensorFlow and by ours: the same graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.tools.freeze_graph import freeze_graph as theirs

from fastckpt.graph.freeze_tool import freeze_graph
from interop.freezing_models import assert_same_graph, call_freeze_graph

_INTERESTING = {"Add", "AddV2", "BiasAdd", "Identity", "MatMul", "Softmax", "Sub"}


def models(corpus: Path) -> Iterator[dict[str, Any]]:
    """Yield what freeze_graph takes, for every SavedModel and every .meta with a checkpoint."""
    for path in sorted(corpus.rglob("saved_model.pb*")):
        if not (path.parent / "variables").is_dir():
            continue
        model = read(path, saved_model_pb2.SavedModel)
        for meta_graph in model.meta_graphs if model else []:
            tags = list(meta_graph.meta_info_def.tags)
            outputs = [
                info.name.partition(":")[0]
                for key, signature in meta_graph.signature_def.items()
                if not key.startswith("__")
                for info in signature.outputs.values()
            ]
            if outputs:
                yield {
                    "output_node_names": ",".join(dict.fromkeys(outputs)),
                    "input_saved_model_dir": str(path.parent),
                    "saved_model_tags": ",".join(tags),
                }
    for path in sorted(corpus.rglob("*.meta")):
        prefix = str(path)[: -len(".meta")]
        meta_graph = read(path, meta_graph_pb2.MetaGraphDef) or meta_graph_pb2.MetaGraphDef()
        nodes = [
            node.name
            for node in meta_graph.graph_def.node
            if node.op in _INTERESTING and not node.name.startswith(("save", "report"))
        ]
        if tf.train.latest_checkpoint(path.parent) or any(path.parent.glob("*.index")):
            yield {
                "output_node_names": ",".join(nodes[:: max(1, len(nodes) // 9)]),
                "input_meta_graph": str(path),
                "input_checkpoint": prefix,
            }


def read(path: Path, cls: Any) -> Any:
    data = path.read_bytes()
    try:
        return (
            text_format.Parse(data.decode(), cls())
            if path.suffix == ".pbtxt"
            else (cls.FromString(data))
        )
    except Exception:  # noqa: BLE001 - a pointer to a file that is not there
        return None


# Loading the first runs an operation that draws the weights anew; the others are large, and have
# the graphs of models that are compared.
_LEFT_OUT = (
    "serving--servables-saved_model_half_plus_two_mkl",
    "tfx--Format-Serving-model.ckpt-7992",
    "tfx--Format-Serving-model.ckpt-999",
)


def test_corpus(corpus_dir: Path) -> None:
    frozen = 0
    for arguments in models(corpus_dir):
        if any(name in str(arguments) for name in _LEFT_OUT):
            continue
        try:
            expected = call_freeze_graph(theirs, **arguments)
        except Exception:  # noqa: BLE001 - operations or files that TensorFlow lacks
            continue
        assert_same_graph(call_freeze_graph(freeze_graph, **arguments), expected)
        frozen += 1
    assert frozen >= 28
