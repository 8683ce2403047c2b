"""P14: how the time grows with the number of tensors, and with the bytes of 16 tensors.

One question for each kind of work; its contenders are the sizes. A target compares a size with the
one before it: the bound is the factor between them, with the allowance of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import fastckpt
from data import MIB, Dataset
from measure import Contender, Inputs, Question, Settings, Target, case
from scratch import SCRATCH, Scratch, tensors, writer

DECADES = 4
TENSOR_ALLOWANCE, BYTE_ALLOWANCE = 1.3, 1.15
BYTE_STEP = 8
BYTES_PER_TENSOR = 512
# Sizes that pass no time to speak of measure the call, which does not grow.
SMALLEST_JUDGED = 64 * MIB
ROUNDS = 5

Kind = Literal["equal", "small"]


def open_only(prefix: str) -> None:
    """Open and close."""
    fastckpt.open(prefix).close()


def open_and_list(prefix: str) -> list[str]:
    """Open, list the names, close."""
    with fastckpt.open(prefix) as checkpoint:
        return list(checkpoint)


READS: dict[str, Callable[[str], Any]] = {
    "open": open_only,
    "open + names": open_and_list,
    "load": fastckpt.load,
}


def label(kind: Kind, size: int) -> str:
    """Return the name of a size."""
    return f"{size} tensors" if kind == "small" else f"{size // MIB} MiB"


def read(inputs: Inputs, kind: Kind, size: int, work: str) -> Contender:
    """Read a checkpoint of one size."""
    name, way = label(kind, size), READS[work]
    prefix = inputs[name]
    return Contender(name, lambda _: way(prefix))


def save(inputs: Inputs, kind: Kind, size: int) -> Contender:
    """Save a checkpoint of one size."""
    nbytes = size if kind == "equal" else size * BYTES_PER_TENSOR
    scratch, arrays = Scratch.of(inputs, nbytes), tensors(kind, size)
    path = scratch.path("model")
    return writer(
        label(kind, size),
        scratch,
        lambda: fastckpt.save(path, arrays, num_shards=1, sync=False),
        "fastckpt",
    )


def growth_targets(kind: Kind, sizes: list[int]) -> list[Target]:
    """Compare each size with the one before it."""
    targets = []
    for small, large in pairwise(sizes):
        bound = large / small * (TENSOR_ALLOWANCE if kind == "small" else BYTE_ALLOWANCE)
        judged = kind == "small" or small >= SMALLEST_JUDGED
        names = label(kind, large), label(kind, small)
        targets.append(Target(*names, "fraction", round(bound, 2) if judged else None))
    return targets


def questions_of(settings: Settings, kind: Kind, sizes: list[int]) -> Iterator[Question]:
    """Ask for each kind of work."""
    storage = next(iter(settings.storage))
    checkpoints = {label(kind, size): Dataset(kind, storage, size) for size in sizes}
    thing = "tensors" if kind == "small" else "bytes"
    works = READS if kind == "small" else {"load": READS["load"]}
    repeat = min(settings.repeat, ROUNDS)
    for work in works:
        yield Question(
            f"{work}, by {thing}",
            [partial(read, kind=kind, size=size, work=work) for size in sizes],
            growth_targets(kind, sizes),
            checkpoints,
            unit="runs",
            repeat=repeat,
        )
    yield Question(
        f"save, by {thing}",
        [partial(save, kind=kind, size=size) for size in sizes],
        growth_targets(kind, sizes),
        {SCRATCH: Dataset("empty", storage)},
        unit="runs",
        repeat=repeat,
    )


def byte_sizes(limit: int) -> list[int]:
    """Return sizes from 1 MiB to the limit, which is the last."""
    sizes = []
    size = MIB
    while size < limit:
        sizes.append(size)
        size *= BYTE_STEP
    return [*sizes, limit]


@case("P14", "growth")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask up to ten times as many tensors as elsewhere, and up to as many bytes."""
    most = settings.tensors * 10
    counts = [max(1, most // 10**power) for power in range(DECADES - 1, -1, -1)]
    yield from questions_of(settings, "small", sorted(set(counts)))
    yield from questions_of(settings, "equal", byte_sizes(settings.nbytes))
