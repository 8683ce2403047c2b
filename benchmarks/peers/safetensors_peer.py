"""safetensors: another format, which stores no checksum, so its loads verify nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from measure import Contender, PeerFactory, Unavailable

PEER = "safetensors"


def load_module() -> Any:
    """Import safetensors' NumPy face."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise Unavailable("safetensors is not installed (dependency group bench)") from error
    return safetensors.numpy


def save(path: str, tensors: dict[str, Any]) -> None:
    """Write a file."""
    load_module().save_file(tensors, path)


def by(make: Callable[[str], Contender], dataset: str = "checkpoint") -> PeerFactory:
    """Return the factory of one of this peer's ways to read a dataset."""
    return PeerFactory(PEER, lambda inputs: make(inputs[dataset]))


def load_all(path: str) -> Contender:
    """Load everything into fresh arrays."""
    module = load_module()
    return Contender(
        "safetensors load_file",
        lambda _: module.load_file(path),
        peer=PEER,
        note="verifies nothing",
    )
