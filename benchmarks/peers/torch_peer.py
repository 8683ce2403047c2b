"""PyTorch's own file: a zip file without compression, with a CRC-32 for each tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from measure import Contender, PeerFactory, Unavailable

PEER = "torch"


def load_module() -> Any:
    """Import PyTorch."""
    try:
        import torch
    except ImportError as error:
        raise Unavailable("PyTorch is not installed") from error
    return torch


def prepared_save(path: str, tensors: dict[str, Any]) -> Callable[[], Any]:
    """Return a call that saves tensors which share the arrays' memory."""
    torch = load_module()
    shared = {name: torch.from_numpy(array) for name, array in tensors.items()}
    return lambda: torch.save(shared, path)


def by(make: Callable[..., Contender]) -> PeerFactory:
    """Return the factory of one of this peer's ways to write."""
    return PeerFactory(PEER, make)
