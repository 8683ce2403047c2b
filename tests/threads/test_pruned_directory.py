"""Readers of a directory whose checkpoints come and go, in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.training.saver import Saver

_READERS = 4
_SAVES = 1000
_PROCESSES = multiprocessing.get_context("forkserver")


def read_on(directory: str, ready: Any, go_on: Event, results: Any) -> None:
    """Open the directory again and again; tell what went wrong, or how often it went well."""
    opened, last, seen = 0, -1, set()
    try:
        ready.wait(60)
        while go_on.is_set() or not opened:
            with fastckpt.open(directory) as checkpoint:
                values = {name: int(array[0]) for name, array in checkpoint.items()}
            assert len(set(values.values())) == 1, f"a mix: {values}"
            assert len(values) == 3, values
            assert len(fastckpt.list_variables(directory)) == 3
            step = values["a"]
            assert step >= last, f"{step} after {last}"
            opened, last = opened + 1, step
            seen.add(step)
        results.put((opened, len(seen)))
    except BaseException as error:  # noqa: BLE001 - the parent is to know
        results.put(f"{type(error).__name__}: {error}")


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Any]:
    """Start the readers; call what is given to stop them and get what they tell."""
    go_on, results = _PROCESSES.Event(), _PROCESSES.Queue()
    ready = _PROCESSES.Barrier(_READERS + 1)
    go_on.set()
    processes = [
        _PROCESSES.Process(target=read_on, args=(str(tmp_path), ready, go_on, results))
        for _ in range(_READERS)
    ]

    def start() -> None:
        for process in processes:
            process.start()
        ready.wait(60)

    def finish() -> list[Any]:
        go_on.clear()
        told = [results.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
        return told

    yield start, finish
    for process in processes:
        if process.is_alive():
            process.kill()


def saver_of(values: dict[str, Any], directory: Path) -> Any:
    saver = Saver(values, max_to_keep=1, sync=False)
    return lambda step: saver.save(directory / "m", step, write_meta_graph=False)


def sharded_saver_of(values: dict[str, Any], directory: Path) -> Any:
    saver = Saver(values, max_to_keep=1, sync=False, num_shards=3)
    return lambda step: saver.save(directory / "m", step, write_meta_graph=False)


def one_prefix_of(values: dict[str, Any], directory: Path) -> Any:
    saver = Saver(values, max_to_keep=1, sync=False, num_shards=2)
    return lambda _: saver.save(directory / "m", write_meta_graph=False)


@pytest.mark.slow
@pytest.mark.parametrize("make", [saver_of, sharded_saver_of, one_prefix_of])
def test_no_reader_fails_or_sees_a_mix(make: Any, readers: Any, tmp_path: Path) -> None:
    start, finish = readers
    values = {name: np.zeros(4) for name in "abc"}
    save = make(values, tmp_path)
    save(0)
    start()
    for step in range(1, _SAVES // (1 if make is saver_of else 8)):
        for array in values.values():
            array[...] = step
        save(step)
    told = finish()
    assert [x for x in told if isinstance(x, str)] == []
    assert sum(opened for opened, _ in told) > 50, told
    assert sum(steps for _, steps in told) > 20, told
