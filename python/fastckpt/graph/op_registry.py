"""The operations that TensorFlow registers, and what a node of one yields.

``ops.binpb.gz`` beside this module holds their OpDefs; ``scripts/make_ops.py`` writes it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from fastckpt import protos
from fastckpt.errors import InvalidArgumentError, LimitExceededError

__all__ = [
    "MAX_TENSORS",
    "REF",
    "attr_value",
    "default_attr",
    "find_op",
    "input_types",
    "output_types",
]

# Added to the number of a DataType, the reference form of it: what a VariableV2 yields.
REF = 100

# Tensors of one kind that a node may count; a damaged count may say anything. Long lists, such as
# the dtypes of a RestoreV2, name each of their tensors and are not bound by this.
MAX_TENSORS = 1 << 16

_lock = threading.Lock()


def find_op(name: str, op_list: Any = None) -> Any:
    """Find the OpDef of an operation.

    Parameters
    ----------
    name : str
        Type of the operation, such as ``"MatMul"``.
    op_list : OpList or mapping of str to OpDef, optional
        Where an operation that this package does not know is looked for: the ``stripped_op_list``
        of a meta graph, or the signatures of its functions.

    Returns
    -------
    OpDef or None
        Shared: not to be modified. Without descriptions, if it is one of TensorFlow's.

    Notes
    -----
    The first call reads the table, some 10 ms.
    """
    with _lock:
        found = _table().get(name)
    if found is not None or op_list is None:
        return found
    if isinstance(op_list, Mapping):
        return op_list.get(name)
    return next((op for op in op_list.op if op.name == name), None)


def attr_value(node: Any, op_def: Any, name: str) -> Any:
    """Give an attribute of a node, or what the operation says for nodes that leave it out.

    Returns
    -------
    AttrValue or None
        None where neither the node nor the operation has it.
    """
    # Indexing a map with a missing key would add it to the message.
    found = node.attr.get(name)
    if found is None or found.WhichOneof("value") is None:
        default = default_attr(op_def, name)
        return found if default is None else default
    return found


def default_attr(op_def: Any, name: str) -> Any:
    """Give the default of an attribute; None where there is no such attribute, or no default."""
    for attr in op_def.attr:
        if attr.name == name:
            return attr.default_value if attr.HasField("default_value") else None
    return None


def output_types(node: Any, op_def: Any) -> list[int]:
    """Give the DataType of every output of a node.

    Parameters
    ----------
    node : NodeDef
        The node.
    op_def : OpDef
        Its operation, see :func:`find_op`.

    Returns
    -------
    list of int
        TensorFlow's numbers; those above 100 are reference types. 0 where the node names no type.

    Raises
    ------
    InvalidArgumentError
        The node lacks an attribute that says how many outputs there are or of which type, or has
        one of another kind.
    LimitExceededError
        It counts more than 65536 of them.
    """
    return _types(node, op_def, op_def.output_arg)


def input_types(node: Any, op_def: Any) -> list[int]:
    """Give the DataType of every data input of a node; see :func:`output_types`."""
    return _types(node, op_def, op_def.input_arg)


@functools.cache
def _table() -> dict[str, Any]:
    import gzip
    from importlib import resources

    data = resources.files(__package__).joinpath("ops.binpb.gz").read_bytes()
    ops = protos.message_class("OpList").FromString(gzip.decompress(data))
    return {op.name: op for op in ops.op}


def _types(node: Any, op_def: Any, args: Iterable[Any]) -> list[int]:
    found: list[int] = []
    for arg in args:
        if arg.type_list_attr:
            types = list(_required(node, op_def, arg.type_list_attr, "list").list.type)
        else:
            types = [_one_type(node, op_def, arg)] * _count(node, op_def, arg)
        found += [x + REF for x in types] if arg.is_ref else types
    return found


def _one_type(node: Any, op_def: Any, arg: Any) -> int:
    if arg.type_attr:
        return int(_required(node, op_def, arg.type_attr, "type").type)
    return int(arg.type)


def _count(node: Any, op_def: Any, arg: Any) -> int:
    if not arg.number_attr:
        return 1
    count = int(_required(node, op_def, arg.number_attr, "i").i)
    if count < 0:
        raise InvalidArgumentError(
            f"node {node.name!r} ({node.op}): attribute {arg.number_attr!r} is {count} "
            "where tensors are counted",
            key=node.name,
        )
    if count > MAX_TENSORS:
        raise LimitExceededError(
            f"node {node.name!r} ({node.op}) counts {count} tensors in {arg.number_attr!r}, more "
            f"than the {MAX_TENSORS} that are read",
            key=node.name,
        )
    return count


def _required(node: Any, op_def: Any, name: str, kind: str) -> Any:
    value = attr_value(node, op_def, name)
    if value is None:
        raise InvalidArgumentError(
            f"node {node.name!r} ({node.op}) lacks the attribute {name!r}", key=node.name
        )
    found = value.WhichOneof("value")
    # An empty list may be written as nothing at all.
    if found != kind and (found is not None or kind != "list"):
        raise InvalidArgumentError(
            f"node {node.name!r} ({node.op}): attribute {name!r} is no {kind!r} but {found!r}",
            key=node.name,
        )
    return value
