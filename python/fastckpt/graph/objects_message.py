"""The object graph as checkpoints store it: one string tensor that holds a serialised message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastckpt import protos
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import (
    DataLossError,
    InvalidArgumentError,
    LimitExceededError,
    TensorNotFoundError,
)

__all__ = ["OBJECT_GRAPH_KEY", "Edges", "NoObjectGraphError", "read_edges", "read_message"]

# The key of the tensor; every checkpoint of tf.train.Checkpoint has it.
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

# The largest graphs of real models take some MiB. In memory one takes up to a hundred times that.
MAX_BYTES = 64 << 20

# Of each object, its children: local name and number.
Edges = Sequence[Sequence[tuple[str, int]]]


class NoObjectGraphError(InvalidArgumentError, TensorNotFoundError):
    """The checkpoint holds tensors by name, and no object graph."""


def read_message(checkpoint: Checkpoint) -> Any:
    """Read and parse the object graph of a checkpoint.

    Returns
    -------
    message
        A ``TrackableObjectGraph``; numbers of objects in it were not looked at.

    Raises
    ------
    NoObjectGraphError
        There is none; the checkpoint was written by name.
    DataLossError
        It is damaged, or no such message.
    LimitExceededError
        It takes more than 64 MiB.
    """
    prefix = checkpoint.prefix
    if OBJECT_GRAPH_KEY not in checkpoint:
        raise NoObjectGraphError(
            f"checkpoint {prefix!r} has no object graph: it was written by name, as "
            "tf.compat.v1.train.Saver does, and not by tf.train.Checkpoint; "
            "fastckpt.open() gives its tensors by name",
            path=prefix,
            key=OBJECT_GRAPH_KEY,
        )
    handle = checkpoint.tensor(OBJECT_GRAPH_KEY)
    if handle.tf_dtype != "string" or handle.shape != ():
        raise _damaged(prefix, f"it is stored as {handle.tf_dtype} {list(handle.shape)}")
    if handle.nbytes > MAX_BYTES:
        raise LimitExceededError(
            f"the object graph of {prefix!r} takes {handle.nbytes} bytes; at most {MAX_BYTES} "
            "are read, and no model has so many objects",
            path=prefix,
            key=OBJECT_GRAPH_KEY,
        )
    return _parse(_only_element(handle.read()), prefix)


def read_edges(message: Any, prefix: str) -> Edges:
    """List the children of every object, and check all numbers of objects.

    Raises
    ------
    DataLossError
        There is no object, or a number is out of range.
    """
    nodes = message.nodes
    count = len(nodes)
    if not count:
        raise _damaged(prefix, "it holds no object, not even the root")
    edges = []
    for number, node in enumerate(nodes):
        children = tuple([(child.local_name, child.node_id) for child in node.children])
        for name, child_number in children:
            if not 0 <= child_number < count:
                raise _out_of_range(prefix, number, f"child {name!r}", child_number, count)
        for slot in node.slot_variables:
            for x in (slot.original_variable_node_id, slot.slot_variable_node_id):
                if not 0 <= x < count:
                    raise _out_of_range(prefix, number, f"slot {slot.slot_name!r}", x, count)
        edges.append(children)
    return edges


def _only_element(array: np.ndarray[Any, Any]) -> bytes:
    element: bytes = array.item()
    return element


def _parse(data: bytes, prefix: str) -> Any:
    from google.protobuf import message as protobuf

    message = protos.message_class("TrackableObjectGraph")()
    try:
        message.ParseFromString(data)
    except (protobuf.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _damaged(prefix, f"{len(data)} bytes do not parse ({error})") from None
    return message


def _out_of_range(prefix: str, number: int, what: str, found: int, count: int) -> DataLossError:
    return _damaged(prefix, f"{what} of object {number} is object {found}, and there are {count}")


def _damaged(prefix: str, reason: str) -> DataLossError:
    return DataLossError(
        f"the object graph of {prefix!r} is damaged: {reason}; fastckpt.open() gives the tensors "
        "without it",
        path=prefix,
        key=OBJECT_GRAPH_KEY,
    )
