"""A process that saves in a loop until it is killed."""

from __future__ import annotations

from multiprocessing.synchronize import Event

import numpy as np

import fastckpt
from fastckpt.training.saver import Saver

SIZES = {"a": 3, "b": 2000, "c": 1}


def train(directory: str, first: int, started: Event, sharded: bool, asynchronous: bool) -> None:
    """Save step after step, every value being the step; `started` once the first is complete."""
    values = {name: np.zeros(size) for name, size in SIZES.items()}
    saver = Saver(values, max_to_keep=2, recover=True, num_shards=2 if sharded else None)
    for step in range(first, 1 << 30):
        for array in values.values():
            array[...] = step
        if asynchronous and step > first:
            saver.save_async(f"{directory}/m", step)
        else:
            saver.save(f"{directory}/m", step)
            started.set()


def restored_step(path: str) -> int:
    """Restore a checkpoint with a Saver; the step that all of its values are."""
    values = {name: np.zeros(size) for name, size in SIZES.items()}
    Saver(values).restore(path)
    steps = {int(x) for array in values.values() for x in array}
    assert len(steps) == 1, f"a mix in {path}: {steps}"
    assert fastckpt.open(path).verify().ok
    return steps.pop()
