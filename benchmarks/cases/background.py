"""P10: how long ``save_async`` blocks its caller, beside one memcpy of the data.

The memcpy has one thread and memory that was written to before. *Later*: the process has saved
before, and its snapshot's memory is there. *First*: every sample is a process of its own. The
writing that goes on behind is not timed, and complete before the next sample begins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import child
import fastckpt
import native
from data import Dataset, stored_bytes
from measure import CEILING, Contender, Inputs, Question, Settings, Target, case
from scratch import SCRATCH, Scratch, tensors

LATER, FIRST = "save_async, later", "save_async, first"
MEMCPY = "memcpy, T1"
LATER_BOUND, FIRST_BOUND = 0.8, 1.3
FIRST_ROUNDS = 3


def later(inputs: Inputs, nbytes: int, threads: int) -> Contender:
    """Save; rounds before the samples make the first saves."""
    scratch, arrays = Scratch.of(inputs, nbytes), tensors("large", nbytes)
    path = scratch.path("model")

    def run(_: None) -> float:
        start = time.perf_counter()
        handle = fastckpt.save_async(path, arrays, num_threads=threads)
        seconds = time.perf_counter() - start
        handle.result()
        return seconds

    return Contender(LATER, run, scratch.prepare, own_clock=True)


def first(inputs: Inputs, nbytes: int, threads: int) -> Contender:
    """Save once in a process."""
    # Its arrays and its snapshot are new memory.
    scratch = Scratch.of(inputs, 2 * nbytes)
    options = {
        "path": scratch.path("model"), "kind": "large", "size": nbytes, "wait": False,
        "save": {"num_threads": threads},
    }  # fmt: skip
    return Contender(
        FIRST,
        lambda _: child.run("save_async", options).seconds,
        scratch.prepare,
        own_clock=True,
    )


def copy(_: Inputs, nbytes: int) -> Contender:
    """Copy the arrays to others."""
    arrays = list(tensors("large", nbytes).values())
    targets = [np.ones_like(array) for array in arrays]
    moves = [
        (target.ctypes.data, array.ctypes.data, array.nbytes, 1)
        for target, array in zip(targets, arrays, strict=True)
    ]

    def run(_: None) -> list[Any]:
        for move in moves:
            native.call("ceiling_copy", *move)
        return targets

    return Contender(MEMCPY, run, peer=CEILING, note="no checksum")


def check(inputs: Inputs, nbytes: int) -> None:
    """What is changed after the call is not what is saved."""
    scratch = Scratch.of(inputs, nbytes)
    scratch.prepare()
    arrays = {name: array.copy() for name, array in tensors("large", nbytes).items()}
    handle = fastckpt.save_async(scratch.path("model"), arrays)
    for array in arrays.values():
        array.fill(-1)
    loaded = fastckpt.load(handle.result())
    for name, array in tensors("large", nbytes).items():
        np.testing.assert_array_equal(loaded[name], array)


@case("P10", "time blocked by save_async")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask on the first kind of storage, for later saves and for the first."""
    nbytes, threads = settings.nbytes, settings.most_threads
    needs = {SCRATCH: Dataset("empty", next(iter(settings.storage)))}
    for name, bound in ((LATER, LATER_BOUND), (FIRST, FIRST_BOUND)):
        own = (
            partial(later, nbytes=nbytes, threads=threads)
            if name == LATER
            else partial(first, nbytes=nbytes, threads=threads)
        )
        yield Question(
            f"time blocked, {name.partition(', ')[2]} save",
            [own, partial(copy, nbytes=nbytes)],
            [Target(name, MEMCPY, "fraction", bound)],
            needs,
            work=stored_bytes(nbytes),
            repeat=settings.repeat if name == LATER else min(settings.repeat, FIRST_ROUNDS),
            check=partial(check, nbytes=nbytes) if name == LATER else None,
        )
