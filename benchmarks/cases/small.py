"""P4: one small tensor, verified, out of many.

Each sample opens anew (outside the clock), so that no checksum was compared before, and reads the
same names in every contender. The time of the Python loop is part of everybody's figure.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import fastckpt
from data import Dataset, small_tensors
from measure import Contender, Inputs, PeerFactory, Question, Settings, Target, case
from peers import tensorflow_peer

SAMPLE = {"file": 20_000, "random": 2_000}


@cache
def wanted(tensors: int, order: str) -> Sequence[str]:
    """Return the names to read; in the order of names, which is that of the file, or shuffled."""
    names = [name for name, _ in small_tensors(tensors)]
    count = min(SAMPLE[order], tensors)
    return names[:count] if order == "file" else random.Random(3).sample(names, count)


def views(inputs: Inputs, tensors: int, order: str) -> Contender:
    """Take a view by name."""
    prefix, names = inputs["checkpoint"], wanted(tensors, order)

    def run(checkpoint: Any) -> None:
        for name in names:
            checkpoint[name]

    return Contender("view", run, lambda: fastckpt.open(prefix))


def reads(inputs: Inputs, tensors: int, order: str) -> Contender:
    """Read an owned array through a handle."""
    prefix, names = inputs["checkpoint"], wanted(tensors, order)

    def run(checkpoint: Any) -> None:
        for name in names:
            checkpoint.tensor(name).read()

    return Contender("handle.read()", run, lambda: fastckpt.open(prefix))


def peer(tensors: int, order: str) -> PeerFactory:
    """Read with TensorFlow."""
    return tensorflow_peer.by(
        lambda prefix: tensorflow_peer.get_some(prefix, wanted(tensors, order))
    )


@case("P4", "one small tensor, verified")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask in file order and at random."""
    storage = next(iter(settings.storage))
    for order, bound in (("file", 0.25), ("random", 0.02)):
        yield Question(
            f"one of {settings.tensors} small tensors, {order} order",
            [
                peer(settings.tensors, order),
                partial(views, tensors=settings.tensors, order=order),
                partial(reads, tensors=settings.tensors, order=order),
            ],
            [
                Target("view", "TF get_tensor", "fraction", bound),
                Target("handle.read()", "TF get_tensor", "fraction"),
            ],
            {"checkpoint": Dataset("small", storage, settings.tensors)},
            work=min(SAMPLE[order], settings.tensors),
            unit="tensors",
        )
