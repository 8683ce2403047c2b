"""Tensors of a graph, computed by an engine that is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.cutting import cut_graph, feed_name, fetch_name
from fastckpt.graph.engines import compute
from fastckpt.graph.freeze_sources import Model, load_model
from fastckpt.graph.freezing import Chosen, check_ends, convert_nodes
from fastckpt.graph.graph import Graph
from fastckpt.graph.op_registry import REF
from fastckpt.graph.operations import Operation, Tensor
from fastckpt.graph.restoring import VARIABLE_OPS
from fastckpt.graph.tensor_values import make_ndarray
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.graph.value_literals import encode_strings
from fastckpt.graph.value_types import value_dtype

__all__ = ["run"]

Array = NDArray[Any]

# Operations that yield the value of their first input.
_READS = frozenset({"Identity", "ReadVariableOp", "RefIdentity"})

# Structures of fetches are not nested deeper.
_MAX_DEPTH = 32


def run(
    model: Any,
    fetches: Any,
    feed_dict: Mapping[Any, Any] | None = None,
    *,
    checkpoint: Any = None,
    tags: str | Iterable[str] | None = None,
) -> Any:
    """Compute tensors of a model.

    Parameters
    ----------
    model : GraphDef, MetaGraph, SavedModel, ImportedGraph, bytes, str or PathLike
        A frozen graph or its file; or what :func:`fastckpt.graph.freeze` takes, which is frozen in
        memory. It is not changed.
    fetches : str, Tensor, or list, tuple or dict of them
        Names of tensors, such as ``"y:0"``; a name without a number means the first output.
    feed_dict : mapping, optional
        Tensors or their names -> values. Any tensor may be fed; placeholders that are needed must
        be.
    checkpoint, tags : optional
        As for :func:`fastckpt.graph.freeze`.

    Returns
    -------
    ndarray, or the structure of `fetches` with ndarrays
        Of the dtype that the graph says; strings as object arrays of bytes. Values of constants
        and of variables are read-only.

    Raises
    ------
    NotInGraphError
        No such tensor; a KeyError too.
    InvalidArgumentError
        A value that does not fit its tensor, a placeholder that is not fed.
    WrongTypeError
        A fetch or feed that names no tensor; a TypeError too.
    EngineMissingError
        Neither OpenVINO nor TensorFlow is installed: ``pip install "tf-fastckpt[run]"``.
    RefusedError, UnsupportedTypeError
        The engine does not know an operation; a fetch depends on one that changes a variable.
    CheckpointError
        What reading the checkpoint raises.

    Notes
    -----
    OpenVINO computes, and TensorFlow what it refuses, where they are installed. Constants and
    variables are answered without either. Each call freezes and compiles what it needs: for many
    calls of one graph, freeze it and give it to the engine itself.

    OpenVINO computes float64 in single precision, and int64 in 32 bits: graphs with either go to
    TensorFlow where there is one, else a warning is logged. Types that OpenVINO computes wrongly
    (complex numbers, bfloat16, wide unsigned integers, arithmetic on narrow ones) it never gets.

    Examples
    --------
    >>> run("frozen.pb", "y:0", {"x:0": [[1.0, 2.0]]})  # doctest: +SKIP
    """
    loaded = load_model(model, checkpoint, tags)
    graph = Graph(loaded.graph_def)
    feeds = {}
    for key, value in (feed_dict or {}).items():
        tensor = _tensor(graph, key)
        feeds[tensor] = _fed_value(tensor, value)
    wanted: dict[Tensor, Any] = {}
    _each(fetches, lambda x: wanted.setdefault(_tensor(graph, x)))
    found = _values(loaded, list(wanted), feeds)
    return _each(fetches, lambda x: found[_tensor(graph, x)])


def _values(
    model: Model, wanted: list[Tensor], feeds: Mapping[Tensor, Array]
) -> dict[Tensor, Array]:
    found = {tensor: feeds[tensor] for tensor in wanted if tensor in feeds}
    rest = []
    for tensor in wanted:
        origin = _origin(tensor, feeds)
        if tensor in found:
            continue
        if origin is None:
            rest.append(tensor)
        else:
            found[tensor] = _stored_value(model, origin)
    if rest:
        cut = cut_graph(model.graph_def, rest, feeds)
        check_ends(convert_nodes(cut, model.source, Chosen(None, None), is_exact=False))
        values = {feed_name(i): value for i, value in enumerate(feeds.values())}
        needed = {node.name for node in cut.node}
        values = {name: value for name, value in values.items() if name in needed}
        computed = compute(cut, values, [fetch_name(i) for i in range(len(rest))])
        for tensor, value in zip(rest, computed, strict=True):
            found[tensor] = value.astype(_dtype(tensor), copy=False)
    return found


def _origin(tensor: Tensor, feeds: Mapping[Tensor, Array]) -> Operation | None:
    """The variable or constant whose value a tensor is; None where it takes a computation."""
    seen = set()
    while tensor not in feeds and tensor.op.type in _READS and tensor.op.inputs:
        if tensor.op.name in seen:
            return None
        seen.add(tensor.op.name)
        tensor = tensor.op.inputs[0]
    is_stored = tensor.op.type == "Const" or tensor.op.type in VARIABLE_OPS
    return tensor.op if is_stored and tensor not in feeds else None


def _stored_value(model: Model, op: Operation) -> Array:
    if op.type == "Const":
        return make_ndarray(op.node.attr["value"].tensor)
    view = model.source().bind(op.node).read().view()
    view.flags.writeable = False
    return view


def _each(fetches: Any, give: Callable[[Any], Any], depth: int = 0) -> Any:
    """Replace the leaves of a structure by what `give` gives for them."""
    if depth > _MAX_DEPTH:
        raise InvalidArgumentError(f"fetches are nested more than {_MAX_DEPTH} deep")
    if isinstance(fetches, Mapping):
        return {key: _each(x, give, depth + 1) for key, x in fetches.items()}
    if isinstance(fetches, tuple) and hasattr(fetches, "_fields"):
        return type(fetches)(*(_each(x, give, depth + 1) for x in fetches))
    if isinstance(fetches, list | tuple):
        return type(fetches)(_each(x, give, depth + 1) for x in fetches)
    return give(fetches)


def _tensor(graph: Graph, element: Any) -> Tensor:
    """Find a tensor by itself, its name, or the name of its operation."""
    name = element.decode() if isinstance(element, bytes) else getattr(element, "name", element)
    if not isinstance(name, str):
        raise WrongTypeError(
            f"fetches and feeds are names of tensors, such as 'y:0', but got {element!r}"
        )
    return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")


def _dtype(tensor: Tensor) -> np.dtype[Any]:
    return value_dtype(int(tensor.dtype) % REF)


def _fed_value(tensor: Tensor, value: Any) -> Array:
    dtype = _dtype(tensor)
    try:
        array = np.asarray(value, object if dtype.hasobject else None)
        fed = _bytes(array) if dtype.hasobject else array.astype(dtype, copy=False)
        is_exact = dtype.kind not in "iub" or dtype.kind == array.dtype.kind
        if not is_exact and not np.array_equal(fed, array):
            raise ValueError(f"values of {array.dtype} change")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgumentError(
            f"cannot feed this value for tensor {tensor.name!r} of {tensor.dtype.name}: {error}",
            key=tensor.name,
        ) from None
    if not tensor.shape.is_compatible_with(fed.shape):
        raise InvalidArgumentError(
            f"Cannot feed value of shape {fed.shape} for Tensor {tensor.name}, which has shape "
            f"{tensor.shape}",
            key=tensor.name,
        )
    return fed


def _bytes(array: Array) -> Array:
    """An object array of bytes, as engines take strings."""
    found = np.empty(array.size, object)
    found[:] = encode_strings(array.ravel().tolist())
    return found.reshape(array.shape)
