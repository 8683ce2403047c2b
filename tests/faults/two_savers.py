"""Processes that save into one directory at once, and one that reads what is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from typing import Any, NamedTuple

import numpy as np

import fastckpt
from fastckpt.errors import CheckpointBusyError, CheckpointNotFoundError
from fastckpt.training.saver import Saver

NAMES = "abc"
KEPT = 3


class Plan(NamedTuple):
    """What two writers do in one directory.

    Attributes
    ----------
    bases : (str, str)
        Base name of each.
    has_steps : bool
        Number the checkpoints; otherwise each has one prefix.
    own_steps : bool
        Writer 0 takes the even steps and writer 1 the odd ones.
    latest : (str, str)
        State file of each.
    asynchronous : bool
        Save behind the writer.
    """

    bases: tuple[str, str] = ("one", "two")
    has_steps: bool = True
    own_steps: bool = False
    latest: tuple[str, str] = ("checkpoint", "checkpoint")
    asynchronous: bool = False


def write(directory: str, plan: Plan, who: int, num_saves: int, ready: Any, results: Any) -> None:
    """Save again and again; tell what was saved last, and how often the other was in the way."""
    try:
        values = {name: np.zeros(16) for name in NAMES}
        saver = Saver(values, max_to_keep=KEPT, sync=False)
        save = saver.save_async if plan.asynchronous else saver.save
        busy = 0
        ready.wait(60)
        for number in range(num_saves):
            for array in values.values():
                array[...] = _mark(who, number)
            step = 2 * number + who if plan.own_steps else number
            while True:
                try:
                    save(
                        f"{directory}/{plan.bases[who]}",
                        global_step=step if plan.has_steps else None,
                        latest_filename=plan.latest[who],
                        write_meta_graph=number % 2 == 0,
                    )
                    break
                except CheckpointBusyError:
                    busy += 1
                    time.sleep(0.001)
        saver.wait()
        results.put((who, saver.last_checkpoints, busy))
    except BaseException as error:  # noqa: BLE001 the parent is to know
        results.put(f"{who}: {type(error).__name__}: {error}")


def read_on(directory: str, plan: Plan, go_on: Event, ready: Any, results: Any) -> None:
    """Open the directory again and again; tell how often, how much was seen and what was gone."""
    opened, gone, seen = 0, 0, set()
    try:
        ready.wait(60)
        while go_on.is_set() or not opened:
            try:
                mark = _look(directory, plan)
            except CheckpointNotFoundError:
                gone += 1
                continue
            opened += 1
            seen.add(mark)
        results.put((opened, len(seen), gone))
    except BaseException as error:  # noqa: BLE001 the parent is to know
        results.put(f"reader: {type(error).__name__}: {error}")


def values_of(path: str) -> float:
    """Read a checkpoint; what all of its elements are."""
    with fastckpt.open(path) as checkpoint:
        assert sorted(checkpoint) == list(NAMES)
        found = {float(x) for array in checkpoint.values() for x in array}
    assert len(found) == 1, f"a mix in {path}: {found}"
    return found.pop()


def _look(directory: str, plan: Plan) -> float:
    mark = values_of(directory) if "checkpoint" in plan.latest else -1.0
    for latest in set(plan.latest):
        mark = _check_state(directory, latest, mark)
    return mark


def _check_state(directory: str, latest: str, mark: float) -> float:
    """Every checkpoint that a state file lists is complete for as long as it says so."""
    before = _state(directory, latest)
    try:
        for path in before:
            mark = values_of(path)
    except CheckpointNotFoundError:
        if _state(directory, latest) == before:
            raise
    return mark


def _state(directory: str, latest: str) -> list[str]:
    found: Callable[..., Any] = fastckpt.get_checkpoint_state
    state = found(directory, latest)
    assert state is not None
    assert state.all_model_checkpoint_paths[-1] == state.model_checkpoint_path
    return [os.fspath(x) for x in state.all_model_checkpoint_paths]


def _mark(who: int, number: int) -> float:
    return float(1000 * number + who)
