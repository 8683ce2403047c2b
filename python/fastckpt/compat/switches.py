"""Settings of TensorFlow that change nothing here, so that programs may set them."""

from __future__ import annotations

from typing import Any

from fastckpt.compat.names import VERSION

__all__ = ["COMPILER_VERSION", "GIT_VERSION", "VERSION", "Options", "executing_eagerly", "nothing"]

GIT_VERSION = "unknown"
COMPILER_VERSION = "unknown"


class Options:
    """Options of a session: whatever is set is kept, and nothing comes of it."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = Options()
        setattr(self, name, value)
        return value


def nothing(*_: Any, **__: Any) -> None:
    """Do nothing: ``disable_v2_behavior``, ``enable_eager_execution`` and their kin."""


def executing_eagerly() -> bool:
    """Say whether variables have values without a session: they have not."""
    return False


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Encode text."""
    return bytes_or_text.encode(encoding) if isinstance(bytes_or_text, str) else bytes_or_text


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Decode bytes."""
    return bytes_or_text.decode(encoding) if isinstance(bytes_or_text, bytes) else bytes_or_text
