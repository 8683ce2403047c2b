"""Modules that are made from a table of names, and say what to do about names they lack."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterable
from typing import Any

from fastckpt.compat import names
from fastckpt.errors import UnsupportedError
from fastckpt.names import near_names

__all__ = ["MissingError", "Namespace", "resolve"]


class MissingError(UnsupportedError, AttributeError):
    """A name of TensorFlow that this namespace does not have.

    It is an AttributeError, so that ``hasattr`` is False and ``getattr`` with a default works.
    """


class Namespace(types.ModuleType):
    """A module of TensorFlow, such as ``tf.train``, whose names are looked up when first used.

    Parameters
    ----------
    path : str
        Dotted path below ``tensorflow``, such as ``"compat.v1.train"``; empty for the top.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"tensorflow.{path}" if path else "tensorflow")
        self._path = path
        self.__path__: list[str] = []  # it may have submodules
        self.__all__ = _public(names.members(path))
        if not path or path in ("compat.v1", "compat.v2"):
            self.__version__ = names.VERSION

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = resolve(f"{self._path}.{name}" if self._path else name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted(names.members(self._path))

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} of fastckpt.compat>"


_namespaces: dict[str, Namespace] = {}


def namespace(path: str) -> Namespace:
    """Give the one module of a dotted path; it need not have any names."""
    if path not in _namespaces:
        # Of two threads that come here at once, both get the first one's.
        _namespaces.setdefault(path, Namespace(path))
    return _namespaces[path]


def resolve(path: str) -> Any:
    """Give what a dotted path below ``tensorflow`` means here.

    Raises
    ------
    MissingError
        There is no such name here.
    """
    target = names.find(path)
    if target is None:
        return _below(path)
    module, _, attribute = target.partition(":")
    if module == "message":
        from fastckpt import protos

        return protos.message_class(attribute)
    value: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        value = getattr(value, part)
    return value


def _below(path: str) -> Any:
    """Give a namespace, or a name of a whole module that stands in the table."""
    parent, _, name = path.rpartition(".")
    if parent and names.find(parent) is not None:
        owner = resolve(parent)
        if isinstance(owner, types.ModuleType | types.SimpleNamespace) and hasattr(owner, name):
            return getattr(owner, name)
    elif names.is_namespace(path):
        return namespace(path)
    raise _missing(path)


def _missing(path: str) -> MissingError:
    parent, _, name = path.rpartition(".")
    near = [f"tf.{parent}.{x}" if parent else f"tf.{x}" for x in _near(name, parent)]
    mean = f"did you mean {', '.join(near)}? " if near else ""
    return MissingError(
        f"tf.{path} is not part of fastckpt.compat: {mean}{names.advice(path)}", key=f"tf.{path}"
    )


def _near(name: str, parent: str) -> list[str]:
    return near_names(name, sorted(names.members(parent)))


def _public(members: Iterable[str]) -> list[str]:
    return sorted(x for x in members if not x.startswith("_"))
