"""Values for the variables of a graph: from a checkpoint, from arrays, or from a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint import Checkpoint, StoredTensor, open_checkpoint
from fastckpt.errors import InvalidArgumentError, TensorNotFoundError
from fastckpt.graph.objects import names_to_keys
from fastckpt.graph.restoring import Stored
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.graph.value_types import as_number, value_dtype
from fastckpt.names import tensor_not_found

__all__ = ["Bound", "ValueSource", "value_source"]

Array = NDArray[Any]
Ways = Sequence[Mapping[str, Stored]]

# Where an object-based checkpoint keeps its object graph.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Bound(NamedTuple):
    """A variable and its value, not read yet.

    Attributes
    ----------
    name : str
        Name of the variable's node.
    nbytes : int
        About how much the value takes; 0 where that is not known before it is read.
    read : callable
        Gives the array, of the dtype of the variable.
    """

    name: str
    nbytes: int
    read: Callable[[], Array]


class ValueSource(Protocol):
    """Where the values of variables come from."""

    def bind(self, node: Any) -> Bound:
        """Find the value of a variable, given its node; TensorNotFoundError if there is none."""
        ...


def value_source(values: Any, ways: Ways) -> ValueSource:
    """Give a source of values for the variables of a graph.

    Parameters
    ----------
    values : Checkpoint, str, bytes, PathLike, mapping, ImportedGraph or session
        An open checkpoint, or what :func:`fastckpt.open` takes; arrays by the names of variables
        or their keys; a graph that was restored; an object with ``run``, such as a session of
        TensorFlow.
    ways : sequence of mapping
        What the graph says about where its variables are stored, the most exact first; see
        :func:`fastckpt.graph.restoring.restored_variables`. The names of variables come last.

    Raises
    ------
    WrongTypeError
        None of these.
    """
    if isinstance(values, str | bytes | os.PathLike):
        values = open_checkpoint(values)
    if isinstance(values, Mapping):
        if isinstance(values, Checkpoint):
            return _StoredValues(values, ways)
        return _GivenValues(values, ways)
    if callable(getattr(values, "value", None)):
        return _RestoredValues(values)
    if callable(getattr(values, "run", None)):
        return _SessionValues(values)
    raise WrongTypeError(
        "values must be a checkpoint or its path, a mapping of variable names to arrays, or a "
        f"session, but got type {type(values).__name__}"
    )


class _StoredValues:
    """The tensors of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint, ways: Ways) -> None:
        self._checkpoint = checkpoint
        self._ways = ways
        self._full_names: dict[str, str] | None = None

    def bind(self, node: Any) -> Bound:
        stored = next((x for x in self._candidates(node) if x.key in self._checkpoint), None)
        if stored is None:
            raise _no_value(node, self._checkpoint, self._checkpoint.prefix, self._ways)
        handle = self._checkpoint.tensor(stored.key)
        _check_dtype(node, handle.tf_dtype, dtypes.number_of(handle.tf_dtype), stored.key)
        return Bound(node.name, handle.nbytes, lambda: _read(node, handle, stored))

    def _candidates(self, node: Any) -> Iterator[Stored]:
        yield from (way[node.name] for way in self._ways if node.name in way)
        yield from map(Stored, _names_of(node))
        # What a Saver looks into when its own names are not there.
        if self._full_names is None:
            is_there = _OBJECT_GRAPH in self._checkpoint
            self._full_names = names_to_keys(self._checkpoint) if is_there else {}
        full_names = self._full_names
        yield from (Stored(full_names[name]) for name in _names_of(node) if name in full_names)


class _GivenValues:
    """Arrays of the caller."""

    def __init__(self, values: Mapping[str, Any], ways: Ways) -> None:
        self._values = values
        self._ways = ways

    def bind(self, node: Any) -> Bound:
        name = next((x for x in self._candidates(node) if x in self._values), None)
        if name is None:
            raise _no_value(node, self._values, "the values", self._ways)
        value = self._values[name]
        return Bound(node.name, getattr(value, "nbytes", 0), lambda: _as_array(node, value))

    def _candidates(self, node: Any) -> Iterator[str]:
        for name in _names_of(node):
            yield from (name, f"{name}:0")
        yield from (way[node.name].key for way in self._ways if node.name in way)


class _RestoredValues:
    """The variables of a graph that was restored."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def bind(self, node: Any) -> Bound:
        return Bound(node.name, 0, lambda: _as_array(node, self._graph.value(node.name)))


class _SessionValues:
    """What a session gives."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def bind(self, node: Any) -> Bound:
        # The handle of a resource is no value; TensorFlow asks for the read of that name as well.
        read = "/Read/ReadVariableOp" if node.op == "VarHandleOp" else ""
        tensor = f"{node.name}{read}:0"
        return Bound(node.name, 0, lambda: _as_array(node, self._session.run(tensor)))


def _names_of(node: Any) -> list[str]:
    """Under which names a Saver stores a variable: its own, and the shared one of a resource."""
    shared = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    names = [node.name, shared.decode("utf-8", "surrogateescape")]
    return [name for name in dict.fromkeys(names) if name]


def _dtype_of(node: Any) -> int:
    return as_number(node.attr["dtype"].type if "dtype" in node.attr else 0)


def _check_dtype(node: Any, name: str, number: int, key: str) -> None:
    wanted = _dtype_of(node)
    if number != wanted:
        raise InvalidArgumentError(
            f"variable {node.name!r} is {dtypes.tf_name(wanted)}, tensor {key!r} of the "
            f"checkpoint is {name}; is it a checkpoint of this graph?",
            key=key,
        )


def _read(node: Any, handle: StoredTensor, stored: Stored) -> Array:
    if stored.region is not None:
        array = np.asarray(handle[stored.region])
    else:
        array = handle.view() if handle.can_view else handle.read()
    wanted = _shape_of(node)
    if wanted is None or array.shape == wanted:
        return array
    if stored.is_reshaped and array.size == int(np.prod(wanted)):
        return array.reshape(wanted)
    # A resource takes whatever shape is stored, without a word.
    if node.op == "VarHandleOp":
        return array
    raise InvalidArgumentError(
        f"variable {node.name!r} has the shape {list(wanted)}, tensor {stored.key!r} of the "
        f"checkpoint {list(array.shape)}: Assign requires shapes of both tensors to match",
        key=stored.key,
    )


def _shape_of(node: Any) -> tuple[int, ...] | None:
    """Shape of a variable; None where it is not known in full."""
    if "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return None
    sizes = tuple(dim.size for dim in node.attr["shape"].shape.dim)
    return None if min(sizes, default=0) < 0 else sizes


def _as_array(node: Any, value: Any) -> Array:
    number = _dtype_of(node)
    wanted = value_dtype(number)
    if wanted.hasobject:
        return np.asarray(value, object)
    array = np.asarray(value)
    if array.dtype.fields and array.dtype.itemsize == wanted.itemsize:
        array = array.view(wanted)  # TensorFlow's form of quantised values
    if isinstance(value, np.ndarray | np.generic) and array.dtype != wanted:
        raise InvalidArgumentError(
            f"variable {node.name!r} is {dtypes.tf_name(number)}, its value {array.dtype}",
            key=node.name,
        )
    return array.astype(wanted, copy=False)


def _no_value(node: Any, names: Any, where: str, ways: Ways) -> TensorNotFoundError:
    keys = [way[node.name].key for way in ways if node.name in way]
    asked = keys[0] if keys else node.name
    text = tensor_not_found(asked, list(names), where)
    return TensorNotFoundError(f"variable {node.name!r} has no value: {text}", key=asked)
