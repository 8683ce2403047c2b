"""Parts of a meta graph: what lies below a scope, and what is not another saver's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.keys import VARIABLE_COLLECTIONS, GraphKeys
from fastckpt.graph.meta_collections import parse_item
from fastckpt.protos import message_class

__all__ = ["below_scope", "without_other_savers"]

# Collections of messages, and the field of each that says where it belongs.
_MESSAGES = {
    **dict.fromkeys(VARIABLE_COLLECTIONS, ("VariableDef", "variable_name")),
    GraphKeys.COND_CONTEXT: ("CondContextDef", "context_name"),
    GraphKeys.WHILE_CONTEXT: ("WhileContextDef", "context_name"),
    GraphKeys.QUEUE_RUNNERS: ("QueueRunnerDef", "queue_name"),
    GraphKeys.SAVERS: ("SaverDef", "save_tensor_name"),
}

_SAVER_OPS = frozenset(
    {
        "LegacyRestore", "LegacyRestoreSlice", "LegacySave", "LegacySaveSlice", "Restore",
        "RestoreSlice", "RestoreV2", "Save", "SaveSlices", "SaveV2",
    }
)  # fmt: skip

# TensorFlow's marks for inputs that lie outside an exported scope, and where they are listed.
_UNBOUND = "$unbound_inputs_"
_UNBOUND_COLLECTION = "unbound_inputs"


def without_other_savers(meta_graph: Any) -> None:
    """Take out the nodes in scopes of savers that the SaverDef does not name, in place.

    Notes
    -----
    A saver is taken to have a scope of its own, as TensorFlow does. The collection ``savers`` is
    left with the SaverDef alone.
    """
    saver_def = meta_graph.saver_def
    kept = {_scope(saver_def.save_tensor_name), _scope(saver_def.restore_op_name)}
    nodes = meta_graph.graph_def.node
    scopes = {_scope(node.name) for node in nodes if node.op in _SAVER_OPS} - kept - {""}
    dropped = tuple(f"{scope}/" for scope in scopes)
    if not dropped:
        return
    _filter_nodes(meta_graph.graph_def, lambda name: not name.startswith(dropped))
    _filter_collections(meta_graph, lambda name: not name.startswith(dropped))
    if GraphKeys.SAVERS in meta_graph.collection_def and meta_graph.HasField("saver_def"):
        only = saver_def.SerializeToString(deterministic=True)
        meta_graph.collection_def[GraphKeys.SAVERS].bytes_list.value[:] = [only]


def below_scope(meta_graph: Any, scope: str) -> None:
    """Leave the nodes below a scope, with names from there on, in place.

    Notes
    -----
    Inputs from outside are called ``$unbound_inputs_<name>`` and listed in the collection
    ``unbound_inputs``, as TensorFlow does; ``import_meta_graph`` then asks for them.

    Raises
    ------
    InvalidArgumentError
        No node lies below the scope.
    """
    prefix = scope.rstrip("/") + "/"
    graph = meta_graph.graph_def
    _filter_nodes(graph, lambda name: name.startswith(prefix))
    if not graph.node:
        raise InvalidArgumentError(
            f"no node lies below the scope {scope!r}; scopes end where the names of nodes have '/'"
        )
    unbound: list[str] = []
    for node in graph.node:
        _move_node(node, prefix, unbound)
    _move_collections(meta_graph, prefix)
    if unbound:
        values = meta_graph.collection_def[_UNBOUND_COLLECTION].bytes_list.value
        values[:] = [name.encode() for name in unbound]
    _move_saver(meta_graph, prefix)


def _scope(name: str) -> str:
    return name.partition(":")[0].rpartition("/")[0]


def _filter_nodes(graph: Any, keep: Callable[[str], bool]) -> None:
    kept = [node for node in graph.node if keep(node.name)]
    if len(kept) < len(graph.node):
        nodes = message_class("GraphDef")(node=kept).node
        del graph.node[:]
        graph.node.extend(nodes)


def _filter_collections(meta_graph: Any, keep: Callable[[str], bool]) -> None:
    """Drop what belongs to nodes that are not kept, and collections that are empty then."""
    for key in list(meta_graph.collection_def):
        collection = meta_graph.collection_def[key]
        if key in _MESSAGES and collection.bytes_list.value:
            values = collection.bytes_list.value
            values[:] = [data for data in values if keep(_home(key, data))]
        elif collection.node_list.value:
            values = collection.node_list.value
            values[:] = [name for name in values if keep(name)]
        else:
            continue
        if not values:
            del meta_graph.collection_def[key]


def _home(key: str, data: bytes) -> str:
    kind, field = _MESSAGES[key]
    name: str = getattr(parse_item(key, kind, data), field)
    return name


def _move_node(node: Any, prefix: str, unbound: list[str]) -> None:
    node.name = node.name.removeprefix(prefix)
    for index, source in enumerate(node.input):
        mark, name = source[: source.startswith("^")], source.removeprefix("^")
        if name.startswith(prefix):
            node.input[index] = mark + name.removeprefix(prefix)
        else:
            node.input[index] = f"{mark}{_UNBOUND}{name}"
            # TensorFlow lists no control inputs, and asks for none at import.
            if not mark:
                unbound.append(node.input[index])
    if "_class" in node.attr:
        old = re.compile(rb"loc:@" + re.escape(prefix.encode()))
        values = node.attr["_class"].list.s
        values[:] = [old.sub(b"loc:@", value) for value in values if old.match(value)]
    if node.op in {"Enter", "RefEnter"} and "frame_name" in node.attr:
        frame = node.attr["frame_name"]
        frame.s = frame.s.removeprefix(prefix.encode())


def _move_collections(meta_graph: Any, prefix: str) -> None:
    _filter_collections(meta_graph, lambda name: name.startswith(prefix))
    for key, collection in meta_graph.collection_def.items():
        if key in _MESSAGES:
            values = collection.bytes_list.value
            values[:] = [_moved(key, data, prefix) for data in values]
        elif collection.node_list.value:
            values = collection.node_list.value
            values[:] = [name.removeprefix(prefix) for name in values]


def _moved(key: str, data: bytes, prefix: str) -> bytes:
    message = parse_item(key, _MESSAGES[key][0], data)
    _move_names(message, prefix)
    moved: bytes = message.SerializeToString(deterministic=True)
    return moved


def _move_names(message: Any, prefix: str) -> None:
    """Take the prefix off all texts of a message, which are names, and of those inside it."""
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, value.removeprefix(prefix))
        elif hasattr(value, "ListFields"):
            _move_names(value, prefix)
        elif hasattr(value, "items"):
            moved = {k.removeprefix(prefix): x.removeprefix(prefix) for k, x in value.items()}
            value.clear()
            value.update(moved)
        elif field.type == field.TYPE_STRING:
            value[:] = [name.removeprefix(prefix) for name in value]
        elif field.type == field.TYPE_MESSAGE:
            for inner in value:
                _move_names(inner, prefix)


def _move_saver(meta_graph: Any, prefix: str) -> None:
    """Keep the saver where all of it lies below the scope."""
    saver = meta_graph.saver_def
    names = ("filename_tensor_name", "save_tensor_name", "restore_op_name")
    if not all(getattr(saver, name).startswith(prefix) for name in names):
        meta_graph.ClearField("saver_def")
        return
    for name in names:
        setattr(saver, name, getattr(saver, name).removeprefix(prefix))
