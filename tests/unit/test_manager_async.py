"""``CheckpointManager.save_async``: what comes when, what counts, and how failures are told."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from checkpoint_files import numbers
from fastckpt.errors import CheckpointBusyError, CheckpointError, UnsupportedError
from fastckpt.training import saver_job
from fastckpt.training.manager import CheckpointManager
from fastckpt.training.saver import Saver


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Gate:
    """Lets saves go on once they are complete, and says when one waits."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.reached = threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        self.is_open.wait(60)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Saves are complete and wait with what comes then: list, state file, removal."""
    gate = Gate()
    start = saver_job.start_save

    def start_held(*args: Any, then: Any, **options: Any) -> Any:
        return start(*args, then=lambda: (gate.pass_through(), then()), **options)

    monkeypatch.setattr(saver_job, "start_save", start_held)
    yield gate
    gate.is_open.set()


def test_the_values_of_the_call_are_saved() -> None:
    w = np.zeros(1000)
    manager = CheckpointManager({"w": w}, "run", 2)
    handles = []
    for step in range(5):
        w[...] = step
        handles.append(manager.save_async())
        w[...] = -1
    assert [x and x.result() for x in handles] == [f"run/ckpt-{i}" for i in range(1, 6)]
    assert manager.checkpoints == ["run/ckpt-4", "run/ckpt-5"]
    assert numbers() == [4, 5]
    assert [fastckpt.load(f"run/ckpt-{i}")["w"][0] for i in (4, 5)] == [3, 4]
    assert manager.restore_or_initialize() == "run/ckpt-5"
    assert w[0] == 4
    assert not any(x.endswith(".meta") for x in os.listdir("run"))


def test_the_files_are_those_of_save() -> None:
    for folder, name in (("one", "save"), ("two", "save_async")):
        manager = CheckpointManager({"w": np.arange(9.0)}, folder, 2, checkpoint_name="m")
        for number in (3, None, np.int64(9)):
            getattr(manager, name)(number)
        manager.sync()
        assert manager.checkpoints == [f"{folder}/m-2", f"{folder}/m-9"]
    assert sorted(os.listdir("one")) == sorted(os.listdir("two"))
    for name in os.listdir("one"):
        if name != "checkpoint":
            assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    one, two = (fastckpt.get_checkpoint_state(x) for x in ("one", "two"))
    assert one is not None
    assert two is not None
    assert len(one.all_model_checkpoint_timestamps) == len(two.all_model_checkpoint_timestamps)


def test_list_state_and_removal_come_last(gate: Gate) -> None:
    manager = CheckpointManager({"w": np.ones(3)}, "run", 1)
    manager.save()
    handle = manager.save_async()
    assert handle is not None
    gate.reached.wait(60)
    assert fastckpt.load("run/ckpt-2")["w"].tolist() == [1, 1, 1]
    assert (manager.latest_checkpoint, manager.checkpoints) == ("run/ckpt-1", ["run/ckpt-1"])
    assert fastckpt.latest_checkpoint("run") == "run/ckpt-1"
    assert numbers() == [1, 2]
    assert not handle.done()
    gate.is_open.set()
    assert handle.result() == "run/ckpt-2"
    assert (manager.latest_checkpoint, manager.checkpoints) == ("run/ckpt-2", ["run/ckpt-2"])
    assert fastckpt.latest_checkpoint("run") == "run/ckpt-2"
    assert numbers() == [2]


WAITING: dict[str, tuple[Any, Any]] = {
    "save": (lambda manager: manager.save(), "run/ckpt-2"),
    "save_async": (lambda manager: manager.save_async().prefix, "run/ckpt-2"),
    "restore": (lambda manager: manager.restore_or_initialize(), "run/ckpt-1"),
    "sync": (lambda manager: manager.sync(), None),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_for_it(name: str, gate: Gate) -> None:
    call, told = WAITING[name]
    manager = CheckpointManager({"w": np.ones(3)}, "run", 2)
    handle = manager.save_async()
    assert handle is not None
    threading.Timer(0.1, gate.is_open.set).start()
    assert call(manager) == told
    assert handle.done()
    assert "run/ckpt-1" in manager.checkpoints
    manager.sync()


ASKING: dict[str, Any] = {
    "result": lambda manager, handle: handle.result(),
    "save": lambda manager, handle: manager.save(),
    "save_async": lambda manager, handle: manager.save_async(),
}


@pytest.mark.parametrize("how", ASKING)
def test_failures_are_told_once(how: str) -> None:
    """The disk is full in the middle, for what is known: nothing has changed."""
    w = np.ones(3)
    manager = CheckpointManager({"w": w}, "run", 1)
    manager.save()
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saver_job, "open_writing", BrokenWriting)
        handle = manager.save_async(7)
        assert handle is not None
        handle.wait()
    assert manager.latest_checkpoint == "run/ckpt-1"
    assert manager.checkpoints == ["run/ckpt-1"]
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before
    w[...] = 5
    assert manager.restore_or_initialize() == "run/ckpt-1"
    assert w.tolist() == [1, 1, 1]
    with pytest.raises(CheckpointError, match="no room"):
        ASKING[how](manager, handle)
    assert manager.save(8) == "run/ckpt-8"
    assert manager.checkpoints == ["run/ckpt-8"]
    with pytest.raises(CheckpointError, match="no room"):
        handle.result()


class BrokenWriting:
    """Takes nothing."""

    def __init__(self, *args: Any) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def add_all(self, *args: Any, **options: Any) -> None:
        raise CheckpointError("no room")

    def abort(self) -> None:
        pass


def test_a_prefix_that_another_one_writes() -> None:
    manager = CheckpointManager({"w": np.ones(3)}, "run", 2)
    with fastckpt.CheckpointWriter("run/ckpt-1") as writer:
        writer.add("w", np.zeros(1))
        with pytest.raises(CheckpointBusyError):
            manager.save_async()
    assert manager.checkpoints == []
    handle = manager.save_async()
    assert handle is not None
    assert handle.result() == "run/ckpt-2"


def test_a_state_file_that_cannot_be_written(gate: Gate) -> None:
    manager = CheckpointManager({"w": np.ones(3)}, "run", 1)
    manager.save()
    state = Path("run/checkpoint").read_bytes()
    handle = manager.save_async()
    assert handle is not None
    gate.reached.wait(60)
    os.remove("run/checkpoint")
    os.mkdir("run/checkpoint")
    gate.is_open.set()
    with pytest.raises(CheckpointError, match="is a directory"):
        handle.result()
    # The data is complete, and nothing was removed.
    assert numbers() == [1, 2]
    os.rmdir("run/checkpoint")
    Path("run/checkpoint").write_bytes(state)
    assert CheckpointManager({"w": np.ones(3)}, "run", 1).latest_checkpoint == "run/ckpt-1"
    assert manager.save() == "run/ckpt-3"
    assert numbers() == [3]


def test_a_save_that_is_cancelled(gate: Gate) -> None:
    manager = CheckpointManager({"w": np.ones(1 << 22)}, "run", 2)
    gate.is_open.set()
    first = manager.save_async()
    assert first is not None
    if first.cancel():
        with pytest.raises(CheckpointError, match="cancelled"):
            first.result()
        assert manager.checkpoints == []
    assert manager.save_async(5) is not None
    manager.sync()
    assert manager.latest_checkpoint == "run/ckpt-5"


# --- intervals -----------------------------------------------------------------------------------


def test_intervals_of_steps(gate: Gate) -> None:
    step = np.zeros((), np.int64)
    manager = CheckpointManager(
        {"w": np.ones(1)}, "run", 9, step_counter=step, checkpoint_interval=3
    )
    saved = []
    for number in range(1, 4):
        step[...] = number
        handle = manager.save_async()
        saved += [number] * (handle is not None)
    # The loop went on although the first is still under way.
    assert saved == [1]
    assert manager.save() is None
    assert manager.checkpoints == []
    gate.is_open.set()
    for number in range(4, 9):
        step[...] = number
        handle = manager.save_async()
        saved += [number] * (handle is not None)
        assert manager.save_async() is None
    assert saved == [1, 4, 7]
    manager.sync()
    assert manager.checkpoints == [f"run/ckpt-{i}" for i in range(1, len(manager.checkpoints) + 1)]


def test_intervals_of_time(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = type("Clock", (), {"now": 1e9, "time": lambda self: self.now})()
    monkeypatch.setattr("fastckpt.training.manager.time", clock)
    manager = CheckpointManager({"w": np.ones(1)}, "run", 9, save_interval_secs=60)
    handle = manager.save_async()
    assert handle is not None
    clock.now += 59
    assert manager.save_async() is None
    gate.is_open.set()
    handle.result()
    # From here on what counts is when it was complete, as for a save.
    clock.now += 59
    assert manager.save_async() is None
    clock.now += 1
    assert manager.save_async() is not None
    manager.sync()
    state = fastckpt.get_checkpoint_state("run")
    assert state is not None
    assert state.all_model_checkpoint_timestamps == [1e9 + 59, 1e9 + 119]


def test_a_save_that_failed_does_not_count() -> None:
    step = np.array(10)
    manager = CheckpointManager(
        {"w": np.ones(1)}, "run", 9, step_counter=step, checkpoint_interval=5,
        save_interval_secs=1000,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saver_job, "open_writing", BrokenWriting)
        handle = manager.save_async()
        assert handle is not None
        with pytest.raises(CheckpointError, match="no room"):
            handle.result()
    again = manager.save_async()
    assert again is not None
    assert again.result() == "run/ckpt-2"
    assert manager.save_async() is None
    assert manager.checkpoints == ["run/ckpt-2"]


# --- what is saved -------------------------------------------------------------------------------


def test_a_saver() -> None:
    values = {"w": np.ones(4)}
    saver = Saver(values, num_shards=2)
    manager = CheckpointManager(saver, "run", 1)
    handle = manager.save_async()
    saver.save("other", 1)  # waits for it
    assert handle is not None
    assert handle.done()
    assert saver.last_checkpoints == ["other-1"]
    assert manager.checkpoints == ["run/ckpt-1"]
    assert fastckpt.open("run").num_shards == 2


class Stored:
    """An object that is saved by methods of its own."""

    def save(self, prefix: str) -> None:
        fastckpt.save(prefix, {"x": np.ones(1)}, sync=False)

    def restore(self, path: str) -> None:
        pass


def test_what_writes_by_itself() -> None:
    manager = CheckpointManager(Stored(), "run", 1)
    with pytest.raises(UnsupportedError, match="Stored"):
        manager.save_async()
    assert not os.path.exists("run")
    assert manager.save() == "run/ckpt-1"
    empty = CheckpointManager(Saver({}, allow_empty=True), "none", 1)
    with pytest.raises(UnsupportedError):
        empty.save_async()


def test_ctrl_c_while_one_waits_for_another(gate: Gate) -> None:
    """What was under way stays so, and is recorded before what comes after it."""
    saver = Saver({"w": np.ones(3)})
    manager = CheckpointManager(saver, "run", 2)
    saver.save_async("m", 1)
    gate.reached.wait(60)
    for call in (lambda: saver.save("m", 9), lambda: manager.save(9), manager.save_async):
        timer = threading.Timer(
            0.1, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)
        )
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call()
        timer.join()
    assert saver.last_checkpoints == manager.checkpoints == []
    gate.is_open.set()
    handle = manager.save_async(5)
    assert handle is not None
    assert saver.last_checkpoints == ["m-1"]
    assert handle.result() == "run/ckpt-5"
    assert manager.checkpoints == ["run/ckpt-5"]
    assert numbers(".") == [1]
