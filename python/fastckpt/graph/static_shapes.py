"""Static shapes of what nodes yield, as far as the nodes say it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastckpt.graph.op_registry import attr_value
from fastckpt.graph.tensor_types import TensorShape

if TYPE_CHECKING:
    from fastckpt.graph.operations import Operation, Tensor

__all__ = ["static_shape"]

_UNKNOWN = TensorShape(None)
_SCALAR = TensorShape(())

# Operations whose attribute says the shape of their output.
_BY_ATTRIBUTE = frozenset({"PlaceholderV2", "PlaceholderWithDefault", "VariableV2"})

# The same, where no dimensions may mean that the shape is not known.
_LEGACY = frozenset({"Placeholder", "Variable"})

# Graphs before this version write an unknown shape without dimensions (TensorFlow's array_ops.cc).
_SHAPE_OF_PLACEHOLDERS = 24

# Operations that yield their first input, or what it refers to.
_PASSED_ON = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot", "RefIdentity"})

# How many of them in a row are followed.
_MAX_PASSED_ON = 1000


def static_shape(tensor: Tensor, producer: int) -> TensorShape:
    """Say what is known of a tensor's shape.

    Parameters
    ----------
    tensor : Tensor
        The tensor.
    producer : int
        Version of the graph's format.
    """
    for _ in range(_MAX_PASSED_ON):
        op = tensor.op
        saved = _saved_shape(op, tensor.value_index)
        if saved is not None:
            return saved
        if op.type not in _PASSED_ON or not op.inputs:
            return _own_shape(op, producer)
        tensor = op.inputs[0]
    return _UNKNOWN


def _saved_shape(op: Operation, number: int) -> TensorShape | None:
    """Give the shape that TensorFlow has written into the node."""
    attributes = op.node.attr
    if "_output_shapes" not in attributes:
        return None
    shapes = attributes["_output_shapes"].list.shape
    return TensorShape(shapes[number]) if number < len(shapes) else None


def _own_shape(op: Operation, producer: int) -> TensorShape:
    attributes = op.node.attr
    if op.type == "Const":
        return (
            TensorShape(attributes["value"].tensor.tensor_shape)
            if "value" in attributes
            else _UNKNOWN
        )
    if op.type in _BY_ATTRIBUTE:
        return _shape_attribute(op)
    if op.type in _LEGACY:
        shape = _shape_attribute(op)
        old = op.type == "Variable" or producer < _SHAPE_OF_PLACEHOLDERS
        return _UNKNOWN if old and not shape.rank else shape
    if op.type == "VarHandleOp":
        return _SCALAR
    if op.type == "ReadVariableOp" and op.inputs and op.inputs[0].op.type == "VarHandleOp":
        return _shape_attribute(op.inputs[0].op)
    return _UNKNOWN


def _shape_attribute(op: Operation) -> TensorShape:
    value = attr_value(op.node, op.op_def, "shape")
    return _UNKNOWN if value is None else TensorShape(value.shape)
