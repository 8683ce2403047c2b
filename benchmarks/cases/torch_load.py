"""P15: verified loads into PyTorch tensors, beside safetensors, which verifies nothing.

Both give tensors over a private map of the file. safetensors has read nothing of it when it
returns; so every byte is read there once by summing up all tensors, on PyTorch's threads, while
our load has read every byte to verify it. *Copies*: tensors with memory of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import native
from data import Dataset, large_tensors, stored_bytes
from measure import Contender, Inputs, Question, Settings, Target, case
from peers import safetensors_peer, torch_peer

# Half of what the other cases read: copies of both stand in memory together.
SHARE = 2


def load_file(inputs: Inputs, threads: int, *, copy: bool) -> Contender:
    """Open, verify, and give tensors."""
    torch_peer.load_module()
    from fastckpt.torch import load_file

    prefix = inputs["checkpoint"]
    return Contender(
        f"torch.load_file{', copies' if copy else ''}, T{threads}",
        lambda _: load_file(prefix, copy=copy, num_threads=threads),
    )


def check(inputs: Inputs, nbytes: int) -> None:
    """Every tensor is what was written."""
    try:
        torch_peer.load_module()
    except torch_peer.Unavailable:
        return
    from fastckpt.torch import load_file

    for copy in (False, True):
        found: dict[str, Any] = load_file(inputs["checkpoint"], copy=copy)
        for name, expected in large_tensors(nbytes):
            np.testing.assert_array_equal(found[name].numpy(), expected)


@case("P15", "verified load into PyTorch tensors")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask for each storage."""
    nbytes = settings.nbytes // SHARE
    threads = settings.most_threads
    ours = f"torch.load_file, T{threads}"
    copies = f"torch.load_file, copies, T{threads}"
    for storage in settings.storage:
        yield Question(
            f"all bytes read once, {settings.storage[storage]}",
            [
                partial(load_file, threads=threads, copy=False),
                partial(load_file, threads=threads, copy=True),
                safetensors_peer.by(torch_peer.safetensors_summed, "safetensors"),
                safetensors_peer.by(torch_peer.safetensors_copied, "safetensors"),
            ],
            [
                Target(ours, torch_peer.SUMMED, bound=1.0),
                Target(copies, torch_peer.COPIED, bound=1.0),
            ],
            {
                "checkpoint": Dataset("large", storage, nbytes),
                "safetensors": Dataset("large", storage, nbytes, "safetensors"),
            },
            work=stored_bytes(nbytes),
            check=partial(check, nbytes=nbytes),
            before_sample=partial(native.claim_memory, stored_bytes(nbytes) * 9 // 8),
        )
