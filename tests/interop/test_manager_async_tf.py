"""A manager whose ``tf.train.Checkpoint`` goes on behind it, and asynchronous saves of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt

BEHIND = tf.train.CheckpointOptions(experimental_enable_async_checkpoint=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_complete(manager: Any) -> None:
    """Neither the state file nor the manager names what is still being written."""
    for look in (lambda: _latest(manager.directory), lambda: manager.checkpoints):
        before = look()
        gone = [x for x in before if not os.path.exists(f"{x}.index")]
        assert not gone or look() != before, gone  # removed meanwhile


def _latest(directory: str) -> list[str]:
    state = fastckpt.get_checkpoint_state(directory)
    return [] if state is None else [state.model_checkpoint_path]


@pytest.mark.parametrize("kept", [1, 2, None])
def test_a_checkpoint_that_goes_on_behind_the_manager(kept: int | None) -> None:
    told: dict[str, Any] = {}
    for folder, kind in (
        ("theirs", tf.train.CheckpointManager),
        ("ours", fastckpt.CheckpointManager),
    ):
        variable = tf.Variable(tf.zeros([1 << 22]))
        manager = kind(tf.train.Checkpoint(v=variable), folder, kept)
        paths = []
        for number in range(1, 5):
            variable.assign(tf.fill([1 << 22], float(number)))
            paths.append(os.path.basename(manager.save(options=BEHIND)))
            if folder == "ours":
                assert_complete(manager)
        manager.sync()
        told[folder] = (
            paths,
            [os.path.basename(x) for x in [manager.latest_checkpoint, *manager.checkpoints]],
            sorted(os.listdir(folder)),
        )
        assert tf.train.load_variable(folder, "v/.ATTRIBUTES/VARIABLE_VALUE")[0] == 4
    assert told["ours"] == told["theirs"]
    assert BEHIND.experimental_write_callbacks is None


def test_the_callbacks_of_the_caller_are_called() -> None:
    seen: list[Any] = []
    options = tf.train.CheckpointOptions(
        experimental_enable_async_checkpoint=True, experimental_write_callbacks=[seen.append]
    )
    manager = fastckpt.CheckpointManager(tf.train.Checkpoint(v=tf.Variable(1.0)), "run", 1)
    for _ in range(2):
        manager.save(options=options)
    manager.sync()
    assert seen == ["run/ckpt-1", "run/ckpt-2"]
    assert options.experimental_write_callbacks == [seen.append]
    assert manager.checkpoints == ["run/ckpt-2"]
    with pytest.raises(fastckpt.UnsupportedError, match="experimental_enable_async_checkpoint"):
        manager.save_async()


def test_stock_goes_on_where_save_async_stopped() -> None:
    variable = tf.Variable([0.0, 0.0])
    ours = fastckpt.CheckpointManager({"v/.ATTRIBUTES/VARIABLE_VALUE": variable}, "run", 2)
    for number in range(3):
        variable.assign([number, number])
        ours.save_async()
        variable.assign([-1.0, -1.0])
    ours.sync()
    stock = tf.train.CheckpointManager(tf.train.Checkpoint(), "run", 2)
    assert stock.latest_checkpoint == ours.latest_checkpoint == "run/ckpt-3"
    assert stock.checkpoints == ours.checkpoints == ["run/ckpt-2", "run/ckpt-3"]
    np.testing.assert_array_equal(
        tf.train.load_variable("run", "v/.ATTRIBUTES/VARIABLE_VALUE"), [2, 2]
    )
    assert stock.save() == "run/ckpt-1"  # it counts in a variable of its own
    assert sorted(x for x in os.listdir("run") if "index" in x) == ["ckpt-1.index", "ckpt-3.index"]
