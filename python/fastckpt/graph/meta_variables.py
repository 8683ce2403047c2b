"""Variables of a meta graph: what describes one, its nodes and its definition in a collection."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from fastckpt.checkpoint.inputs import check_name
from fastckpt.checkpoint.slices import check_shape, slice_extents
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.dtypes import tf_name
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.graph.meta_encoding import (
    colocated,
    field,
    flag,
    named,
    node,
    numbers,
    shape_attr,
    text_attr,
    type_attr,
    zero_attr,
)
from fastckpt.graph.meta_names import Names, canonical_device, legal_name
from fastckpt.graph.value_types import as_number

__all__ = [
    "Kind",
    "Variable",
    "VariableSpec",
    "assign_node",
    "can_be_variable",
    "definition",
    "op_types",
    "plan_variables",
    "variable_nodes",
]

Kind = Literal["ref", "resource"]

# Types that TensorFlow 2.21 has no Assign kernel for (float8, float4, integers below a byte), and
# those that it has no AssignVariableOp kernel for. qint16 and the fnuz forms are in both.
_NO_REF = frozenset({15, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33})
_NO_RESOURCE = frozenset({15, 16, 26, 27, 28})
# Those in both, and handles, which no file holds.
_NO_VARIABLE = _NO_REF & _NO_RESOURCE | {20}


_OPS: dict[Kind, tuple[bytes, ...]] = {
    "ref": (b"Assign", b"Const", b"Identity", b"VariableV2"),
    "resource": (b"AssignVariableOp", b"Const", b"ReadVariableOp", b"VarHandleOp"),
}


# Shapes that were checked, by what is equal to them.
_known_shapes: dict[tuple[int, ...], tuple[int, ...]] = {}
_MAX_KNOWN = 4096


class VariableSpec(NamedTuple):
    """One variable of a meta graph to be built; no data.

    Attributes
    ----------
    name : str
        Its name, without ``:0``. A name that is no legal node name is mapped to one.
    dtype : str, int or dtype-like
        A TensorFlow name or number, a ``tf.DType`` or a NumPy dtype.
    shape : sequence of int
        Its shape; that of the slice for a slice.
    key : str, optional
        Its key in checkpoints; `full_name` or `name` unless given.
    full_name : str, optional
        Of the partitioned tensor that this variable is a slice of.
    full_shape, start : sequence of int, optional
        Shape of the partitioned tensor and place of the slice in it. Given together.
    trainable : bool
        Whether it is in the collection ``trainable_variables`` too.
    device : str
        Such as ``/job:ps/task:1/device:CPU:0``; sharded savers write one shard per device.
    """

    name: str
    dtype: object
    shape: Sequence[int]
    key: str | None = None
    full_name: str | None = None
    full_shape: Sequence[int] | None = None
    start: Sequence[int] | None = None
    trainable: bool = True
    device: str = ""


class Slice(NamedTuple):
    """Place of a variable in a partitioned tensor."""

    full_name: bytes
    full_shape: tuple[int, ...]
    start: tuple[int, ...]


class Variable(NamedTuple):
    """A `VariableSpec` that has been checked, with the names of its nodes."""

    key: bytes
    number: int
    shape: tuple[int, ...]
    kind: Kind
    device: bytes
    trainable: bool
    part: Slice | None
    name: bytes
    initial_value: bytes
    initializer: bytes
    read: bytes
    beside: bytes

    @property
    def saved(self) -> bytes:
        """What the save operation takes as its value."""
        return self.name if self.kind == "ref" else self.read

    @property
    def shape_and_slice(self) -> bytes:
        """What the save and restore operations take as its slice; empty for all of a tensor."""
        if self.part is None:
            return b""
        extents = zip(self.part.start, self.shape, strict=True)
        spec = ":".join(f"{start},{length}" for start, length in extents)
        return f"{' '.join(map(str, self.part.full_shape))} {spec}".encode()


def can_be_variable(dtype: object) -> bool:
    """Whether TensorFlow has variables of this type, in either form.

    >>> can_be_variable("float32"), can_be_variable("float8_e5m2"), can_be_variable("qint16")
    (True, True, False)
    """
    return as_number(dtype) not in _NO_VARIABLE


def plan_variables(specs: Iterable[VariableSpec], kind: Kind, names: Names) -> list[Variable]:
    """Check variables and name their nodes; all variables first, so that each gets its own name.

    Raises
    ------
    InvalidArgumentError
        Two variables of one name, or of one key that are not slices of one tensor; a slice that
        lies outside its tensor; a wrong shape, type, device or `kind`.
    UnsupportedError
        A type that TensorFlow has no variables of.
    """
    if kind not in {"ref", "resource"}:
        raise InvalidArgumentError(f"kind must be 'ref' or 'resource', not {kind!r}")
    checked = list(specs)
    _check_names(checked)
    nodes = [names.take(legal_name(spec.name)) for spec in checked]
    plan = [_plan(spec, name, kind, names) for spec, name in zip(checked, nodes, strict=True)]
    _check_keys(plan)
    return plan


def variable_nodes(variable: Variable) -> list[bytes]:
    """Encode the nodes of one variable: itself, its initial value, initializer and reading."""
    return (_ref_nodes if variable.kind == "ref" else _resource_nodes)(variable)


def op_types(variables: Iterable[Variable]) -> set[bytes]:
    """Name the operations of the nodes of some variables."""
    kinds = {variable.kind for variable in variables}
    return {op for kind in kinds for op in _OPS[kind]}


def assign_node(variable: Variable, name: bytes, value: bytes) -> bytes:
    """Encode a node that gives the variable a value."""
    inputs = (variable.name, value)
    if variable.kind == "resource":
        attrs = type_attr(b"dtype", variable.number)
        return node(name, b"AssignVariableOp", inputs, variable.device, attrs)
    attrs = type_attr(b"T", variable.number) + variable.beside
    return node(name, b"Assign", inputs, variable.device, attrs)


def definition(variable: Variable) -> bytes:
    """Encode the VariableDef that collections hold."""
    return b"".join(
        (
            named(1, variable.name, b":0"),
            named(2, variable.initializer),
            named(3, variable.read, b":0"),
            b"" if variable.part is None else field(4, _slice_info(variable.part, variable.shape)),
            flag(5, variable.kind == "resource"),
            named(6, variable.initial_value, b":0"),
            flag(7, variable.trainable),
        )
    )


def _check_names(specs: list[VariableSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if not isinstance(spec.name, str):
            raise WrongTypeError(f"the name of a variable must be str, not {spec.name!r}")
        if spec.name in seen:
            raise InvalidArgumentError(
                f"at least two variables have the same name: {spec.name}; give each its own, and "
                "slices of one tensor the same full_name",
                key=spec.name,
            )
        seen.add(spec.name)


def _check_keys(plan: list[Variable]) -> None:
    seen: dict[bytes, Variable] = {}
    for variable in plan:
        first = seen.setdefault(variable.key, variable)
        if first is not variable:
            _check_parts(first, variable)


def _check_parts(first: Variable, second: Variable) -> None:
    key = first.key.decode("utf-8", "backslashreplace")
    if first.part is None or second.part is None:
        raise InvalidArgumentError(
            f"two variables would be saved under the key {key!r}; only slices of one tensor share "
            "a key",
            key=key,
        )
    if (first.number, first.part.full_shape) != (second.number, second.part.full_shape):
        raise InvalidArgumentError(
            f"slices of the tensor {key!r} differ in dtype or full_shape: "
            f"{tf_name(first.number)} {list(first.part.full_shape)} and "
            f"{tf_name(second.number)} {list(second.part.full_shape)}",
            key=key,
        )


def _plan(spec: VariableSpec, name: str, kind: Kind, names: Names) -> Variable:
    number = _number(spec.dtype)
    shape = _shape(spec)
    part = _part(spec, shape)
    form = _form(spec.name, number, kind)
    default = spec.name if spec.full_name is None else spec.full_name
    return Variable(
        key=check_name(default if spec.key is None else spec.key),
        number=number,
        shape=shape,
        kind=form,
        device=canonical_device(spec.device).encode(),
        trainable=bool(spec.trainable),
        part=part,
        name=name.encode(),
        initial_value=names.take(f"{name}/Init").encode(),
        initializer=names.take(f"{name}/Assign").encode(),
        beside=colocated(name.encode()) if form == "ref" else b"",
        read=names.take(f"{name}/{'read' if form == 'ref' else 'Read/ReadVariableOp'}").encode(),
    )


def _shape(spec: VariableSpec) -> tuple[int, ...]:
    """Give the shape as a tuple of int; few shapes are new among many variables."""
    shape: Any = spec.shape
    try:
        return _known_shapes[shape]
    except (KeyError, TypeError):
        found = check_shape("shape", shape, spec.name)
    if len(_known_shapes) < _MAX_KNOWN:
        _known_shapes[found] = found
    return found


def _number(dtype: object) -> int:
    """Give the DataType number; names and numbers, which repeat a lot, are looked up once."""
    return _known_number(dtype) if isinstance(dtype, str | int) else as_number(dtype)


@functools.cache
def _known_number(dtype: object) -> int:
    return as_number(dtype)


def _form(name: str, number: int, kind: Kind) -> Kind:
    if number in _NO_VARIABLE:
        raise UnsupportedError(
            f"variable {name!r}: TensorFlow has no variables of dtype {tf_name(number)}; leave it "
            "out, or cast it first",
            key=name,
        )
    if number in _NO_REF:
        return "resource"
    return "ref" if number in _NO_RESOURCE else kind


def _part(spec: VariableSpec, shape: tuple[int, ...]) -> Slice | None:
    given = (spec.full_name, spec.full_shape, spec.start)
    # TensorFlow has no form for a slice of a scalar, and it could only be all of it.
    if given == (None, None, None) or (not shape and None not in given and not spec.full_shape):
        return None
    if spec.full_name is None or spec.full_shape is None or spec.start is None:
        raise InvalidArgumentError(
            f"variable {spec.name!r}: a slice needs full_name, full_shape and start", key=spec.name
        )
    full_shape = check_shape("full_shape", spec.full_shape, spec.name)
    extents = slice_extents(spec.name, shape, full_shape, spec.start)
    start = tuple(begin for begin, _ in extents)
    ends = zip(start, shape, full_shape, strict=True)
    if any(begin + length > size for begin, length, size in ends):
        raise InvalidArgumentError(
            f"variable {spec.name!r}: a slice of shape {list(shape)} at {list(start)} lies "
            f"outside a tensor of shape {list(full_shape)}",
            key=spec.name,
        )
    return Slice(spec.full_name.encode("utf-8", "replace"), full_shape, start)


def _initial_value(variable: Variable) -> bytes:
    attrs = type_attr(b"dtype", variable.number) + zero_attr(variable.number, variable.shape)
    return node(variable.initial_value, b"Const", (), variable.device, attrs)


def _ref_nodes(variable: Variable) -> list[bytes]:
    name, device = variable.name, variable.device
    attrs = type_attr(b"dtype", variable.number) + shape_attr(b"shape", variable.shape)
    read = type_attr(b"T", variable.number) + variable.beside
    return [
        node(name, b"VariableV2", (), device, attrs),
        _initial_value(variable),
        assign_node(variable, variable.initializer, variable.initial_value),
        node(variable.read, b"Identity", (name,), device, read),
    ]


def _resource_nodes(variable: Variable) -> list[bytes]:
    name, device = variable.name, variable.device
    dtype = type_attr(b"dtype", variable.number)
    attrs = dtype + shape_attr(b"shape", variable.shape) + text_attr(b"shared_name", name)
    return [
        node(name, b"VarHandleOp", (), device, attrs),
        _initial_value(variable),
        assign_node(variable, variable.initializer, variable.initial_value),
        node(variable.read, b"ReadVariableOp", (name,), device, dtype),
    ]


def _slice_info(part: Slice, shape: tuple[int, ...]) -> bytes:
    return (
        field(1, part.full_name)
        + numbers(2, part.full_shape)
        + numbers(3, part.start)
        + numbers(4, shape)
    )
