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


SUMMED = "safetensors load_file, summed up"
COPIED = "safetensors load_file, copied"


def safetensors_summed(path: str) -> Contender:
    """Load with safetensors, which maps the file, and read every byte once."""
    load_module()
    from safetensors.torch import load_file

    def run(_: None) -> Any:
        tensors = load_file(path)
        return tensors, [tensor.sum() for tensor in tensors.values()]

    return Contender(SUMMED, run, peer="safetensors", note="verifies nothing")


def safetensors_copied(path: str) -> Contender:
    """Load with safetensors, and copy every tensor to memory of its own."""
    load_module()
    from safetensors.torch import load_file

    def run(_: None) -> Any:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}

    return Contender(COPIED, run, peer="safetensors", note="verifies nothing")
