"""Saving while the variables change: what comes when, and how failures are told."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import CheckpointError, UnsupportedError
from fastckpt.training import saver_job
from fastckpt.training.saver import Saver


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Saves wait with their last step, the state file, until this is set."""
    gate = threading.Event()
    start = saver_job.start_save

    def start_held(*args: Any, then: Any, **options: Any) -> Any:
        return start(*args, then=lambda: (gate.wait(60), then()), **options)

    monkeypatch.setattr(saver_job, "start_save", start_held)
    return gate


@pytest.mark.parametrize("version", [1, 2])
def test_the_values_of_the_call_are_saved(version: int) -> None:
    values = {"w": np.zeros(1000), "p": np.ones(1, np.int8)}
    saver = Saver(values, max_to_keep=2, write_version=version)
    for step in range(4):
        values["w"][...] = step
        handle = saver.save_async("m", step)
        values["w"][...] = -1
    assert handle.result() == "m-3"
    assert saver.last_checkpoints == ["m-2", "m-3"]
    assert fastckpt.latest_checkpoint(".") == "./m-3"
    assert {float(fastckpt.load_variable(f"m-{i}", "w")[0]) for i in (2, 3)} == {2.0, 3.0}
    assert not any("m-0" in x or "m-1" in x for x in os.listdir())


def test_state_and_removal_come_last(held: threading.Event) -> None:
    saver = Saver({"w": np.ones(3)}, max_to_keep=1)
    saver.save("m", 1)
    handle = saver.save_async("m", 2)
    while not os.path.exists("m-2.index"):
        pass
    assert fastckpt.latest_checkpoint(".") == "./m-1"
    assert os.path.exists("m-1.index")
    assert not handle.done()
    held.set()
    assert handle.result() == "m-2"
    assert fastckpt.latest_checkpoint(".") == "./m-2"
    assert not os.path.exists("m-1.index")


def test_a_save_and_a_restore_wait_for_it(held: threading.Event) -> None:
    values = {"w": np.ones(3)}
    saver = Saver(values)
    saver.save_async("m", 1)
    threading.Timer(0.1, held.set).start()
    values["w"][...] = 0
    saver.restore("m-1")
    assert values["w"].all()
    assert saver.last_checkpoints == ["m-1"]
    saver.save("m", 2)
    assert saver.last_checkpoints == ["m-1", "m-2"]


ASKING: dict[str, Any] = {
    "result": lambda saver, handle: handle.result(),
    "next": lambda saver, handle: saver.save("m", 9),
    "next_async": lambda saver, handle: saver.save_async("m", 9),
}


@pytest.mark.parametrize("how", ASKING)
def test_failures_are_told_once(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = Saver({"w": np.ones(3)})
    with monkeypatch.context() as patch:
        patch.setattr(saver._history, "record", _fail)
        handle = saver.save_async("m", 1)
        handle.wait()
    with pytest.raises(CheckpointError, match="no room"):
        ASKING[how](saver, handle)
    # The data was complete, and what could not be listed is told once.
    assert fastckpt.load("m-1")["w"].tolist() == [1, 1, 1]
    assert saver.save("m", 2) == "m-2"
    assert saver.last_checkpoints == ["m-2"]


def _fail(*args: Any) -> None:
    raise CheckpointError("no room")


def test_wrong_arguments_are_told_at_once() -> None:
    saver = Saver({"w": np.ones(3)})
    with pytest.raises(ValueError):
        saver.save_async("")
    with pytest.raises(UnsupportedError):
        Saver({}, allow_empty=True).save_async("m")
    assert os.listdir() == []
