"""The default collection: every ``fastckpt.Variable`` alive, and the names given so far."""

from __future__ import annotations

import re
import threading
import weakref
from typing import Any

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError

__all__ = ["add", "alive", "reset_default_collection", "unique_name"]

# What TensorFlow takes for the name of an operation, which a variable's name becomes in a .meta.
_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*\Z")

_lock = threading.Lock()
_variables: weakref.WeakSet[Any] = weakref.WeakSet()
_used: dict[str, int] = {}


def unique_name(name: object) -> str:
    """Give `name`, or where it was given before, `name` with ``_1``, ``_2`` … behind it.

    Names are told apart without regard to case, and stay used when their variable is gone, both as
    in a graph of TensorFlow: which number a variable gets depends on the order of creation alone,
    not on what was collected meanwhile.
    """
    if not isinstance(name, str):
        raise WrongTypeError(f"the name of a variable must be a str, not {name!r}")
    if not _NAME.match(name):
        hint = f"; did you mean {name[:-2]!r}?" if name.endswith(":0") else ""
        raise InvalidArgumentError(
            f"{name!r} is not a valid name of a variable: letters, digits and _ . / \\ > - can be "
            f"used, and the first must be a letter, a digit or a dot{hint}"
        )
    with _lock:
        return _first_unused(name)


def add(variable: Any) -> None:
    """Let a Saver without a `var_list` find this variable as long as it is alive."""
    with _lock:
        _variables.add(variable)


def alive() -> list[Any]:
    """Give the variables that are alive, sorted by name."""
    with _lock:
        return sorted(_variables, key=lambda x: x.name)


def reset_default_collection() -> None:
    """Forget all variables and all names, as ``tf.compat.v1.reset_default_graph`` does.

    Variables go on working, and Savers that have them go on saving them; a Saver that is made
    afterwards without a `var_list` does not find them.
    """
    with _lock:
        _variables.clear()
        _used.clear()


def _first_unused(name: str) -> str:
    count = _used.get(name.lower(), 0)
    _used[name.lower()] = count + 1
    if count == 0:
        return name
    found = f"{name}_{count}"
    while found.lower() in _used:
        count += 1
        found = f"{name}_{count}"
    _used[name.lower()] = count + 1
    _used[found.lower()] = 1
    return found
