"""What OpenVINO's CPU plugin computes otherwise than TensorFlow, without a word.

Found by comparing the two on OpenVINO 2026.4; errors that it reports itself are not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.errors import CheckpointError
from fastckpt.graph.op_registry import REF
from fastckpt.graph.tensor_values import make_ndarray

__all__ = ["precision_loss", "wrong_results"]

_DOUBLE = 2
_INT64 = 9

# complex64, bfloat16, complex128, uint32, uint64, float8 and sub-byte types: wrong values, or
# those of another type.
_WRONG = frozenset({8, 14, 18, 22, 23, *range(24, 34)})

# uint8, int16, int8, uint16: sums and products stop at the end of the range, or not at all.
_NARROW = frozenset({4, 5, 6, 17})
_ARITHMETIC = frozenset(
    {
        "Abs", "AccumulateNV2", "Add", "AddN", "AddV2", "BiasAdd", "Conv2D", "Cumprod", "Cumsum",
        "Div", "DivNoNan", "FloorDiv", "FloorMod", "MatMul", "Mean", "Mod", "Mul", "Neg", "Pow",
        "Prod", "RealDiv", "Square", "SquaredDifference", "Sub", "Sum", "TruncateDiv",
    }
)  # fmt: skip

_INT32_RANGE = (-(1 << 31), (1 << 31) - 1)


def wrong_results(graph_def: Any, feeds: Mapping[str, NDArray[Any]]) -> str | None:
    """Say why OpenVINO must not compute a graph; None where it may."""
    for node in _nodes(graph_def):
        types = set(_types(node))
        wrong = types & _WRONG
        if not wrong and node.op in _ARITHMETIC:
            wrong = types & _NARROW
        if wrong:
            name = dtypes.tf_name(min(wrong))
            return f"computes {name} otherwise, in node {node.name!r} ({node.op})"
    for name, value in feeds.items():
        if value.dtype == np.int64 and _is_wide(value):
            return f"has 32 bits for int64, and the value fed as {name!r} takes more"
    return None


def precision_loss(graph_def: Any) -> str | None:
    """Say what OpenVINO computes with fewer bits; None where nothing is."""
    for node in _nodes(graph_def):
        if _DOUBLE in _types(node):
            return f"computes float64 in single precision, in node {node.name!r} ({node.op})"
        if node.op == "Const" and _INT64 in _types(node) and _has_wide_value(node):
            return f"has 32 bits for int64, and constant {node.name!r} takes more"
    return None


def _nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _types(node: Any) -> Iterator[int]:
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "type":
            yield value.type % REF
        elif kind == "list":
            yield from (number % REF for number in value.list.type)


def _has_wide_value(node: Any) -> bool:
    try:
        return _is_wide(make_ndarray(node.attr["value"].tensor))
    except CheckpointError:
        return False


def _is_wide(array: NDArray[Any]) -> bool:
    low, high = _INT32_RANGE
    return array.size > 0 and bool(array.min() < low or array.max() > high)
