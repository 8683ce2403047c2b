"""P1: verified zero-copy access to all tensors of a large checkpoint.

Three states of the shard: a *new* map (opening, touching everything once, closing), the same on a
file that TensorFlow wrote, and a *resident* map (page tables filled before). One sample visits
every tensor; "lazy" by indexing one name after the other, "eager" by verifying all at open.
TensorFlow copies each tensor, and its arrays are dropped at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import fastckpt
from data import Dataset, Writer, large_tensors, stored_bytes
from measure import Contender, Factory, Inputs, Question, Settings, Target, case
from peers import ceiling_peer, tensorflow_peer


def visit_all(prefix: str, threads: int, verify: Any) -> None:
    """Open, take a view of every tensor, close."""
    with fastckpt.open(prefix, num_threads=threads, verify=verify) as checkpoint:
        for name in checkpoint:
            checkpoint[name]


def new_map(inputs: Inputs, threads: int, verify: str) -> Contender:
    """Visit all tensors through a map of its own."""
    prefix = inputs["checkpoint"]
    return Contender(f"{verify}, T{threads}", lambda _: visit_all(prefix, threads, verify))


def resident(inputs: Inputs, threads: int) -> Contender:
    """Verify every tensor again and take its view, on a map that has been read before."""
    checkpoint = fastckpt.open(inputs["checkpoint"], num_threads=threads, verify="eager")
    names = list(checkpoint)

    def run(_: None) -> None:
        if not checkpoint.verify(names).ok:
            raise AssertionError("the checkpoint is damaged")
        for name in names:
            checkpoint[name]

    return Contender(f"verify + views, T{threads}", run)


def check(inputs: Inputs, nbytes: int) -> None:
    """Every view shows what was written, without a copy."""
    with fastckpt.open(inputs["checkpoint"]) as checkpoint:
        for name, expected in large_tensors(nbytes):
            view = checkpoint[name]
            np.testing.assert_array_equal(view, expected)
            assert not view.flags.owndata
            assert not view.flags.writeable


def new_map_question(settings: Settings, storage: str, writer: Writer) -> Question:
    """Ask for all tensors through a new map."""
    contenders: list[Factory] = [tensorflow_peer.by(tensorflow_peer.get_all_dropped)]
    targets = []
    ours_wrote = writer == "large calls"
    bound = {"disk": 8.0, "tmpfs": 5.0}[storage] if ours_wrote else None
    for threads in settings.threads:
        read = f"map and read, T{threads}"
        contenders.append(lambda inputs, t=threads: ceiling_peer.map_read(inputs["checkpoint"], t))
        for verify in ("lazy", "eager"):
            contenders.append(partial(new_map, threads=threads, verify=verify))
            ours, full = f"{verify}, T{threads}", threads == settings.most_threads
            targets.append(Target(ours, "TF get_tensor", bound=bound if full else None))
            targets.append(Target(ours, read, bound=0.95 if ours_wrote else None))
    dataset = Dataset("large", storage, settings.nbytes, writer)
    return Question(
        f"views, new map, {settings.storage[storage]}, file by {writer}",
        contenders,
        targets,
        {"checkpoint": dataset},
        work=stored_bytes(settings.nbytes),
        check=partial(check, nbytes=settings.nbytes) if ours_wrote else None,
    )


def resident_question(settings: Settings, storage: str) -> Question:
    """Ask for all tensors through a map that is resident."""
    contenders: list[Factory] = [tensorflow_peer.by(tensorflow_peer.get_all_resident)]
    targets = []
    for threads in settings.threads:
        ours, read = f"verify + views, T{threads}", f"read resident map, T{threads}"
        contenders.append(partial(resident, threads=threads))
        contenders.append(
            lambda inputs, t=threads: ceiling_peer.resident_read(inputs["checkpoint"], t)
        )
        full = threads == settings.most_threads
        targets.append(Target(ours, "TF get_tensor", bound=9.0 if full else None))
        targets.append(Target(ours, read, bound=0.95))
    return Question(
        f"views, resident map, {settings.storage[storage]}",
        contenders,
        targets,
        {"checkpoint": Dataset("large", storage, settings.nbytes)},
        work=stored_bytes(settings.nbytes),
    )


@case("P1", "verified zero-copy access to all tensors")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask for each storage and state of the map."""
    for storage in settings.storage:
        yield new_map_question(settings, storage, "large calls")
        yield resident_question(settings, storage)
        if storage == "disk":  # the pages of a tmpfs are alike, whoever writes them
            yield new_map_question(settings, storage, "tensorflow")
