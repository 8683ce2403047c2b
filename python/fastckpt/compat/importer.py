"""``import tensorflow`` made to mean this namespace, for one process."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from fastckpt.compat import names
from fastckpt.compat.namespace import Namespace, namespace
from fastckpt.errors import InvalidArgumentError

__all__ = ["install", "uninstall"]

_TOP = "tensorflow"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``tensorflow`` and what is below it before anything else does."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim ``tensorflow`` and everything below it."""
        top, _, below = fullname.partition(".")
        if top != _TOP:
            return None
        if below and not names.is_namespace(below):
            # Without the module's name: `from tensorflow.a import b` would drop the advice for a
            # sentence of its own.
            raise ModuleNotFoundError(
                f"{fullname} is not part of fastckpt.compat: {names.advice(below)}"
            )
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Give the one namespace of the path."""
        # A module of its own in any case: the import system writes into what it gets.
        return namespace(spec.name.partition(".")[2])

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do: names are looked up when they are used."""


_finder = _Finder()


def install(*, shadow: bool = False) -> None:
    """Let ``import tensorflow`` give this namespace in this process.

    Parameters
    ----------
    shadow : bool
        Do so even where TensorFlow is installed; without, that is an error.

    Raises
    ------
    InvalidArgumentError
        TensorFlow is installed and `shadow` is False, or it has been imported already.
    """
    if _finder in sys.meta_path:
        return
    if isinstance(sys.modules.get(_TOP), ModuleType):
        raise InvalidArgumentError(
            "tensorflow has been imported in this process already; install() comes before that"
        )
    if not shadow and importlib.util.find_spec(_TOP) is not None:
        raise InvalidArgumentError(
            "TensorFlow is installed here and would be hidden; pass shadow=True if that is meant"
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Take back what :func:`install` did; modules that were handed out stay with their users."""
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _TOP and isinstance(module, Namespace):
            del sys.modules[name]
