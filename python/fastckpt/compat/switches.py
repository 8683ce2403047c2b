"""Settings of TensorFlow that change nothing here, so that programs may set them."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastckpt.compat import modes
from fastckpt.compat.names import VERSION

__all__ = [
    "COMPILER_VERSION",
    "GIT_VERSION",
    "VERSION",
    "Options",
    "PhysicalDevice",
    "TensorSpec",
    "executing_eagerly",
    "function",
    "list_physical_devices",
    "never",
    "nothing",
]

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


class TensorSpec(NamedTuple):
    """What a function expects."""

    shape: Any
    dtype: Any = "float32"
    name: str | None = None


def function(func: Any = None, **_: Any) -> Any:
    """Give the function itself: nothing is traced, and what computes in it says so when called."""
    return (lambda x: x) if func is None else func


def never(*_: Any, **__: Any) -> bool:
    """Say no: ``tf.test.is_gpu_available`` and its kin."""
    return False


class PhysicalDevice(NamedTuple):
    """A device by its name and type."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """List the devices: there is one CPU, and nothing computes on it."""
    found = [PhysicalDevice("/physical_device:CPU:0", "CPU")]
    return [x for x in found if device_type in (None, x.device_type)]


def executing_eagerly() -> bool:
    """Say whether variables have values without a session, as far as the program has told."""
    return not modes.in_graph()


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Encode text."""
    return bytes_or_text.encode(encoding) if isinstance(bytes_or_text, str) else bytes_or_text


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Decode bytes."""
    return bytes_or_text.decode(encoding) if isinstance(bytes_or_text, bytes) else bytes_or_text
