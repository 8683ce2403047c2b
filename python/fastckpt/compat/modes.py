"""Whether variables have their values at once, or in a session.

A program says so late: ``v.assign(x)`` sets a variable in TensorFlow 2, and makes an operation in
TensorFlow 1. Until something tells which it is, what was asked for is kept: a value that is asked
for without a session has it done, in order, and a session drops it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

__all__ = [
    "decide_graph",
    "forget",
    "has_kept",
    "in_graph",
    "is_eager",
    "keep",
    "read_eagerly",
    "say_eager",
    "say_graph",
]


class _Mode(enum.Enum):
    OPEN = enum.auto()
    EAGER = enum.auto()
    GRAPH = enum.auto()


class _State:
    def __init__(self) -> None:
        self.mode = _Mode.OPEN
        self.is_said = False
        self.kept: list[Callable[[], Any]] = []


_state = _State()


def in_graph() -> bool:
    """Whether values are in a session: the program said so, made one, or is in a graph."""
    from fastckpt.compat.graph_mode import in_explicit_graph

    return _state.mode is _Mode.GRAPH or in_explicit_graph()


def is_eager() -> bool:
    """Whether values are known to be there at once."""
    return _state.mode is _Mode.EAGER and not in_graph()


def keep(action: Callable[[], Any]) -> None:
    """Keep what is to be done should values turn out to be there at once."""
    if _state.mode is _Mode.OPEN and not in_graph():
        _state.kept.append(action)


def has_kept() -> bool:
    """Whether anything waits for a decision."""
    return bool(_state.kept)


def read_eagerly() -> None:
    """Take note that a value is asked for without a session, and do what was kept."""
    if in_graph():
        return
    _state.mode = _Mode.EAGER
    kept, _state.kept = _state.kept, []
    for action in kept:
        action()


def decide_graph() -> None:
    """Take note of a session of the default graph."""
    if not in_graph():
        _state.mode = _Mode.GRAPH
    _state.kept.clear()


def say_graph(*_: Any, **__: Any) -> None:
    """``tf.disable_eager_execution()``, ``tf.disable_v2_behavior()``."""
    decide_graph()
    _state.is_said = True


def say_eager(*_: Any, **__: Any) -> None:
    """``tf.enable_eager_execution()``, ``tf.enable_v2_behavior()``."""
    read_eagerly()
    _state.is_said = True


def forget() -> None:
    """Leave it open again with a new default graph, unless the program said what it wants."""
    _state.kept.clear()
    if not _state.is_said:
        _state.mode = _Mode.OPEN
