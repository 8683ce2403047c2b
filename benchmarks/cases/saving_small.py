"""P7: saving many small tensors, their names in order or shuffled; nobody syncs.

TensorFlow's SaveV2 of tensors that it already holds, twice: its first call, for which every sample
is a new process, and a later one, which finds the kernel for that many inputs prepared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import child
import fastckpt
from data import Dataset
from measure import Contender, Factory, Inputs, PeerFactory, Question, Settings, Target, case
from peers import tensorflow_peer
from scratch import SCRATCH, Scratch, Tensors, tensors, writer

SECONDS_PER_TENSOR = {"sorted": 0.4e-6, "shuffled": 1.2e-6}
FIRST_SPEEDUP, WARM_SPEEDUP = 150.0, 10.0
FIRST, WARM = "TF SaveV2, first call", "TF SaveV2, warm"
FIRST_ROUNDS = 3  # each starts TensorFlow and gives it every tensor
SEED = 4
BYTES_PER_TENSOR = 512  # of data and index, more than enough


@cache
def ordered(count: int, order: str) -> Tensors:
    """Return the tensors with their names in that order."""
    arrays = tensors("small", count)
    return arrays if order == "sorted" else child.shuffled(arrays, SEED)


def ours(inputs: Inputs, count: int, order: str) -> Contender:
    """Save with this library."""
    scratch, arrays = Scratch.of(inputs, count * BYTES_PER_TENSOR), ordered(count, order)
    path = scratch.path("model")
    return writer("save", scratch, lambda: fastckpt.save(path, arrays, sync=False), "fastckpt")


def warm(inputs: Inputs, count: int, order: str) -> Contender:
    """Save with TensorFlow, again and again."""
    scratch = Scratch.of(inputs, count * BYTES_PER_TENSOR)
    call = tensorflow_peer.prepared_save(scratch.path("model"), ordered(count, order))
    return writer(WARM, scratch, call, tensorflow_peer.PEER, "tensors and names exist before")


def first(inputs: Inputs, count: int, order: str) -> Contender:
    """Save with TensorFlow once in a process."""
    tensorflow_peer.require()
    scratch = Scratch.of(inputs, count * BYTES_PER_TENSOR)
    options: dict[str, Any] = {
        "path": scratch.path("model"), "kind": "small", "size": count,
        "seed": None if order == "sorted" else SEED,
    }  # fmt: skip
    return Contender(
        FIRST,
        lambda _: child.run("tensorflow save", options).seconds,
        scratch.prepare,
        tensorflow_peer.PEER,
        "tensors and names exist before",
        own_clock=True,
    )


def check(inputs: Inputs, count: int, order: str) -> None:
    """What is saved has all names and the right values."""
    scratch, expected = Scratch.of(inputs, count * BYTES_PER_TENSOR), ordered(count, order)
    scratch.prepare()
    path = fastckpt.save(scratch.path("model"), expected, sync=False)
    loaded = fastckpt.load(path)
    assert loaded.keys() == expected.keys()
    assert all((loaded[name] == array).all() for name, array in expected.items())


@case("P7", "save many small tensors")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask on the first kind of storage, for each order of names."""
    count = settings.tensors
    needs = {SCRATCH: Dataset("empty", next(iter(settings.storage)))}
    for order, bound in SECONDS_PER_TENSOR.items():
        own: Factory = partial(ours, count=count, order=order)
        rivals = {
            WARM: (warm, WARM_SPEEDUP, settings.repeat),
            FIRST: (first, FIRST_SPEEDUP, min(settings.repeat, FIRST_ROUNDS)),
        }
        for name, (make, speedup, repeat) in rivals.items():
            peer = PeerFactory(tensorflow_peer.PEER, partial(make, count=count, order=order))
            absolute = [Target("save", kind="seconds", bound=bound * count)]
            yield Question(
                f"save {count} small tensors, names {order}, beside {name}",
                [peer, own],
                [
                    Target("save", name, bound=speedup if order == "sorted" else None),
                    *(absolute if name == WARM else []),
                ],
                needs,
                work=count,
                unit="tensors",
                repeat=repeat,
                warm_up=0 if settings.smoke else 1,
                check=partial(check, count=count, order=order) if name == WARM else None,
            )
