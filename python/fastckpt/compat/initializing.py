"""``tf.train.init_from_checkpoint`` for the variables of a graph: it sets initial values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import fastckpt
from fastckpt.compat.graph_mode import GraphKeys, get_default_graph
from fastckpt.compat.variables import Variable
from fastckpt.errors import InvalidArgumentError
from fastckpt.training.variables import Target
from fastckpt.training.variables.arrays import ArrayTarget

__all__ = ["init_from_checkpoint"]


class _Initial:
    """What an initializer will set."""

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.array = np.empty_like(variable.storage)

    def __fastckpt_targets__(self) -> list[Target]:
        return [ArrayTarget(self.array, name=self.variable.op.name)]


def init_from_checkpoint(ckpt_dir_or_file: Any, assignment_map: Any) -> None:
    """Let the initializers of variables set the values of a checkpoint.

    Parameters
    ----------
    ckpt_dir_or_file : str or PathLike
        As of :func:`fastckpt.load_checkpoint`.
    assignment_map : Mapping or iterable of pairs
        From names in the checkpoint to variables or their names, from scopes to scopes; see
        :func:`fastckpt.init_from_checkpoint`.
    """
    items = assignment_map.items() if isinstance(assignment_map, Mapping) else assignment_map
    pairs = [pair for key, value in items for pair in _spelled(key, value)]
    fastckpt.init_from_checkpoint(ckpt_dir_or_file, pairs)
    for _, initial in pairs:
        if isinstance(initial, _Initial):
            initial.variable.start_from(initial.array)


def _spelled(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Give each name in the checkpoint with what it initialises."""
    if isinstance(value, Variable):
        yield key, _Initial(value)
        return
    if not isinstance(value, str):
        yield key, value  # the library knows more kinds, or says what is wrong
        return
    variables = get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES)
    named = next((x for x in variables if x.op.name == value), None)
    if named is not None:
        yield key, _Initial(named)
        return
    scope = value.rpartition("/")[0]
    if not (str(key).endswith("/") and value.endswith("/")):
        raise InvalidArgumentError(
            f"Assignment map with scope only name {scope or value} should map to scope only "
            f"{key}. Should be 'scope/': 'other_scope/'. (No variable is called {value!r}.)"
        )
    start = f"{scope}/" if scope else ""
    for variable in variables:
        name = variable.op.name
        if name.startswith(start):
            inner = name.removeprefix(start)
            yield (inner if key == "/" else f"{key}{inner}"), _Initial(variable)
