"""Object graphs made by hand, as files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastckpt
from fastckpt.protos import message_class

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"


def variable_key(path: str) -> str:
    return f"{path}/.ATTRIBUTES/{VALUE}"


def graph_message(nodes: list[Mapping[str, Any]]) -> Any:
    """Build a message: of each node `children`, `attributes` and `slots`, all as tuples."""
    message = message_class("TrackableObjectGraph")()
    for spec in nodes:
        node = message.nodes.add()
        for name, child in spec.get("children", ()):
            node.children.add(local_name=name, node_id=child)
        for name, full_name, key in spec.get("attributes", ()):
            node.attributes.add(name=name, full_name=full_name, checkpoint_key=key)
        for name, variable, slot in spec.get("slots", ()):
            node.slot_variables.add(
                slot_name=name, original_variable_node_id=variable, slot_variable_node_id=slot
            )
    return message


def write_graph(prefix: Path, nodes: list[Mapping[str, Any]], **tensors: Any) -> str:
    """Save tensors and the object graph of these nodes."""
    return write_bytes(prefix, graph_message(nodes).SerializeToString(), **tensors)


def write_bytes(prefix: Path, graph: Any, **tensors: Any) -> str:
    """Save tensors, and anything at all as the object graph."""
    return fastckpt.save(prefix, {**tensors, KEY: graph}, sync=False)


def variable(path: str, full_name: str = "Variable") -> dict[str, Any]:
    """The node of a variable."""
    return {"attributes": [(VALUE, full_name, variable_key(path))]}
