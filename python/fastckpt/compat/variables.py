"""Variables of a graph: ``tf.Variable``, ``tf.get_variable`` and their scopes."""

# ruff: noqa: FBT001, FBT002 - TensorFlow's signatures

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.compat.dtypes import as_dtype
from fastckpt.compat.graph_mode import GraphKeys, Node, get_default_graph
from fastckpt.errors import FailedPreconditionError, InvalidArgumentError
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.training.variables import Target
from fastckpt.training.variables.arrays import ArrayTarget
from fastckpt.training.variables.variable import initial_array

__all__ = [
    "AUTO_REUSE",
    "Variable",
    "VariableScope",
    "get_variable",
    "get_variable_scope",
    "variable_scope",
]

_SCOPE = "(variable scope)"
_STORE = "(variable store)"


class _AutoReuse:
    def __repr__(self) -> str:
        return "AUTO_REUSE"


AUTO_REUSE = _AutoReuse()


class UninitializedError(FailedPreconditionError):
    """A variable that has no value yet."""


class Variable(Node):
    """A named array with an initial value; its value is the same in all sessions.

    Parameters
    ----------
    initial_value : array-like, Node or callable
        What its initializer sets.
    trainable, collections, name, dtype, shape
        As of ``tf.Variable``.
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = True,
        collections: Iterable[str] | None = None,
        validate_shape: bool = True,  # noqa: ARG002
        caching_device: Any = None,  # noqa: ARG002
        name: str | None = None,
        variable_def: Any = None,  # noqa: ARG002
        dtype: Any = None,
        *,
        shape: Any = None,  # noqa: ARG002 - that of the initial value
        **_: Any,
    ) -> None:
        if initial_value is None:
            raise InvalidArgumentError("initial_value must be specified.")
        super().__init__(get_default_graph(), "VariableV2", name or "Variable")
        self.trainable = bool(trainable) or trainable is None
        self._fill(_initial(initial_value, dtype), dtype)
        keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else list(collections)
        if self.trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys.append(GraphKeys.TRAINABLE_VARIABLES)
        self.graph.add_to_collections(keys, self)

    def _fill(self, initial: NDArray[Any], dtype: Any) -> None:
        self._initial = initial
        number = dtypes.number_of(initial.dtype) if dtype is None else int(as_dtype(dtype))
        self.dtype = dtypes.DType(number)
        # Savers restore into it.
        self.storage = np.empty(initial.shape, initial.dtype)
        self.is_initialized = False

    @property
    def shape(self) -> TensorShape:
        """The shape."""
        return TensorShape(self.storage.shape)

    def get_shape(self) -> TensorShape:
        """Give the shape."""
        return self.shape

    @property
    def initializer(self) -> Node:
        """What sets the initial value."""
        return Action(self.graph, "Assign", self.initialize, f"{self.op.name}/Assign")

    def initialize(self, *_: Any) -> None:
        """Set the initial value."""
        self.load(self._initial)

    def initialized_value(self) -> Variable:
        """Give the variable: its value is the same wherever it is read."""
        return self

    def load(self, value: Any, session: Any = None) -> None:  # noqa: ARG002
        """Set the value."""
        array = np.asarray(value)
        if array.shape != self.storage.shape:
            raise InvalidArgumentError(
                f"variable {self.op.name!r} has shape {list(self.storage.shape)}, and the value "
                f"{list(array.shape)}",
                key=self.op.name,
            )
        self.storage[...] = array
        self.is_initialized = True

    def numpy(self) -> NDArray[Any]:
        """Copy the value."""
        return self.value_now().copy()

    def value_now(self) -> NDArray[Any]:
        """Give the value itself.

        Raises
        ------
        UninitializedError
            It has none yet.
        """
        if not self.is_initialized:
            raise UninitializedError(
                f"Attempting to use uninitialized value {self.op.name}; run "
                "tf.global_variables_initializer() or restore a checkpoint first",
                key=self.op.name,
            )
        return self.storage

    def read_value(self) -> Variable:
        """Give the variable, whose value a session reads."""
        return self

    value = read_value

    def assign(self, value: Any, use_locking: bool = False, name: Any = None) -> Node:  # noqa: ARG002
        """Give what sets the value."""
        return Action(self.graph, "Assign", lambda s, f: self._assign(valued(value, s, f)), name)

    def assign_add(self, delta: Any, use_locking: bool = False, name: Any = None) -> Node:  # noqa: ARG002
        """Give what adds to the value."""
        return Action(
            self.graph,
            "AssignAdd",
            lambda s, f: self._assign(self.value_now() + valued(delta, s, f)),
            name,
        )

    def evaluate(self, session: Any, feeds: dict[Node, Any]) -> Any:  # noqa: ARG002
        """Copy the value, as a session does."""
        value = self.value_now().copy()
        return value if value.ndim else value[()]

    def __fastckpt_targets__(self) -> list[Target]:
        """What a Saver saves and restores into."""
        return [
            ArrayTarget(
                self.storage, name=self.op.name, trainable=self.trainable, identity=id(self)
            )
        ]

    def _assign(self, value: Any) -> Any:
        self.load(value)
        return self.value_now().copy()

    def __repr__(self) -> str:
        return f"<tf.Variable {self.name!r} shape={self.shape} dtype={self.dtype.name}>"


class Action(Node):
    """An operation that a function carries out."""

    def __init__(
        self, graph: Any, kind: str, function: Callable[..., Any], name: str | None = None
    ) -> None:
        super().__init__(graph, kind, name)
        self._function = function

    def evaluate(self, session: Any, feeds: dict[Node, Any]) -> Any:
        """Carry it out."""
        return self._function(session, feeds)


def valued(value: Any, session: Any, feeds: dict[Node, Any]) -> Any:
    """Give the value of a node, or the value itself."""
    if not isinstance(value, Node):
        return value
    return feeds[value] if value in feeds else value.evaluate(session, feeds)


class VariableScope:
    """Where ``tf.get_variable`` looks."""

    def __init__(self, name: str, reuse: Any = False, initializer: Any = None) -> None:
        self.name = name
        self.original_name_scope = f"{name}/" if name else ""
        self.reuse = reuse
        self.initializer = initializer

    def reuse_variables(self) -> None:
        """Find variables from now on, and make none."""
        self.reuse = True


def get_variable_scope() -> VariableScope:
    """Give the current scope of the default graph."""
    held = get_default_graph().get_collection_ref(_SCOPE)
    if not held:
        held.append(VariableScope(""))
    scope: VariableScope = held[-1]
    return scope


@contextlib.contextmanager
def variable_scope(
    name_or_scope: Any = None,
    default_name: str | None = None,
    values: Any = None,  # noqa: ARG001
    initializer: Any = None,
    reuse: Any = None,
    **_: Any,
) -> Iterator[VariableScope]:
    """Put a name in front of variables that ``tf.get_variable`` makes or finds meanwhile."""
    outer = get_variable_scope()
    if isinstance(name_or_scope, VariableScope):
        name = name_or_scope.name
    else:
        name = name_or_scope or default_name or ""
        name = f"{outer.name}/{name}" if outer.name and name else name or outer.name
    scope = VariableScope(
        name, outer.reuse if reuse is None else reuse, initializer or outer.initializer
    )
    held = get_default_graph().get_collection_ref(_SCOPE)
    held.append(scope)
    try:
        with get_default_graph().name_scope(f"{name}/" if name else None):
            yield scope
    finally:
        held.remove(scope)


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,  # noqa: ARG001
    trainable: bool | None = None,
    collections: Iterable[str] | None = None,
    **_: Any,
) -> Variable:
    """Find a variable by its full name, or make it, as the scope says.

    Raises
    ------
    InvalidArgumentError
        It exists and the scope does not reuse, or the other way round; a ValueError.
    """
    scope = get_variable_scope()
    full = f"{scope.name}/{name}" if scope.name else name
    store = get_default_graph().get_collection_ref(_STORE)
    known = {x.op.name: x for x in store}
    if full in known:
        if not scope.reuse:
            raise InvalidArgumentError(
                f"Variable {full} already exists, disallowed. Did you mean to set reuse=True or "
                "reuse=tf.AUTO_REUSE in VarScope?"
            )
        found: Variable = known[full]
        return found
    if scope.reuse is True:
        raise InvalidArgumentError(
            f"Variable {full} does not exist, or was not created with tf.get_variable(). Did you "
            "mean to set reuse=tf.AUTO_REUSE in VarScope?"
        )
    value = _made(scope.initializer if initializer is None else initializer, full, shape, dtype)
    with get_default_graph().name_scope(None):
        made = Variable(value, trainable, collections, name=full, dtype=dtype)
    store.append(made)
    return made


def _made(initializer: Any, name: str, shape: Any, dtype: Any) -> Any:
    if initializer is not None and not callable(initializer):
        return initializer
    if shape is None:
        raise InvalidArgumentError(
            f"Shape of a new variable ({name}) must be fully defined, but instead was <unknown>."
        )
    sizes = TensorShape(shape).as_list()
    wanted = as_dtype(np.float32 if dtype is None else dtype)
    if initializer is not None:
        make = initializer() if isinstance(initializer, type) else initializer
        return make(sizes, dtype=wanted)
    # TensorFlow draws random numbers; whoever saves without setting a value learns nothing here.
    return np.zeros(sizes, dtypes.numpy_dtype(int(wanted)))


def _initial(value: Any, dtype: Any) -> NDArray[Any]:
    if isinstance(value, Node):
        value = value.evaluate(None, {})
    elif callable(value):
        return _initial(value(), dtype)
    return initial_array(value, dtype)
