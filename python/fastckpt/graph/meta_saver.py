"""The nodes that save and restore the variables of a meta graph, and its SaverDef.

Names, order of inputs and file layout follow what ``tf.compat.v1.train.Saver`` of TensorFlow 2.21
puts into a graph, because programs find these nodes by name.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.dtypes import STRING
from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.meta_encoding import (
    attr,
    field,
    flag,
    node,
    shape_attr,
    strings_tensor_attr,
    text_tensor_attr,
    type_attr,
    types_attr,
    varint,
    varint_field,
)
from fastckpt.graph.meta_names import Names, cpu_beside, legal_name
from fastckpt.graph.meta_variables import Variable, assign_node

__all__ = ["V1", "V2", "SaverParts", "SaverSpec", "saver_parts"]

# SaverDef.CheckpointFormatVersion.
V1 = 1
V2 = 2

_INT32 = 3
_CPU = b"/device:CPU:0"
_STRING = type_attr(b"dtype", STRING)

# Where a sharded save puts its shards until MergeV2Checkpoints joins them.
_TEMPORARY = b"_temp/part"


class SaverSpec(NamedTuple):
    """The saver of a meta graph.

    Attributes
    ----------
    max_to_keep : int or None
        How many checkpoints the imported Saver keeps; None or 0 for all.
    keep_checkpoint_every_n_hours : float
        Of those beyond `max_to_keep`, one is kept for good every so many hours.
    sharded : bool
        One data shard for each device of the variables.
    version : int
        Format that it writes: 2, or 1 for the single files of old. It restores both.
    name : str
        Scope of its nodes; the next free one of ``save``, ``save_1`` … where variables live there.
    filename : str
        Prefix that the save operation takes where none is fed.
    """

    max_to_keep: int | None = 5
    keep_checkpoint_every_n_hours: float = 10000.0
    sharded: bool = False
    version: int = V2
    name: str = "save"
    filename: str = "model"


class SaverParts(NamedTuple):
    """What a saver adds to a meta graph.

    Attributes
    ----------
    nodes : list of bytes
        Encoded fields of the graph.
    saver_def : bytes
        An encoded SaverDef.
    op_types : set of bytes
        Operations of the nodes; those of assignments belong to the variables.
    """

    nodes: list[bytes]
    saver_def: bytes
    op_types: set[bytes]


def saver_parts(spec: SaverSpec, variables: Sequence[Variable], names: Names) -> SaverParts:
    """Encode the nodes of a saver, and its SaverDef.

    Parameters
    ----------
    spec : SaverSpec
        What it does.
    variables : sequence of Variable
        What it saves, one at least.
    names : Names
        Those of the graph; the saver takes a scope of its own.

    Raises
    ------
    InvalidArgumentError
        An unknown version, or a wrong number.
    """
    if spec.version not in {V1, V2}:
        raise InvalidArgumentError(f"a saver writes version 1 or 2, not {spec.version!r}")
    return _Saver(spec, variables, names).parts()


class _Group(NamedTuple):
    """Variables of one shard, with what both operations are told of them."""

    device: bytes
    variables: Sequence[Variable]
    keys: bytes
    slices: bytes
    types: list[int]


class _Saver:
    """The nodes of one saver, in the order in which they are made."""

    def __init__(self, spec: SaverSpec, variables: Sequence[Variable], names: Names) -> None:
        self._spec = spec
        self._names = names
        self._scope = names.take_scope(legal_name(spec.name.strip("/") or "save"))
        self._nodes: list[bytes] = []
        self._op_types: set[bytes] = set()
        self._prefix = self._path("Const")
        ordered = sorted(variables, key=attrgetter("key"))
        self._groups = _by_device(ordered) if spec.sharded else [_group(b"", ordered)]

    def parts(self) -> SaverParts:
        self._add_prefix()
        saved = self._add_sharded_save() if self._spec.sharded else self._add_plain_save()
        restored = self._add_restores()
        saver_def = _saver_def(self._spec, self._prefix, saved, restored)
        return SaverParts(self._nodes, saver_def, self._op_types)

    def _path(self, name: str) -> bytes:
        return self._names.take(f"{self._scope}/{name}").encode()

    def _add(
        self, name: bytes, op: bytes, inputs: Sequence[bytes], device: bytes, attrs: bytes = b""
    ) -> bytes:
        self._nodes.append(node(name, op, inputs, device, attrs))
        self._op_types.add(op)
        return name

    def _add_const(self, name: bytes, number: int, value: bytes, device: bytes) -> bytes:
        return self._add(name, b"Const", (), device, type_attr(b"dtype", number) + value)

    def _add_prefix(self) -> None:
        filename = self._path("filename")
        value = text_tensor_attr(self._spec.filename.encode("utf-8", "surrogateescape"))
        self._add_const(filename + b"/input", STRING, value, b"")
        attrs = _STRING + shape_attr(b"shape", ())
        for name, source in ((filename, filename + b"/input"), (self._prefix, filename)):
            self._add(name, b"PlaceholderWithDefault", (source,), b"", attrs)

    def _add_plain_save(self) -> bytes:
        done = self._add_save(self._prefix, self._groups[0])
        return self._add_after(self._prefix, done, b"")

    def _add_after(self, value: bytes, done: bytes, device: bytes) -> bytes:
        name = self._path("control_dependency")
        inputs = (value, b"^" + done)
        return self._add(name, b"Identity", inputs, device, type_attr(b"T", STRING))

    def _add_save(self, prefix: bytes, group: _Group) -> bytes:
        first = self._spec.version == V1
        name = self._path("save" if first else "SaveV2")
        slices = name + (b"/shapes_and_slices" if first else b"/shape_and_slices")
        names = self._add_names(name, slices, group, group.device)
        attrs = types_attr(b"T" if first else b"dtypes", group.types)
        values = [variable.saved for variable in group.variables]
        op = b"SaveSlices" if first else b"SaveV2"
        return self._add(name, op, (prefix, *names, *values), group.device, attrs)

    def _add_names(
        self, name: bytes, slices: bytes, group: _Group, device: bytes
    ) -> tuple[bytes, bytes]:
        return (
            self._add_const(name + b"/tensor_names", STRING, group.keys, device),
            self._add_const(slices, STRING, group.slices, device),
        )

    def _add_sharded_save(self) -> bytes:
        base = self._prefix if self._spec.version == V1 else self._add_temporary()
        count = _int_attr(len(self._groups))
        total = self._add_const(self._path("num_shards"), _INT32, count, b"")
        shards = []
        for shard, group in enumerate(self._groups):
            prefix = self._add_shard_name(base, shard, total, group.device)
            done = self._add_save(prefix, group)
            shards.append((prefix, self._add_after(prefix, done, group.device)))
        if self._spec.version == V2:
            return self._add_merge(shards)
        waits = [b"^" + after for _, after in shards]
        name = self._path("ShardedFilespec")
        return self._add(name, b"ShardedFilespec", (self._prefix, total, *waits), b"")

    def _add_temporary(self) -> bytes:
        suffix = self._add_const(self._path("Const"), STRING, text_tensor_attr(_TEMPORARY), b"")
        attrs = attr(b"N", varint_field(3, 2))
        return self._add(
            self._path("StringJoin"), b"StringJoin", (self._prefix, suffix), b"", attrs
        )

    def _add_shard_name(self, base: bytes, shard: int, total: bytes, device: bytes) -> bytes:
        name = self._path("ShardedFilename")
        number = self._add_const(name + b"/shard", _INT32, _int_attr(shard), device)
        return self._add(name, b"ShardedFilename", (base, number, total), device)

    def _add_merge(self, shards: Sequence[tuple[bytes, bytes]]) -> bytes:
        waits = [b"^" + after for _, after in shards]
        name = self._path("MergeV2Checkpoints")
        attrs = attr(b"N", varint_field(3, len(shards))) + type_attr(b"T", STRING)
        prefixes = (*(prefix for prefix, _ in shards), *waits)
        packed = self._add(name + b"/checkpoint_prefixes", b"Pack", prefixes, b"", attrs)
        self._add(name, b"MergeV2Checkpoints", (packed, self._prefix), b"")
        inputs = (self._prefix, waits[-1], b"^" + name)
        return self._add(self._path("Identity"), b"Identity", inputs, b"", type_attr(b"T", STRING))

    def _add_restores(self) -> bytes:
        waits = [self._add_restore(group) for group in self._groups]
        if not self._spec.sharded:
            return self._add(self._path("restore_all"), b"NoOp", waits[0], b"")
        done = [
            b"^" + self._add(self._path("restore_shard"), b"NoOp", found, group.device)
            for group, found in zip(self._groups, waits, strict=True)
        ]
        return self._add(self._path("restore_all"), b"NoOp", done, b"")

    def _add_restore(self, group: _Group) -> list[bytes]:
        """Add a restore operation and what it assigns to; give the control inputs for its end."""
        name = self._path("RestoreV2")
        place = group.device or _CPU
        names = self._add_names(name, name + b"/shape_and_slices", group, place)
        attrs = types_attr(b"dtypes", group.types)
        self._add(name, b"RestoreV2", (self._prefix, *names), place, attrs)
        waits = []
        for index, variable in enumerate(group.variables):
            op = "Assign" if variable.kind == "ref" else "AssignVariableOp"
            assign, value = self._path(op), b"%b:%d" % (name, index) if index else name
            self._nodes.append(assign_node(variable, assign, value))
            waits.append(b"^" + assign)
        return waits


def _by_device(variables: Sequence[Variable]) -> list[_Group]:
    """Give the variables of each device, with the CPU that writes and reads for it."""
    ordered = sorted(variables, key=attrgetter("device"))
    return [
        _group(cpu_beside(device.decode()).encode() if device else b"", list(found))
        for device, found in groupby(ordered, key=attrgetter("device"))
    ]


def _group(device: bytes, variables: Sequence[Variable]) -> _Group:
    return _Group(
        device,
        variables,
        keys=strings_tensor_attr([variable.key for variable in variables]),
        slices=strings_tensor_attr([variable.shape_and_slice for variable in variables]),
        types=[variable.number for variable in variables],
    )


def _int_attr(value: int) -> bytes:
    """Encode the ``value`` of an int32 constant; TensorProto.int_val is field 7."""
    tensor = varint_field(1, _INT32) + field(2, b"") + field(7, varint(value))
    return attr(b"value", field(8, tensor))


def _saver_def(spec: SaverSpec, prefix: bytes, saved: bytes, restored: bytes) -> bytes:
    kept = _number("max_to_keep", spec.max_to_keep or 0)
    return b"".join(
        (
            field(1, prefix + b":0"),
            field(2, saved + b":0"),
            field(3, restored),
            varint_field(4, kept),
            flag(5, spec.sharded),
            b"\x35" + _float32(spec.keep_checkpoint_every_n_hours),
            varint_field(7, spec.version),
        )
    )


def _number(name: str, value: object) -> int:
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise WrongTypeError(f"{name} must be an int or None, not {value!r}") from None
    if not -(1 << 31) <= found < 1 << 31:
        raise InvalidArgumentError(f"{name} must fit 32 bits: {found}")
    return found


def _float32(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))
    except struct.error:
        raise WrongTypeError(
            f"keep_checkpoint_every_n_hours must be a number, not {value!r}"
        ) from None
