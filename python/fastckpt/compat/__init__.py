"""TensorFlow's names, without TensorFlow: for scripts that handle checkpoints and graphs.

>>> from fastckpt.compat import tf
>>> tf.train.list_variables("model.ckpt-1000")  # doctest: +SKIP
[('w', [3, 4])]

``python -m fastckpt.compat script.py`` runs a script whose ``import tensorflow as tf`` means this
namespace. What is not in it raises :class:`MissingError`, which names it and says what to use.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastckpt.compat import tf
    from fastckpt.compat.importer import install, uninstall
    from fastckpt.compat.namespace import MissingError

__all__ = ["MissingError", "install", "tf", "uninstall"]

_LAZY = {
    "MissingError": "fastckpt.compat.namespace",
    "install": "fastckpt.compat.importer",
    "uninstall": "fastckpt.compat.importer",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "tf":
            value: object = importlib.import_module("fastckpt.compat.tf")
        elif name in _LAZY:
            value = getattr(importlib.import_module(_LAZY[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
