"""Graphs without TensorFlow: meta graphs, GraphDefs, SavedModels and what is done with them.

Every name is imported on first use; protobuf is loaded when a file is read, not before.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastckpt.graph.exporting import export_meta_graph
    from fastckpt.graph.files import parse_message, read_message, write_message
    from fastckpt.graph.freeze_protos import freeze_graph_with_def_protos
    from fastckpt.graph.freeze_tool import freeze_graph
    from fastckpt.graph.freezing import convert_variables_to_constants, freeze
    from fastckpt.graph.graph import Graph, Operation, Tensor
    from fastckpt.graph.graph_def import clear_devices, strip_default_attrs, write_graph
    from fastckpt.graph.graph_items import GraphVariable, SaveSliceInfo
    from fastckpt.graph.imported_graph import ImportedGraph
    from fastckpt.graph.importing import import_meta_graph
    from fastckpt.graph.importing_graphs import import_graph_def
    from fastckpt.graph.keys import GraphKeys
    from fastckpt.graph.meta_building import (
        SaverSpec,
        VariableSpec,
        build_meta_graph,
        meta_graph_bytes,
    )
    from fastckpt.graph.meta_graph import MetaGraph
    from fastckpt.graph.objects import ObjectGraph, names_to_keys, object_graph
    from fastckpt.graph.objects_loading import load_objects
    from fastckpt.graph.objects_names import checkpoint_key, friendly_name
    from fastckpt.graph.objects_saving import object_tensors, save_objects
    from fastckpt.graph.objects_state import ObjectState
    from fastckpt.graph.running import run
    from fastckpt.graph.saved_model import SavedModel
    from fastckpt.graph.sub_graphs import extract_sub_graph, remove_training_nodes
    from fastckpt.graph.tensor_types import TensorDType, TensorShape
    from fastckpt.graph.tensor_values import make_ndarray, make_tensor_proto

__all__ = [
    "Graph",
    "GraphKeys",
    "GraphVariable",
    "ImportedGraph",
    "MetaGraph",
    "ObjectGraph",
    "ObjectState",
    "Operation",
    "SaveSliceInfo",
    "SavedModel",
    "SaverSpec",
    "Tensor",
    "TensorDType",
    "TensorShape",
    "VariableSpec",
    "build_meta_graph",
    "checkpoint_key",
    "clear_devices",
    "convert_variables_to_constants",
    "export_meta_graph",
    "extract_sub_graph",
    "freeze",
    "freeze_graph",
    "freeze_graph_with_def_protos",
    "friendly_name",
    "import_graph_def",
    "import_meta_graph",
    "load_objects",
    "make_ndarray",
    "make_tensor_proto",
    "meta_graph_bytes",
    "names_to_keys",
    "object_graph",
    "object_tensors",
    "parse_message",
    "read_message",
    "remove_training_nodes",
    "run",
    "save_objects",
    "strip_default_attrs",
    "write_graph",
    "write_message",
]

# Where each name is; packages of this room add their lines.
_LAZY = {
    "freeze_graph_with_def_protos": "fastckpt.graph.freeze_protos",
    "run": "fastckpt.graph.running",
    "import_graph_def": "fastckpt.graph.importing_graphs",
    **dict.fromkeys(
        ("clear_devices", "strip_default_attrs", "write_graph"), "fastckpt.graph.graph_def"
    ),
    **dict.fromkeys(("extract_sub_graph", "remove_training_nodes"), "fastckpt.graph.sub_graphs"),
    "freeze_graph": "fastckpt.graph.freeze_tool",
    **dict.fromkeys(("convert_variables_to_constants", "freeze"), "fastckpt.graph.freezing"),
    **dict.fromkeys(("SavedModel",), "fastckpt.graph.saved_model"),
    **dict.fromkeys(("Graph", "Operation", "Tensor"), "fastckpt.graph.graph"),
    **dict.fromkeys(("GraphKeys",), "fastckpt.graph.keys"),
    **dict.fromkeys(("GraphVariable", "SaveSliceInfo"), "fastckpt.graph.graph_items"),
    **dict.fromkeys(("ImportedGraph",), "fastckpt.graph.imported_graph"),
    **dict.fromkeys(("MetaGraph",), "fastckpt.graph.meta_graph"),
    **dict.fromkeys(("TensorDType", "TensorShape"), "fastckpt.graph.tensor_types"),
    **dict.fromkeys(("import_meta_graph",), "fastckpt.graph.importing"),
    **dict.fromkeys(("export_meta_graph",), "fastckpt.graph.exporting"),
    **dict.fromkeys(
        ("SaverSpec", "VariableSpec", "build_meta_graph", "meta_graph_bytes"),
        "fastckpt.graph.meta_building",
    ),
    **dict.fromkeys(("ObjectGraph", "names_to_keys", "object_graph"), "fastckpt.graph.objects"),
    "load_objects": "fastckpt.graph.objects_loading",
    **dict.fromkeys(("checkpoint_key", "friendly_name"), "fastckpt.graph.objects_names"),
    **dict.fromkeys(("object_tensors", "save_objects"), "fastckpt.graph.objects_saving"),
    "ObjectState": "fastckpt.graph.objects_state",
    **dict.fromkeys(("make_ndarray", "make_tensor_proto"), "fastckpt.graph.tensor_values"),
    **dict.fromkeys(("parse_message", "read_message", "write_message"), "fastckpt.graph.files"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
