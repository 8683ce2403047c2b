"""``CheckpointManager`` over arrays, a Saver and objects of other people."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from checkpoint_files import numbers
from fastckpt.errors import CheckpointError, CheckpointNotFoundError
from fastckpt.training import manager as manager_module
from fastckpt.training.manager import CheckpointManager
from fastckpt.training.saver import Saver


class Clock:
    """A time module that only the test moves."""

    now = 1e9

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(manager_module, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_timeline(clock: Clock) -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", 2, keep_checkpoint_every_n_hours=1)
    for _ in range(13):
        clock.now += 1200
        manager.save()
    assert numbers() == [3, 6, 9, 12, 13]
    assert manager.checkpoints == ["run/ckpt-12", "run/ckpt-13"]
    assert manager.latest_checkpoint == "run/ckpt-13"
    assert Path("run/checkpoint").read_text() == (
        'model_checkpoint_path: "ckpt-13"\n'
        'all_model_checkpoint_paths: "ckpt-12"\n'
        'all_model_checkpoint_paths: "ckpt-13"\n'
        f"all_model_checkpoint_timestamps: {1e9 + 12 * 1200!r}\n"
        f"all_model_checkpoint_timestamps: {1e9 + 13 * 1200!r}\n"
        f"last_preserved_timestamp: {1e9 + 9 * 1200!r}\n"
    )


def test_training_goes_on(clock: Clock) -> None:
    w = np.zeros(3)
    manager = CheckpointManager({"w": w}, "run", max_to_keep=2)
    assert manager.restore_or_initialize() is None
    for step in range(3):
        w[...] = step
        clock.now += 1
        assert manager.save() == f"run/ckpt-{step + 1}"
    w[...] = -1
    again = CheckpointManager({"w": w}, Path("run"), max_to_keep=2)
    assert again.checkpoints == ["run/ckpt-2", "run/ckpt-3"]
    assert again.restore_or_initialize() == "run/ckpt-3"
    assert w.tolist() == [2, 2, 2]
    clock.now += 1
    assert again.save() == "run/ckpt-4"
    assert numbers() == [3, 4]


def test_what_was_preserved_is_never_touched_again(clock: Clock) -> None:
    first = CheckpointManager({"w": np.ones(1)}, "run", 1, keep_checkpoint_every_n_hours=1)
    for _ in range(5):
        clock.now += 3600
        first.save()
    assert numbers() == [1, 2, 3, 4, 5]
    second = CheckpointManager({"w": np.ones(1)}, "run", 1)
    for _ in range(3):
        clock.now += 10
        second.save()
    assert numbers() == [1, 2, 3, 4, 8]


def test_a_clock_that_goes_back(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", 1, keep_checkpoint_every_n_hours=1)
    for _ in range(3):
        clock.now += 3600
        manager.save()
    clock.now -= 7200
    again = CheckpointManager({"w": np.ones(1)}, "run", 1)
    assert any("seconds behind" in x.getMessage() for x in caplog.records)
    assert again.checkpoints == []
    again.save()
    assert numbers() == [1, 2, 3, 4]


@pytest.mark.parametrize("sharded", [False, True])
def test_files_of_v1_are_swept(sharded: bool) -> None:
    saver = Saver({"w": np.ones(3)}, write_version=1, sharded=sharded)
    manager = CheckpointManager(saver, "d", max_to_keep=2)
    for _ in range(4):
        manager.save()
    kept = [f"d/ckpt-{number}" + "-00000-of-00001" * sharded for number in (3, 4)]
    assert sorted(str(path) for path in Path("d").glob("ckpt*")) == kept


def test_files_of_a_saver_are_not_swept() -> None:
    saver = Saver({"w": np.ones(1)})
    for step in range(3):
        saver.save("run/ckpt", step)
    manager = CheckpointManager({"w": np.ones(1)}, "run", 1)
    assert manager.latest_checkpoint == "run/ckpt-2"
    assert manager.checkpoints == []
    manager.save()
    manager.save()
    assert numbers() == [0, 1, 2, 4]


def test_no_limit() -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", max_to_keep=None)
    for _ in range(4):
        manager.save()
    assert numbers() == [1, 2, 3, 4]
    assert len(manager.checkpoints) == 4


def test_numbers_and_names() -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", 5, checkpoint_name="model")
    assert manager.save(checkpoint_number=50) == "run/model-50"
    assert manager.save(np.int64(7)) == "run/model-7"
    assert manager.save() == "run/model-3"
    assert manager.checkpoints == ["run/model-50", "run/model-7", "run/model-3"]
    assert manager.save(50) == "run/model-50"
    assert manager.checkpoints == ["run/model-7", "run/model-3", "run/model-50"]


@pytest.mark.parametrize("kind", ["array", "variable", "function"])
def test_intervals_of_steps(kind: str) -> None:
    step = np.zeros((), np.int64)
    variable = fastckpt.Variable(np.int64(0), name="step_of_test_manager")
    counters: dict[str, Any] = {
        "array": step, "variable": variable, "function": lambda: int(step),
    }  # fmt: skip
    manager = CheckpointManager(
        {"w": np.ones(1)}, "run", 9, step_counter=counters[kind], checkpoint_interval=3
    )
    saved = []
    for i in range(1, 8):
        step[...] = i
        variable.assign(np.int64(i))
        if manager.save():
            saved.append(i)
        assert manager.save() is None
        assert manager.save(check_interval=False) is None or i not in saved
    assert saved[0] == 1
    assert manager.checkpoint_interval == 3


def test_the_interval_counts_from_the_last_step() -> None:
    step = np.array(4)
    manager = CheckpointManager(
        {"w": np.ones(1)}, "run", 9, step_counter=step, checkpoint_interval=5,
        last_checkpoint_step=0,
    )  # fmt: skip
    assert manager.save() is None
    assert manager.save(check_interval=False) == "run/ckpt-1"
    step[...] = 9
    assert manager.save() == "run/ckpt-2"


def test_intervals_of_time(clock: Clock) -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", 9, save_interval_secs=60)
    assert manager.save() == "run/ckpt-1"
    clock.now += 59
    assert manager.save() is None
    assert manager.save(check_interval=False) == "run/ckpt-2"
    clock.now += 59
    again = CheckpointManager({"w": np.ones(1)}, "run", 9, save_interval_secs=60)
    assert again.save() is None
    clock.now += 1
    assert again.save() == "run/ckpt-3"


def test_initialisation() -> None:
    called = []
    manager = CheckpointManager({"w": np.ones(1)}, "run", 1, init_fn=lambda: called.append(1))
    assert manager.restore_or_initialize() is None
    assert called == [1]
    manager.save()
    assert manager.restore_or_initialize() == "run/ckpt-1"
    assert called == [1]


class Stored:
    """An object that is saved by methods of its own."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def save(self, prefix: str) -> None:
        self.calls.append(("save", prefix))
        fastckpt.save(prefix, {"x": np.ones(1)}, sync=False)

    def restore(self, path: str) -> None:
        self.calls.append(("restore", path))


def test_other_objects() -> None:
    stored = Stored()
    manager = CheckpointManager(stored, "run", 1)
    assert manager.save() == "run/ckpt-1"
    assert manager.save() == "run/ckpt-2"
    assert manager.restore_or_initialize() == "run/ckpt-2"
    assert stored.calls == [
        ("save", "run/ckpt-1"), ("save", "run/ckpt-2"), ("restore", "run/ckpt-2"),
    ]  # fmt: skip
    assert manager.checkpoint is stored
    assert numbers() == [2]
    manager.sync()


def test_a_saver() -> None:
    values = {"w": np.ones(1), "b": np.zeros(2)}
    saver = Saver(values, num_shards=2, max_to_keep=1)
    manager = CheckpointManager(saver, "run", 2)
    for _ in range(3):
        manager.save()
    assert numbers() == [2, 3]
    assert saver.last_checkpoints == []
    assert fastckpt.open("run").num_shards == 2
    values["w"][...] = 9
    manager.restore_or_initialize()
    assert values["w"].tolist() == [1]
    manager.sync()


WRONG: dict[str, tuple[type[Exception], Any]] = {
    "zero": (ValueError, lambda: CheckpointManager({"w": np.ones(1)}, "run", 0)),
    "negative": (ValueError, lambda: CheckpointManager({"w": np.ones(1)}, "run", -1)),
    "text": (TypeError, lambda: CheckpointManager({"w": np.ones(1)}, "run", "3")),
    "directory": (TypeError, lambda: CheckpointManager({"w": np.ones(1)}, None, 1)),
    "interval": (
        ValueError,
        lambda: CheckpointManager({"w": np.ones(1)}, "run", 1, checkpoint_interval=1),
    ),
    "variables": (TypeError, lambda: CheckpointManager(3, "run", 1)),
    "state": (ValueError, lambda: CheckpointManager({"w": np.ones(1)}, "broken", 1)),
    "number": (
        TypeError,
        lambda: CheckpointManager({"w": np.ones(1)}, "run", 1).save(1.5),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name: str) -> None:
    os.mkdir("broken")
    Path("broken/checkpoint").write_text("")
    kind, call = WRONG[name]
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, CheckpointError)
    assert not os.path.exists("run")


def test_a_garbled_state_is_none(caplog: pytest.LogCaptureFixture) -> None:
    os.mkdir("run")
    Path("run/checkpoint").write_text("garbage")
    manager = CheckpointManager({"w": np.ones(1)}, "run", 1)
    assert manager.latest_checkpoint is None
    assert manager.save() == "run/ckpt-1"


def test_a_checkpoint_that_is_gone() -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", 1)
    manager.save()
    os.remove("run/ckpt-1.index")
    again = CheckpointManager({"w": np.ones(1)}, "run", 1)
    assert again.latest_checkpoint == "run/ckpt-1"
    with pytest.raises(CheckpointNotFoundError):
        again.restore_or_initialize()


def test_what_cannot_be_removed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    manager = CheckpointManager({"w": np.ones(1)}, "run", 1)
    manager.save()
    os.remove("run/ckpt-1.index")
    os.makedirs("run/ckpt-1.index/x")
    with caplog.at_level(logging.WARNING, "fastckpt"):
        assert manager.save() == "run/ckpt-2"
    assert any("Ignoring" in x.getMessage() for x in caplog.records)
    assert manager.checkpoints == ["run/ckpt-2"]
