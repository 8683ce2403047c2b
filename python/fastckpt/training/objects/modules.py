"""Objects that hold variables, without anything that computes: ``tf.Module``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastckpt.errors import InvalidArgumentError
from fastckpt.training.objects.tracking import Tracked

__all__ = ["Module"]

_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


class Module(Tracked):
    """An object whose attributes are saved with it: variables, modules, dicts and lists of them.

    Parameters
    ----------
    name : str, optional
        Its name; that of the class, with underscores, by default.

    Raises
    ------
    InvalidArgumentError
        No Python name; a ValueError.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = _with_underscores(type(self).__name__)
        if not _NAME.match(name):
            raise InvalidArgumentError(
                f"{name!r} is not a valid module name. Module names must be valid Python "
                "identifiers (e.g. a valid class name)."
            )
        self._name = name

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def variables(self) -> tuple[Any, ...]:
        """Variables of the module and of what it holds."""
        rules = self._rules
        return tuple(x for x in _flat(self) if rules.is_variable(x))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """Those that an optimizer is meant to change."""
        return tuple(x for x in self.variables if self._rules.target(x).trainable)

    @property
    def submodules(self) -> tuple[Module, ...]:
        """Modules that this one holds."""
        return tuple(x for x in _flat(self) if isinstance(x, Module))


def _flat(module: Module) -> list[Any]:
    """List what a module holds, once each, in TensorFlow's order.

    That is: the attributes by name, with what is in dicts, lists and tuples; then the same of each
    module among them.
    """
    found: list[Any] = []
    seen = {id(module)}
    waiting = [module]
    while waiting:
        held = vars(waiting.pop())
        below = []
        for name in sorted(held):
            for value in _leaves(held[name]):
                if id(value) not in seen:
                    seen.add(id(value))
                    found.append(value)
                    below += [value] if isinstance(value, Module) else []
        waiting += reversed(below)
    return found


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name in sorted(value, key=str):
            yield from _leaves(value[name])
    elif isinstance(value, list | tuple):
        for x in value:
            yield from _leaves(x)
    else:
        yield value


def _with_underscores(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
