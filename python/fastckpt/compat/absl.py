"""``tf.app`` and ``tf.flags``: in TensorFlow they are absl's, and here too."""

from __future__ import annotations

from types import ModuleType

from fastckpt.compat.namespace import MissingError

__all__: list[str] = []


def __getattr__(name: str) -> ModuleType:
    if name not in ("app", "flags"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import absl.app
        import absl.flags
    except ImportError:
        raise MissingError(
            f'tf.{name} is the package absl-py; install it: pip install "tf-fastckpt[compat]"'
        ) from None
    if name == "flags":
        return absl.flags
    return absl.app
