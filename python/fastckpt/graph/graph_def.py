"""GraphDefs as files, and what is taken out of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastckpt.errors import CheckpointError
from fastckpt.graph.files import write_message
from fastckpt.graph.op_registry import find_op
from fastckpt.graph.sources import as_graph_def, as_message, message_name
from fastckpt.graph.tensor_values import make_ndarray
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.protos import message_class

__all__ = [
    "NoMessageError",
    "clear_devices",
    "fill_default_attrs",
    "strip_default_attrs",
    "write_graph",
]


class NoMessageError(WrongTypeError, AttributeError):
    """Something that is neither a graph nor a message, or no path."""


def write_graph(
    graph_or_graph_def: Any,
    logdir: str | os.PathLike[str],
    name: str,
    as_text: bool = True,  # noqa: FBT001, FBT002 - TensorFlow's signature
) -> str:
    """Write a graph to a file, in text form or binary.

    Parameters
    ----------
    graph_or_graph_def : message or graph
        A graph, or any protobuf message, TensorFlow's own too.
    logdir : str or PathLike
        Directory; made where it is missing.
    name : str
        Name of the file; its ending does not matter.
    as_text : bool
        Write text form; else binary, with the entries of maps sorted.

    Returns
    -------
    str
        Path of the file.

    Raises
    ------
    NoMessageError
        Not a graph, or no directory; a TypeError and an AttributeError too, as TensorFlow has it.
    LimitExceededError
        The binary form takes 2 GiB or more.
    CheckpointIOError
        The operating system refused.

    Notes
    -----
    The file appears whole or not at all, and is on the device when this returns. Its bytes are
    those that ``tf.io.write_graph`` writes.
    """
    message = _message_of(graph_or_graph_def)
    if not isinstance(logdir, str | os.PathLike):
        raise NoMessageError(f"logdir must be a path, but got type {type(logdir).__name__}")
    path = os.path.join(os.fspath(logdir), name)
    write_message(path, message, as_text=as_text)
    return path


def clear_devices(graph_def: Any) -> Any:
    """Give a graph whose nodes may run on any device.

    Parameters
    ----------
    graph_def : GraphDef, bytes, path or graph
        The graph; it is not changed.

    Returns
    -------
    GraphDef
        A copy. Nodes inside functions keep their devices, as TensorFlow leaves them.
    """
    result = _copy(as_graph_def(graph_def))
    for node in result.node:
        node.device = ""
    return result


def strip_default_attrs(graph_def: Any) -> Any:
    """Give a graph without the attributes that say what their operation says anyway.

    Parameters
    ----------
    graph_def : GraphDef, MetaGraphDef, bytes, path or graph
        The graph; it is not changed. Of a MetaGraphDef a MetaGraphDef is made, which records
        that this was done.

    Returns
    -------
    GraphDef or MetaGraphDef
        A copy; nodes of functions are stripped too. Unknown operations, and calls of functions,
        keep all attributes.

    Notes
    -----
    Programs of older TensorFlow versions read such graphs, as long as they do not use what those
    lack. Source of the rule: ``strip_graph_default_valued_attrs`` of TensorFlow.
    """
    if message_name(graph_def) == "MetaGraphDef":
        result = _copy(as_message(graph_def))
        result.meta_info_def.stripped_default_attrs = True
        graph = result.graph_def
    else:
        graph = result = _copy(as_graph_def(graph_def))
    functions = {function.signature.name for function in graph.library.function}
    for node in _all_nodes(graph):
        op_def = None if node.op in functions else find_op(node.op)
        if op_def is not None:
            _strip(node, op_def)
    return result


def fill_default_attrs(graph_def: Any) -> None:
    """Write out, in place, what operations say of attributes that their nodes leave out.

    TensorFlow does so with every GraphDef that it imports; nodes of functions are left alone.
    """
    for node in graph_def.node:
        op_def = find_op(node.op)
        for attr in () if op_def is None else op_def.attr:
            if not attr.HasField("default_value"):
                continue
            if attr.name not in node.attr or node.attr[attr.name].WhichOneof("value") is None:
                node.attr[attr.name].CopyFrom(attr.default_value)


def _message_of(source: Any) -> Any:
    if message_name(source) is not None:
        return source
    try:
        return as_graph_def(source, "graph_or_graph_def")
    except WrongTypeError as error:
        raise NoMessageError(str(error)) from None


def _copy(message: Any) -> Any:
    copy = message_class(message.DESCRIPTOR.name)()
    copy.CopyFrom(message)
    return copy


def _all_nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _strip(node: Any, op_def: Any) -> None:
    for attr in op_def.attr:
        has_default = attr.HasField("default_value") and attr.name in node.attr
        if has_default and _are_equal(node.attr[attr.name], attr.default_value):
            del node.attr[attr.name]


def _are_equal(value: Any, default: Any) -> bool:
    if value == default or not (value.HasField("tensor") and default.HasField("tensor")):
        return bool(value == default)
    # The same tensor has several encodings.
    try:
        left, right = make_ndarray(value.tensor), make_ndarray(default.tensor)
    except CheckpointError:
        return False
    return left.dtype == right.dtype and np.array_equal(left, right)
