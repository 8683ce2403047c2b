"""The few operations that programs around checkpoints use: no arithmetic is among them."""

# ruff: noqa: ARG001, ARG002 - TensorFlow's signatures

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.compat.dtypes import as_dtype
from fastckpt.compat.graph_mode import GraphKeys, Node, get_collection, get_default_graph
from fastckpt.compat.variables import Action, Variable, get_variable, valued
from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.training.variables.variable import initial_array

__all__ = [
    "assign",
    "assign_add",
    "constant",
    "constant_initializer",
    "control_dependencies",
    "convert_to_tensor",
    "device",
    "get_global_step",
    "get_or_create_global_step",
    "global_variables",
    "global_variables_initializer",
    "group",
    "identity",
    "local_variables",
    "local_variables_initializer",
    "name_scope",
    "no_op",
    "ones_initializer",
    "placeholder",
    "trainable_variables",
    "variables_initializer",
    "zeros_initializer",
]


class Placeholder(Node):
    """A value that a session is given."""

    def __init__(self, dtype: Any, shape: Any = None, name: str | None = None) -> None:
        super().__init__(get_default_graph(), "Placeholder", name)
        self.dtype = as_dtype(dtype)
        self.shape = TensorShape(shape)

    def get_shape(self) -> TensorShape:
        """Give the shape."""
        return self.shape

    def evaluate(self, session: Any, feeds: dict[Node, Any]) -> Any:
        """Give what was fed."""
        if self not in feeds:
            raise InvalidArgumentError(
                f"You must feed a value for placeholder tensor {self.op.name!r} with dtype "
                f"{self.dtype.name}",
                key=self.op.name,
            )
        return np.asarray(feeds[self])


class Constant(Node):
    """A value that never changes."""

    def __init__(self, value: Any, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(get_default_graph(), "Const", name)
        self._value = initial_array(value, dtype)
        self.dtype = dtypes.DType(dtypes.number_of(self._value.dtype))
        self.shape = TensorShape(self._value.shape)

    def get_shape(self) -> TensorShape:
        """Give the shape."""
        return self.shape

    def numpy(self) -> NDArray[Any]:
        """Copy the value."""
        return self._value.copy()

    def evaluate(self, session: Any, feeds: dict[Node, Any]) -> Any:
        """Copy the value."""
        value = self._value.copy()
        return value if value.ndim else value[()]


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Placeholder:
    """Make a node whose value is fed."""
    return Placeholder(dtype, shape, name)


def constant(
    value: Any, dtype: Any = None, shape: Any = None, name: str | None = "Const"
) -> Constant:
    """Make a node of a value, which a shape may spread."""
    array = initial_array(value, dtype)
    if shape is not None:
        array = spread(array, shape)
    return Constant(array, dtype, name)


def spread(array: NDArray[Any], shape: Any) -> NDArray[Any]:
    """Bring a single value, or as many as the shape has, into a shape."""
    sizes = [-1 if size is None else size for size in TensorShape(shape).as_list()]
    return array.reshape(sizes) if array.size > 1 else np.full(sizes, array)


def convert_to_tensor(value: Any, dtype: Any = None, name: str | None = None) -> Node:
    """Make a node of a value; nodes stay what they are."""
    return value if isinstance(value, Node) else Constant(value, dtype, name)


def identity(input: Any, name: str | None = None) -> Node:  # noqa: A002
    """Make a node with the value of another."""
    node = convert_to_tensor(input)
    return Action(node.graph, "Identity", lambda s, f: valued(node, s, f), name)


def assign(
    ref: Variable,
    value: Any,
    validate_shape: Any = None,
    use_locking: Any = None,
    name: str | None = None,
) -> Node:
    """Make what sets a variable."""
    return ref.assign(value, name=name)


def assign_add(
    ref: Variable, value: Any, use_locking: Any = None, name: str | None = None
) -> Node:
    """Make what adds to a variable."""
    return ref.assign_add(value, name=name)


def group(*inputs: Any, name: str | None = None, **_: Any) -> Node:
    """Make what runs several, in their order."""

    def run(session: Any, feeds: dict[Node, Any]) -> None:
        for node in inputs:
            valued(node, session, feeds)

    return Action(get_default_graph(), "NoOp", run, name or "group_deps")


def no_op(name: str | None = None) -> Node:
    """Make what does nothing."""
    return group(name=name or "NoOp")


# --- variables ---------------------------------------------------------------------------------


def global_variables(scope: str | None = None) -> list[Any]:
    """Variables of the default graph."""
    return get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """Variables of the default graph that an optimizer changes."""
    return get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Any]:
    """Variables that are not saved."""
    return get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def variables_initializer(var_list: Any, name: str = "init") -> Node:
    """Make what gives variables their initial values."""
    variables = list(var_list)

    def run(session: Any, feeds: dict[Node, Any]) -> None:
        for variable in variables:
            variable.initialize()

    return Action(get_default_graph(), "NoOp", run, name)


def global_variables_initializer() -> Node:
    """Make what gives all variables their initial values."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Node:
    """Make what gives local variables their initial values."""
    return variables_initializer(local_variables())


def get_global_step(graph: Any = None) -> Any:
    """Find the global step; None where there is none."""
    found = (graph or get_default_graph()).get_collection(GraphKeys.GLOBAL_STEP)
    return found[0] if found else None


def get_or_create_global_step(graph: Any = None) -> Any:
    """Find the global step, or make it."""
    found = get_global_step(graph)
    if found is None:
        found = get_variable(
            "global_step", initializer=np.zeros((), np.int64), dtype="int64", trainable=False
        )
        get_default_graph().add_to_collection(GraphKeys.GLOBAL_STEP, found)
    return found


# --- initializers --------------------------------------------------------------------------------


class _Filled:
    def __init__(self, value: Any, dtype: Any = None) -> None:
        self._value = value
        self._dtype = dtype

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> NDArray[Any]:
        number = int(as_dtype(dtype or self._dtype or np.float32))
        array = np.asarray(self._value).astype(dtypes.numpy_dtype(number))
        return spread(array, shape)


def zeros_initializer(dtype: Any = None) -> _Filled:
    """Make what fills with zeros."""
    return _Filled(0, dtype)


def ones_initializer(dtype: Any = None) -> _Filled:
    """Make what fills with ones."""
    return _Filled(1, dtype)


def constant_initializer(value: Any = 0, dtype: Any = None, **_: Any) -> _Filled:
    """Make what fills with a value, or with the values of an array."""
    return _Filled(value, dtype)


# --- scopes ---------------------------------------------------------------------------------


@contextlib.contextmanager
def name_scope(
    name: str | None = None, default_name: str | None = None, values: Any = None
) -> Iterator[str]:
    """Put ``name/`` in front of names of the default graph."""
    with get_default_graph().name_scope(name or default_name) as scope:
        yield scope


@contextlib.contextmanager
def device(device_name_or_function: Any) -> Iterator[None]:
    """Accept a device."""
    yield


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Accept what comes before."""
    yield
