"""Variables of a graph: ``tf.Variable``, and what changes them."""

# ruff: noqa: FBT001, FBT002 - TensorFlow's signatures

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.compat import modes
from fastckpt.compat.dtypes import as_dtype
from fastckpt.compat.graph_mode import GraphKeys, Node, get_default_graph
from fastckpt.compat.values import Valued
from fastckpt.errors import FailedPreconditionError, InvalidArgumentError
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.training.variables import Target
from fastckpt.training.variables.arrays import ArrayTarget
from fastckpt.training.variables.variable import initial_array

__all__ = ["Action", "Change", "Variable", "valued"]


class UninitializedError(FailedPreconditionError):
    """A variable that has no value yet."""


class Variable(Valued, Node):
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
        scope = self.graph.get_name_scope()
        self._given_name = f"{scope}/{name or 'Variable'}" if scope else name or "Variable"
        self._is_of_graph = modes.in_graph()
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

    def start_from(self, value: NDArray[Any]) -> None:
        """Let the initializer set another value."""
        self._initial = value

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

    @property
    def name(self) -> str:
        """The name, and ``":0"``."""
        return f"{self.shared_name if modes.is_eager() else self.op.name}:0"

    @property
    def shared_name(self) -> str:
        """The name in a graph; without one it is what was given, even if others have it too."""
        return self.op.name if self._is_of_graph or modes.in_graph() else self._given_name

    def value_eagerly(self) -> NDArray[Any]:
        """Give the value itself, as it is without a session."""
        modes.read_eagerly()
        return self.value_now()

    def value_now(self) -> NDArray[Any]:
        """Give the value itself.

        Raises
        ------
        UninitializedError
            It has none yet.
        """
        if not self.is_initialized and not self._is_of_graph and modes.is_eager():
            self.initialize()
        if not self.is_initialized:
            raise UninitializedError(
                f"Attempting to use uninitialized value {self.op.name}; run "
                "tf.global_variables_initializer() or restore a checkpoint first",
                key=self.op.name,
            )
        return self.storage

    def has_value(self) -> bool:
        """Whether there is a value."""
        return self.is_initialized

    def read_value(self) -> Variable:
        """Give the variable, whose value a session reads."""
        return self

    value = read_value

    def assign(
        self,
        value: Any,
        use_locking: bool = False,  # noqa: ARG002
        name: Any = None,
        read_value: bool = True,  # noqa: ARG002
    ) -> Node:
        """Set the value, or give what a session sets it with."""
        return self._change("Assign", lambda s, f: self._assign(valued(value, s, f)), name)

    def assign_add(
        self,
        delta: Any,
        use_locking: bool = False,  # noqa: ARG002
        name: Any = None,
        read_value: bool = True,  # noqa: ARG002
    ) -> Node:
        """Add to the value, or give what a session adds with."""
        return self._change(
            "AssignAdd", lambda s, f: self._assign(self.value_now() + valued(delta, s, f)), name
        )

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool = False,  # noqa: ARG002
        name: Any = None,
        read_value: bool = True,  # noqa: ARG002
    ) -> Node:
        """Subtract from the value, or give what a session subtracts with."""
        return self._change(
            "AssignSub", lambda s, f: self._assign(self.value_now() - valued(delta, s, f)), name
        )

    def _change(self, kind: str, function: Callable[..., Any], name: Any) -> Node:
        if modes.is_eager():
            function(None, {})
            return self
        change = Change(self, kind, function, name)
        modes.keep(lambda: function(None, {}))
        return change

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
        about = f"shape={self.shape} dtype={self.dtype.name}"
        if self._is_of_graph or modes.in_graph():
            return f"<tf.Variable {self.name!r} {about}>"
        if modes.has_kept():
            modes.read_eagerly()
        # To look is not to decide: a session may come yet.
        value = self.storage if self.is_initialized else self._initial
        text = repr(value if value.ndim else value.item())
        return f"<tf.Variable '{self._given_name}:0' {about}, numpy={text}>"

    __str__ = __repr__


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


class Change(Valued, Action):
    """A change of a variable; where there is no session, it is the variable that was changed."""

    def __init__(
        self, variable: Variable, kind: str, function: Callable[..., Any], name: str | None
    ) -> None:
        super().__init__(variable.graph, kind, function, name)
        self._variable = variable

    def value_eagerly(self) -> NDArray[Any]:
        """Give the value of the variable."""
        return self._variable.value_eagerly()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._variable, name)


def valued(value: Any, session: Any, feeds: dict[Node, Any]) -> Any:
    """Give the value of a node, or the value itself."""
    if not isinstance(value, Node):
        return value
    return feeds[value] if value in feeds else value.evaluate(session, feeds)


def _initial(value: Any, dtype: Any) -> NDArray[Any]:
    if isinstance(value, Node):
        value = value.evaluate(None, {})
    elif callable(value):
        return _initial(value(), dtype)
    return initial_array(value, dtype)
