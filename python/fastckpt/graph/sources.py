"""Whatever holds a graph, as a GraphDef of the private pool."""

from __future__ import annotations

import os
from typing import Any

from fastckpt import protos
from fastckpt.graph.files import parse_message, read_message
from fastckpt.graph.tensorflow_errors import WrongTypeError

__all__ = ["as_graph_def", "as_message", "message_name"]


def as_graph_def(source: Any, what: str = "graph_def") -> Any:
    """Give the GraphDef of a graph; the caller must not change it.

    Parameters
    ----------
    source : message, bytes, str, PathLike or graph
        A GraphDef or MetaGraphDef, TensorFlow's own too; the bytes of a GraphDef or the path of
        its file, binary or text; an object with ``as_graph_def()`` or ``graph_def``.
    what : str
        What the argument is called, for the message.

    Returns
    -------
    GraphDef
        Of the private pool: the one given where it is of that pool, else a copy.

    Raises
    ------
    WrongTypeError
        Something else.
    """
    if isinstance(source, bytes):
        return parse_message(source, "GraphDef")
    if isinstance(source, str | os.PathLike):
        return read_message(source, "GraphDef", empty_ok=True)
    name = message_name(source)
    if name == "GraphDef":
        return as_message(source)
    if name is None and callable(getattr(source, "as_graph_def", None)):
        return as_message(source.as_graph_def())
    if message_name(getattr(source, "graph_def", None)) == "GraphDef":
        return as_message(source.graph_def)
    kind = type(source).__name__
    raise WrongTypeError(
        f"{what} must be a GraphDef, the bytes or the path of one, or a graph, but got type {kind}"
    )


def as_message(message: Any) -> Any:
    """Give a message of the private pool: the one given, or a copy of TensorFlow's."""
    cls = protos.message_class(message.DESCRIPTOR.name)
    return message if isinstance(message, cls) else cls.FromString(message.SerializeToString())


def message_name(value: Any) -> str | None:
    """Name of a protobuf message; None for anything else."""
    name = getattr(getattr(value, "DESCRIPTOR", None), "name", None)
    is_message = name is not None and callable(getattr(value, "SerializeToString", None))
    return str(name) if is_message and not isinstance(value, type) else None
