"""``tf.get_variable`` and the scopes in which it looks."""

# ruff: noqa: FBT001, FBT002 - TensorFlow's signatures

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastckpt import dtypes
from fastckpt.compat.dtypes import as_dtype
from fastckpt.compat.graph_mode import get_default_graph
from fastckpt.compat.variables import Variable
from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.tensor_types import TensorShape

__all__ = [
    "AUTO_REUSE",
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
