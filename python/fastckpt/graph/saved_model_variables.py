"""What a SavedModel keeps of a checkpoint: the tensors that its graph restores, under its keys."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastckpt import dtypes
from fastckpt.checkpoint import Checkpoint, StoredTensor, open_checkpoint
from fastckpt.checkpoint.inputs import Input, prepare
from fastckpt.checkpoint.merging import merge
from fastckpt.checkpoint.writer import CheckpointWriter
from fastckpt.errors import (
    CheckpointError,
    InvalidArgumentError,
    TensorNotFoundError,
)
from fastckpt.graph.edges import nodes_by_name, source_of
from fastckpt.graph.keys import GraphKeys
from fastckpt.graph.meta_collections import parse_item
from fastckpt.graph.objects import names_to_keys
from fastckpt.graph.restoring import VARIABLE_OPS, Stored, declared_slices, restored_variables
from fastckpt.graph.sub_graphs import extract_sub_graph
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.graph.tensor_values import make_ndarray
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.names import tensor_not_found

__all__ = ["opened", "plan_tensors", "restores_anything", "write_tensors"]

Value = StoredTensor | Input

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_LITERALS = (bool, int, float, complex, str, bytes, list)
_MAX_NAMED = 3


@contextmanager
def opened(source: Any) -> Iterator[Checkpoint | Mapping[str, Any]]:
    """Open what is given as a checkpoint, and close what was opened."""
    if isinstance(source, Mapping):
        yield source
    elif isinstance(source, str | bytes | os.PathLike):
        with open_checkpoint(source) as checkpoint:
            yield checkpoint
    else:
        raise WrongTypeError(
            "checkpoint must be a path, an open Checkpoint or a mapping of names to arrays, not "
            f"{type(source).__name__}"
        )


def restores_anything(meta_graph: Any) -> bool:
    """Whether loaders read the variables: for a graph with some, or of TensorFlow 2."""
    if meta_graph.HasField("object_graph_def"):
        return True
    has_variables = any(node.op in VARIABLE_OPS for node in meta_graph.graph_def.node)
    return has_variables or bool(_wanted_keys(meta_graph, {}))


def plan_tensors(meta_graph: Any, source: Checkpoint | Mapping[str, Any]) -> dict[str, Value]:
    """Find the tensors that a graph restores.

    Parameters
    ----------
    meta_graph : MetaGraphDef
        The graph and its saver.
    source : Checkpoint or mapping
        Values by key. Arrays may be given by the names of variables, and an object-based
        checkpoint serves a saver by name.

    Returns
    -------
    dict of str to StoredTensor or Input
        By the key that the graph asks for. All of `source` where the graph does not tell.

    Raises
    ------
    TensorNotFoundError
        Tensors are missing; the message lists them.
    InvalidArgumentError
        A variable has another shape or dtype than its value; a graph with variables has neither
        a saver nor a collection of them.
    """
    owners = _owners(meta_graph)
    keys = _wanted_keys(meta_graph, owners)
    if keys is None:
        return {key: _value(source, key, key, None) for key in source}
    names = _Names(source)
    found = {key: names.find(key, owners.get(key, [])) for key in keys}
    missing = [key for key, name in found.items() if name is None]
    if missing:
        raise _missing(missing, source)
    return {
        key: _checked(source, key, name, owners.get(key, []))
        for key, name in found.items()
        if name is not None
    }


def write_tensors(
    prefix: str,
    tensors: Mapping[str, Value],
    source: Checkpoint | Mapping[str, Any],
    *,
    num_shards: int | None,
    sync: bool,
) -> None:
    """Write a checkpoint of planned tensors; one that is wanted as it is is copied."""
    if num_shards is None and isinstance(source, Checkpoint) and _is_whole(tensors, source):
        merge([source.prefix], prefix, sync=sync)
        return
    with CheckpointWriter(prefix, num_shards=num_shards or 1, sync=sync) as writer:
        for key, value in tensors.items():
            writer.add(key, value)


def _is_whole(tensors: Mapping[str, Value], source: Checkpoint) -> bool:
    same = len(tensors) == len(source) and all(
        isinstance(value, StoredTensor) and value.name == key for key, value in tensors.items()
    )
    return same and source.format == "v2"


class _Owner(NamedTuple):
    """The node of a variable, and where its value is stored."""

    node: Any
    stored: Stored


class _Names:
    """The name under which a source holds what a graph calls by a key."""

    def __init__(self, source: Checkpoint | Mapping[str, Any]) -> None:
        self._source = source
        objects = isinstance(source, Checkpoint) and _OBJECT_GRAPH in source
        self._full_names = names_to_keys(source) if objects else {}  # type: ignore[arg-type]

    def find(self, key: str, owners: list[_Owner]) -> str | None:
        own_name = owners[0].node.name if len(owners) == 1 else None
        choices = (key, own_name, self._full_names.get(key))
        return next((name for name in choices if name is not None and name in self._source), None)


def _owners(meta_graph: Any) -> dict[str, list[_Owner]]:
    """Give the variables that take each key: one, or the slices of a partitioned one."""
    if meta_graph.HasField("saver_def"):
        stored = restored_variables(meta_graph.graph_def, meta_graph.saver_def)
    else:
        slices = declared_slices(meta_graph)
        stored = {x: slices.get(x, Stored(x)) for x in _listed_variables(meta_graph)}
    nodes = nodes_by_name(meta_graph.graph_def.node)
    owners: dict[str, list[_Owner]] = {}
    for name, value in stored.items():
        if name in nodes:
            owners.setdefault(value.key, []).append(_Owner(nodes[name], value))
    return owners


def _listed_variables(meta_graph: Any) -> list[str]:
    key = GraphKeys.GLOBAL_VARIABLES
    if key not in meta_graph.collection_def:
        return []
    data = meta_graph.collection_def[key].bytes_list.value
    variables = [parse_item(key, "VariableDef", item) for item in data]
    return [source_of(variable.variable_name) for variable in variables]


def _wanted_keys(meta_graph: Any, owners: Mapping[str, list[_Owner]]) -> list[str] | None:
    """Give the keys that are restored; None where only a run of the graph would tell."""
    if meta_graph.HasField("object_graph_def"):
        return None
    if not meta_graph.HasField("saver_def"):
        if not owners and any(node.op in VARIABLE_OPS for node in meta_graph.graph_def.node):
            raise InvalidArgumentError(
                "the graph has variables, but neither a saver nor a collection of variables, so "
                "that nothing would restore them; pass the meta graph (.meta) instead of the "
                "graph, or freeze it"
            )
        return sorted(owners)
    # What one operation restores for each tensor is among the owners; RestoreV2 may also restore
    # tables.
    found = set(owners)
    graph = meta_graph.graph_def
    try:
        part = extract_sub_graph(graph, [source_of(meta_graph.saver_def.restore_op_name)])
    except (CheckpointError, AssertionError) as error:
        raise InvalidArgumentError(f"the saver of the meta graph is broken: {error}") from error
    nodes = nodes_by_name(part.node)
    for node in part.node:
        if node.op == "RestoreV2":
            names = nodes.get(source_of(node.input[1])) if len(node.input) > 1 else None
            if names is None or names.op != "Const":
                return None
            found.update(_texts(names.attr["value"].tensor))
        elif node.op in {"PartitionedCall", "StatefulPartitionedCall"}:
            return None
    return sorted(found)


def _texts(tensor: Any) -> list[str]:
    values = make_ndarray(tensor).ravel().tolist()
    return [x.decode("utf-8", "surrogateescape") for x in values if isinstance(x, bytes)]


def _value(source: Checkpoint | Mapping[str, Any], key: str, name: str, number: int | None) -> Any:
    if isinstance(source, Checkpoint):
        return source.tensor(name)
    value = source[name]
    # Python numbers take the type of the variable; arrays have theirs.
    dtype = dtypes.tf_name(number) if number and isinstance(value, _LITERALS) else None
    return prepare(key, value, dtype)


def _checked(
    source: Checkpoint | Mapping[str, Any], key: str, name: str, owners: list[_Owner]
) -> Value:
    number = owners[0].node.attr["dtype"].type if owners else None
    value: Value = _value(source, key, name, number)
    for node, stored in owners:
        found = (
            dtypes.number_of(value.tf_dtype) if isinstance(value, StoredTensor) else value.number
        )
        if found != node.attr["dtype"].type:
            raise _unlike(
                node, name, dtypes.tf_name(node.attr["dtype"].type), dtypes.tf_name(found)
            )
        wanted = TensorShape(node.attr["shape"].shape)
        # The saver itself says which slices it wants, and reshapes what it is told to.
        is_whole = stored.region is None and not stored.is_reshaped
        if is_whole and not wanted.is_compatible_with(value.shape):
            raise _unlike(node, name, str(wanted.dims), str(list(value.shape)))
    return value


def _unlike(node: Any, name: str, wanted: str, found: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"variable {node.name!r} is {wanted}, but its value {name!r} is {found}; pass the "
        "checkpoint that belongs to this graph, or convert the value",
        key=name,
    )


def _missing(keys: list[str], source: Checkpoint | Mapping[str, Any]) -> TensorNotFoundError:
    where = source.prefix if isinstance(source, Checkpoint) else "the mapping"
    names = list(source)
    told = [tensor_not_found(key, names, where) for key in keys[:_MAX_NAMED]]
    more = f"; and {len(keys) - _MAX_NAMED} more" if len(keys) > _MAX_NAMED else ""
    return TensorNotFoundError(
        f"the graph restores {len(keys)} tensor{'s' if len(keys) > 1 else ''} that the checkpoint "
        f"lacks: {'; '.join(told)}{more}",
        path=where if isinstance(source, Checkpoint) else None,
        key=keys[0],
    )
