"""Meta graphs made of names, types and shapes alone: the ``.meta`` of a checkpoint from arrays.

Stock TensorFlow imports them like its own: ``import_meta_graph`` gives a Saver that restores and
saves, the collections hold variables, and the graph can be trained on and frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastckpt.errors import InvalidArgumentError, LimitExceededError
from fastckpt.graph.meta_collections import encode_items
from fastckpt.graph.meta_encoding import field, flag, varint_field
from fastckpt.graph.meta_names import Names
from fastckpt.graph.meta_saver import SaverParts, SaverSpec, saver_parts
from fastckpt.graph.meta_variables import (
    Kind,
    Variable,
    VariableSpec,
    can_be_variable,
    definition,
    op_types,
    plan_variables,
    variable_nodes,
)
from fastckpt.graph.op_registry import find_op
from fastckpt.protos import message_class

__all__ = [
    "SaverSpec",
    "VariableSpec",
    "build_meta_graph",
    "can_be_variable",
    "meta_graph_bytes",
]

# Of TensorFlow 2.21: what a reader may expect of the nodes. Graphs without a version get the rules
# of the first public release, for what a program adds to them too.
_PRODUCER = 2474
_MIN_CONSUMER = 12

# protobuf refuses messages of 2 GiB.
_MAX_BYTES = (1 << 31) - 1

_DEFAULT_SAVER = SaverSpec()


def build_meta_graph(
    variables: Iterable[VariableSpec],
    *,
    kind: Kind = "ref",
    saver: SaverSpec | None = _DEFAULT_SAVER,
    collections: Mapping[str, Any] | None = None,
) -> Any:
    """Build the MetaGraphDef of some variables; `meta_graph_bytes` says how.

    Returns
    -------
    MetaGraphDef
        Of the private package (`fastckpt.protos`); ``SerializeToString()`` is the ``.meta``.
    """
    data = meta_graph_bytes(variables, kind=kind, saver=saver, collections=collections)
    return message_class("MetaGraphDef").FromString(data)


def meta_graph_bytes(
    variables: Iterable[VariableSpec],
    *,
    kind: Kind = "ref",
    saver: SaverSpec | None = _DEFAULT_SAVER,
    collections: Mapping[str, Any] | None = None,
) -> bytes:
    """Build a ``.meta`` for some variables, in its binary form.

    Parameters
    ----------
    variables : iterable of VariableSpec
        What the graph holds. None at all gives an empty graph without a saver.
    kind : {"ref", "resource"}
        Form of the variables. With ``"ref"``, ``sess.run("w:0")`` gives the value, as programs of
        TensorFlow 1 expect. ``"resource"`` is the form of TensorFlow 2, where ``w:0`` is a handle
        and the value is ``w/Read/ReadVariableOp:0``. A type that TensorFlow has in one form only
        gets that one: float8, float4 and sub-byte integers are resources, quint16 is a ref.
    saver : SaverSpec, optional
        The saver; None for a graph without one, to which TensorFlow adds its own at import.
    collections : mapping, optional
        More collections. A value is an encoded or decoded CollectionDef, or a sequence of one
        kind: str or bytes, int, float, elements of a graph, or `VariableSpec` of `variables`.

    Returns
    -------
    bytes
        A serialized MetaGraphDef: the nodes of the variables (``w``, ``w/Init``, ``w/Assign``,
        ``w/read``), those of the saver, the collections ``variables`` and
        ``trainable_variables``. Initial values are zeros, in a few bytes for any shape.

    Raises
    ------
    InvalidArgumentError
        Names or keys that clash; a slice that lies outside its tensor; a wrong shape, dtype,
        device, kind or version; a collection of mixed kinds.
    UnsupportedError
        A dtype that TensorFlow has no variables of (`can_be_variable`).
    LimitExceededError
        The message would take 2 GiB.

    Notes
    -----
    Names that are no legal node names are mapped: each illegal character to ``_``, ``v`` before a
    wrong first one, ``_1`` … where that name is taken; the keys in the saver stay as they are.
    Costs about 20 us a variable.

    Examples
    --------
    >>> data = meta_graph_bytes([VariableSpec("w", "float32", (2, 3))])
    >>> message_class("MetaGraphDef").FromString(data).graph_def.node[0].name
    'w'
    """
    names = Names()
    specs = list(variables)
    plan = plan_variables(specs, kind, names)
    nodes = [data for variable in plan for data in variable_nodes(variable)]
    added = SaverParts([], b"", set())
    if saver is not None and plan:
        added = saver_parts(saver, plan, names)
    definitions = [definition(variable) for variable in plan]
    given = _collections(specs, plan, definitions, collections or {})
    content = b"".join(
        (
            field(1, _op_list(op_types(plan) | added.op_types) + flag(7, value=True)),
            field(2, b"".join([*nodes, *added.nodes, field(4, _versions())])),
            field(3, added.saver_def) if added.saver_def else b"",
            *(field(4, field(1, key) + field(2, value)) for key, value in sorted(given.items())),
        )
    )
    if len(content) > _MAX_BYTES:
        raise LimitExceededError(
            f"a meta graph of {len(plan)} variables would take {len(content)} bytes, and protobuf "
            "refuses 2 GiB; save without one (write_meta_graph=False)"
        )
    return content


def _op_list(names: Iterable[bytes]) -> bytes:
    """Encode the ``stripped_op_list``: what the operations of the graph look like."""
    ops = [op for op in map(find_op, sorted(name.decode() for name in names)) if op is not None]
    return field(2, b"".join(field(1, op.SerializeToString(deterministic=True)) for op in ops))


def _versions() -> bytes:
    return varint_field(1, _PRODUCER) + varint_field(2, _MIN_CONSUMER)


def _collections(
    specs: Sequence[VariableSpec],
    plan: Sequence[Variable],
    definitions: Sequence[bytes],
    given: Mapping[str, Any],
) -> dict[bytes, bytes]:
    trainable = [
        data for data, variable in zip(definitions, plan, strict=True) if variable.trainable
    ]
    found = {
        b"variables": _bytes_list(definitions),
        b"trainable_variables": _bytes_list(trainable),
    }
    by_name = {spec.name: data for spec, data in zip(specs, definitions, strict=True)}
    for key, value in given.items():
        found[key.encode()] = _collection(key, value, by_name)
    return {key: value for key, value in found.items() if value}


def _bytes_list(values: Iterable[bytes]) -> bytes:
    content = b"".join(field(1, value) for value in values)
    return field(2, content) if content else b""


def _collection(key: str, value: Any, by_name: Mapping[str, bytes]) -> bytes:
    """Encode a CollectionDef; empty where there are no items."""
    if isinstance(value, bytes):
        return value
    if hasattr(value, "SerializeToString"):
        data: bytes = value.SerializeToString(deterministic=True)
        return data
    items = list(value)
    if items and isinstance(items[0], VariableSpec):
        return _bytes_list(_definition_of(key, item, by_name) for item in items)
    encoded: bytes = encode_items(key, items).SerializeToString(deterministic=True)
    return encoded


def _definition_of(key: str, item: Any, by_name: Mapping[str, bytes]) -> bytes:
    found = by_name.get(item.name) if isinstance(item, VariableSpec) else None
    if found is None:
        raise InvalidArgumentError(
            f"collection {key!r}: {item!r} is not one of the variables of this meta graph"
        )
    return found
