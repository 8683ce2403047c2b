"""The object graph of a ``tf.train.Checkpoint``: which tensors it names, and under which keys.

TensorFlow restores such a checkpoint through this graph: an object asks for its value by the key
that the graph records. A tensor of another name would not be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import CheckpointError, DataLossError, InvalidArgumentError

__all__ = ["OBJECT_GRAPH", "Policy", "check_policy", "named_keys", "updated"]

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

# Between the path of an object and the name of its attribute, in a key.
_ATTRIBUTES = "/.ATTRIBUTES/"

Policy = Literal["refuse", "update", "drop", "keep"]
_POLICIES = ("refuse", "update", "drop", "keep")


def check_policy(policy: str) -> None:
    """Check what shall become of the object graph; InvalidArgumentError names the choices."""
    if policy not in _POLICIES:
        choices = ", ".join(map(repr, _POLICIES))
        raise InvalidArgumentError(f"object_graph must be one of {choices}, not {policy!r}")


def named_keys(checkpoint: Checkpoint) -> set[str]:
    """Give the keys that the object graph names; none where there is no graph."""
    if OBJECT_GRAPH not in checkpoint:
        return set()
    graph = _read(checkpoint)
    return {attribute.checkpoint_key for node in graph.nodes for attribute in node.attributes}


def updated(checkpoint: Checkpoint, new_names: Mapping[str, str]) -> bytes:
    """Give the object graph as it is when tensors have new names, and others are gone.

    Parameters
    ----------
    checkpoint : Checkpoint
        With an object graph.
    new_names : mapping of str to str
        Those that stay. An attribute whose tensor is not among them is taken out, so that
        TensorFlow treats it as one that was never saved.

    Raises
    ------
    InvalidArgumentError
        A new name lacks the ending by which TensorFlow tells the attribute.
    """
    _check_endings(checkpoint, new_names)
    graph = _read(checkpoint)
    for node in graph.nodes:
        left = [a for a in node.attributes if a.checkpoint_key in new_names]
        for attribute in left:
            attribute.checkpoint_key = new_names[attribute.checkpoint_key]
        if len(left) < len(node.attributes):
            kept = [type(a).FromString(a.SerializeToString()) for a in left]
            del node.attributes[:]
            node.attributes.extend(kept)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _check_endings(checkpoint: Checkpoint, new_names: Mapping[str, str]) -> None:
    """TensorFlow cuts a key at its mark, and fails where there is none."""
    for key in sorted(named_keys(checkpoint)):
        new = new_names.get(key, key)
        _, mark, ending = key.rpartition(_ATTRIBUTES)
        if mark and not new.endswith(mark + ending):
            raise InvalidArgumentError(
                f"the object graph cannot follow from {key!r} to {new!r}: TensorFlow restores an "
                f"object from a key that ends in {mark + ending!r}; keep that ending, or leave "
                "the graph out with object_graph='drop' (--object-graph drop)",
                key=key,
            )


def _read(checkpoint: Checkpoint) -> Any:
    from google.protobuf.message import DecodeError

    from fastckpt.protos import message_class

    tensor = checkpoint.tensor(OBJECT_GRAPH)
    try:
        content = tensor.read().item() if tensor.tf_dtype == "string" else None
        if content is None:
            raise ValueError(f"it is {tensor.tf_dtype}, not a string")
        return message_class("TrackableObjectGraph").FromString(content)
    except (DecodeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise DataLossError(
            f"the object graph of {checkpoint.prefix!r} cannot be read: {error}; "
            "object_graph='drop' leaves it out",
            path=checkpoint.prefix,
            key=OBJECT_GRAPH,
        ) from None
