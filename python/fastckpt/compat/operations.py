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
from fastckpt.compat.initializers import (
    ones_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    spread,
    truncated_normal_initializer,
    zeros_initializer,
)
from fastckpt.compat.scopes import get_variable
from fastckpt.compat.values import Valued
from fastckpt.compat.variables import Action, Variable, valued
from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.training.variables.variable import initial_array

__all__ = [
    "assign",
    "assign_add",
    "cast",
    "constant",
    "control_dependencies",
    "convert_to_tensor",
    "device",
    "get_global_step",
    "get_or_create_global_step",
    "global_step",
    "global_variables",
    "global_variables_initializer",
    "group",
    "identity",
    "local_variables",
    "local_variables_initializer",
    "name_scope",
    "no_op",
    "ones",
    "placeholder",
    "random_normal",
    "random_uniform",
    "report_uninitialized_variables",
    "trainable_variables",
    "truncated_normal",
    "variables_initializer",
    "zeros",
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


class Constant(Valued, Node):
    """A value that never changes."""

    def __init__(self, value: Any, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(get_default_graph(), "Const", name)
        self._value = initial_array(value, dtype)
        self.dtype = dtypes.DType(dtypes.number_of(self._value.dtype))
        self.shape = TensorShape(self._value.shape)

    def get_shape(self) -> TensorShape:
        """Give the shape."""
        return self.shape

    def value_eagerly(self) -> NDArray[Any]:
        """Give the value itself."""
        return self._value

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


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Constant:
    """Make a node of zeros."""
    return Constant(zeros_initializer()(shape, dtype), dtype, name or "zeros")


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Constant:
    """Make a node of ones."""
    return Constant(ones_initializer()(shape, dtype), dtype, name or "ones")


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


def random_normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
    name: str | None = None,
) -> Constant:
    """Make a node of random numbers, drawn once."""
    value = random_normal_initializer(mean, stddev, seed)(shape, dtype)
    return Constant(value, dtype, name or "random_normal")


def random_uniform(
    shape: Any,
    minval: float = 0,
    maxval: float = 1,
    dtype: Any = None,
    seed: Any = None,
    name: str | None = None,
) -> Constant:
    """Make a node of random numbers, drawn once."""
    value = random_uniform_initializer(minval, maxval, seed)(shape, dtype)
    return Constant(value, dtype, name or "random_uniform")


def truncated_normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
    name: str | None = None,
) -> Constant:
    """Make a node of random numbers, drawn once."""
    value = truncated_normal_initializer(mean, stddev, seed)(shape, dtype)
    return Constant(value, dtype, name or "truncated_normal")


def cast(x: Any, dtype: Any, name: str | None = None) -> Node:
    """Make a node of a value in another type."""
    number = int(as_dtype(dtype))
    wanted = dtypes.numpy_dtype(number)
    if not isinstance(x, Node) or isinstance(x, Constant):
        value = x.value_eagerly() if isinstance(x, Constant) else initial_array(x, None)
        return Constant(value.astype(wanted), dtype, name or "Cast")
    return Action(
        x.graph, "Cast", lambda s, f: np.asarray(valued(x, s, f)).astype(wanted)[()], name
    )


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


def report_uninitialized_variables(
    var_list: Any = None, name: str = "report_uninitialized_variables"
) -> Node:
    """Make what names the variables that have no value yet."""
    variables = list(global_variables() + local_variables() if var_list is None else var_list)

    def run(session: Any, feeds: dict[Node, Any]) -> NDArray[Any]:
        return np.array([x.op.name.encode() for x in variables if not x.has_value()], object)

    return Action(get_default_graph(), "BooleanMask", run, name)


def global_step(sess: Any, global_step_tensor: Any) -> int:
    """Give the global step in a session."""
    return int(sess.run(global_step_tensor))


def get_global_step(graph: Any = None) -> Any:
    """Find the global step; None where there is none."""
    graph = graph or get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    # A variable of that name is one, whoever made it.
    return found[0] if found else graph.nodes.get("global_step")


def get_or_create_global_step(graph: Any = None) -> Any:
    """Find the global step, or make it."""
    found = get_global_step(graph)
    if found is None:
        found = get_variable(
            "global_step", initializer=np.zeros((), np.int64), dtype="int64", trainable=False
        )
        get_default_graph().add_to_collection(GraphKeys.GLOBAL_STEP, found)
    return found


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
