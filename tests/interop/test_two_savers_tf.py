"""Several Savers and managers in one directory, and directories called like a checkpoint.

A scenario makes the same calls on TensorFlow's side and on ours. After each of its steps files,
text of the state files and what was returned agree; docs/porting.md says what that means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

import fastckpt
from interop.differential import assert_same_error, outcome

tf1 = tf.compat.v1

# A save over a prefix takes the next free shard total here.
DATA = re.compile(r"\.data-\d{5}-of-\d{5}\Z")
TIME = re.compile(r"(?m)^(all_model_checkpoint_timestamps|last_preserved_timestamp): .*\n")


class Side:
    """The calls of one library, on variables of its own."""

    def __init__(self, folder: Path, *, ours: bool) -> None:
        self.ours = ours
        self.functions: Any = fastckpt if ours else tf1.train
        self.session: Any = None
        self.variable = tf.Variable([0.0, 0.0], name="v")
        if not tf.executing_eagerly():
            self.variable = tf1.Variable([0.0, 0.0], name="v", use_resource=False)
            self.session = tf1.Session()
        self.put(0)
        folder.mkdir()
        os.chdir(folder)

    def saver(self, *, recover: str | None = None, **options: Any) -> Any:
        """Make a Saver; `recover` names the directory whose checkpoints it takes over."""
        if self.ours:
            return fastckpt.Saver({"v": self.variable}, recover=recover is not None, **options)
        saver = tf1.train.Saver({"v": self.variable}, **options)
        state = None if recover is None else tf1.train.get_checkpoint_state(recover)
        if state is not None:
            saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return saver

    def manager(self, directory: str, kept: int | None, **options: Any) -> Any:
        if self.ours:
            values = {"v": np.zeros(2)}
            return fastckpt.CheckpointManager(values, directory, kept, **options)
        checkpoint = tf.train.Checkpoint(v=self.variable)
        return tf.train.CheckpointManager(checkpoint, directory, kept, **options)

    def put(self, value: float) -> None:
        """Give the variable a value."""
        if self.session is None:
            self.variable.assign([value, value])
            return
        initializer = self.variable.initializer
        self.session.run(initializer, {initializer.inputs[1]: [value, value]})

    def value(self) -> float:
        array = self.variable.numpy() if self.session is None else self.session.run(self.variable)
        return float(array[0])

    def save(self, saver: Any, path: str, step: Any = None, **options: Any) -> Any:
        return saver.save(self.session, path, global_step=step, **options)

    def restored(self, saver: Any, path: str) -> float:
        saver.restore(self.session, path)
        return self.value()

    def state(self, directory: str, name: str | None = None) -> Any:
        found = self.functions.get_checkpoint_state(directory, name)
        latest = self.functions.latest_checkpoint(directory, name)
        return found and [latest, *found.all_model_checkpoint_paths]


Scenario = Callable[[Side], Iterator[Any]]


def files() -> dict[str, str]:
    """What is below the current directory; of state files also what they say, but for times."""
    found = {}
    for folder, _, names in os.walk("."):
        for name in names:
            path = os.path.join(folder, name)
            is_state = name in {"checkpoint", "of_one", "of_two"}
            text = TIME.sub("", Path(path).read_text()) if is_state else ""
            found[DATA.sub(".data", path)] = text
    return found


def trace(scenario: Scenario, folder: Path, *, ours: bool) -> list[Any]:
    side = Side(folder, ours=ours)
    seen = [(value, files()) for value in scenario(side)]
    if side.session is not None:
        side.session.close()
    return seen


# --- scenarios -----------------------------------------------------------------------------------


def names_of_their_own(side: Side) -> Iterator[Any]:
    one, two = side.saver(max_to_keep=2), side.saver(max_to_keep=3)
    for step in range(5):
        side.put(step)
        yield side.save(one, "d/one", step)
        yield side.state("d")
        side.put(-step)
        yield side.save(two, "d/two", step)
        yield side.state("d"), one.last_checkpoints, two.last_checkpoints
    yield side.restored(one, "d/one-3"), side.restored(one, "d/two-3")


def steps_of_their_own(side: Side) -> Iterator[Any]:
    savers = [side.saver(max_to_keep=2) for _ in range(2)]
    for step in range(10):
        yield side.save(savers[step % 2], "d/m", step)
        yield side.state("d"), [x.last_checkpoints for x in savers]


def the_same_names(side: Side) -> Iterator[Any]:
    """Each removes what the other has saved under a name that it drops."""
    one, two = side.saver(max_to_keep=2), side.saver(max_to_keep=2)
    for step in range(4):
        side.put(step)
        yield side.save(one, "d/m", step)
        side.put(10 + step)
        yield side.save(two, "d/m", step)
    yield side.restored(one, "d/m-3"), side.state("d")
    third = side.saver(max_to_keep=1)
    yield side.save(third, "d/m", 2)
    yield side.save(one, "d/m", 4)  # drops 2, which the third has saved meanwhile
    yield side.state("d"), third.last_checkpoints
    yield outcome(side.restored, third, "d/m-2").error is None
    yield side.save(third, "d/m", 5)


def one_prefix(side: Side) -> Iterator[Any]:
    savers = [side.saver(max_to_keep=1), side.saver(max_to_keep=None), side.saver(max_to_keep=2)]
    for number in range(6):
        side.put(number)
        yield side.save(savers[number % 3], "d/m")
        yield side.state("d"), savers[number % 3].last_checkpoints
    yield side.restored(savers[0], "d/m")


def state_files_of_their_own(side: Side) -> Iterator[Any]:
    one, two = side.saver(max_to_keep=2), side.saver(max_to_keep=2)
    for step in range(4):
        yield side.save(one, "d/one", step, latest_filename="of_one")
        yield side.save(two, "d/two", step, latest_filename="of_two")
        yield side.state("d", "of_one"), side.state("d", "of_two"), side.state("d")


def one_without_state(side: Side) -> Iterator[Any]:
    one, two = side.saver(max_to_keep=2), side.saver(max_to_keep=1)
    for step in range(4):
        yield side.save(one, "d/one", step)
        yield side.save(two, "d/two", step, write_state=False)
        yield side.state("d"), two.last_checkpoints


def formats(side: Side) -> Iterator[Any]:
    savers = {
        "plain": side.saver(max_to_keep=1),
        "shards": side.saver(max_to_keep=1, sharded=True),
        "old": side.saver(max_to_keep=1, write_version=1),
        "old_shards": side.saver(max_to_keep=1, write_version=1, sharded=True),
    }
    for step in range(3):
        for name, saver in savers.items():
            side.put(step)
            path = side.save(saver, f"d/{name}", step)
            yield path, side.state("d"), side.restored(savers["plain"], path)


def one_after_the_other(side: Side) -> Iterator[Any]:
    """A Saver that is made anew forgets, unless it takes over what the state file lists."""
    first = side.saver(max_to_keep=3)
    for step in range(4):
        yield side.save(first, "d/m", step)
    second = side.saver(max_to_keep=3)
    yield side.save(second, "d/m", 4)
    yield side.state("d")
    third = side.saver(max_to_keep=3, recover="d")
    for step in range(5, 9):
        yield side.save(third, "d/m", step)
    yield side.state("d"), third.last_checkpoints


def taking_over_beside_another(side: Side) -> Iterator[Any]:
    """What the state file lists is what the last one saved, whoever that was."""
    one, two = side.saver(max_to_keep=3), side.saver(max_to_keep=3)
    for step in range(3):
        yield side.save(one, "d/one", step)
    for step in range(3):
        yield side.save(two, "d/two", step)
    third = side.saver(max_to_keep=3, recover="d")
    for step in range(3, 7):
        yield side.save(third, "d/one", step)
        yield side.state("d"), third.last_checkpoints
    yield side.save(two, "d/two", 3)  # drops 0, which is gone


def a_directory_of_that_name(side: Side) -> Iterator[Any]:
    """The files stand beside it."""
    os.makedirs("d/m")
    os.makedirs("d/m-1")
    saver = side.saver(max_to_keep=2)
    for number in range(3):
        side.put(number)
        yield side.save(saver, "d/m")
        yield side.save(saver, "d/m", number), saver.last_checkpoints
        yield side.state("d")
    side.put(9)
    yield side.restored(saver, "d/m"), side.restored(saver, "d/m-2")
    inner = side.saver()
    side.put(7)
    yield side.save(inner, "d/m/inner", 1)
    functions = side.functions
    yield functions.checkpoint_exists("d/m"), len(functions.get_checkpoint_mtimes(["d/m", "d"]))
    # A reader that takes directories looks into it, and one that does not takes the prefix.
    yield float(functions.load_checkpoint("d/m").get_tensor("v")[0])
    yield float(functions.load_variable("d/m", "v")[0])
    yield float(functions.NewCheckpointReader("d/m").get_tensor("v")[0])
    yield side.restored(saver, "d/m")
    functions.remove_checkpoint("d/m")
    yield sorted(os.listdir("d/m")), os.path.isdir("d/m-1")


def shards_beside_directories(side: Side) -> Iterator[Any]:
    os.makedirs("d/m")
    sharded = side.saver(sharded=True)
    yield side.save(sharded, "d/m"), side.restored(sharded, "d/m")
    old = side.saver(write_version=1, sharded=True)
    os.makedirs("e/r")
    path = side.save(old, "e/r")
    yield path, side.restored(old, path), side.state("e")


def managers(side: Side) -> Iterator[Any]:
    one, two = (side.manager("d", 2, checkpoint_name=x) for x in ("one", "two"))
    for _ in range(4):
        yield one.save(), one.latest_checkpoint, one.checkpoints
        yield two.save(), two.latest_checkpoint, two.checkpoints
        yield side.state("d")
    again = side.manager("d", 2, checkpoint_name="one")
    yield again.latest_checkpoint, again.checkpoints
    # An explicit number: the two libraries count for a manager that is made anew in their own way.
    yield again.save(9), again.checkpoints
    yield one.save(10), one.checkpoints, side.state("d")


def a_manager_beside_a_saver(side: Side) -> Iterator[Any]:
    saver, manager = side.saver(max_to_keep=2), side.manager("d", 2)
    for step in range(4):
        yield side.save(saver, "d/m", step, write_meta_graph=False)
        yield manager.save(), manager.latest_checkpoint, manager.checkpoints
        yield side.state("d")
    behind = side.manager("d", 1)
    yield behind.latest_checkpoint, behind.checkpoints
    yield side.save(saver, "d/m", 9, write_meta_graph=False)
    # The state file of a Saver has no times: what it lists is nobody's to remove.
    after = side.manager("d", 1)
    yield after.latest_checkpoint, after.checkpoints
    yield after.save(20), after.checkpoints, side.state("d")
    taking = side.saver(max_to_keep=1, recover="d")
    yield side.save(taking, "d/m", 30, write_meta_graph=False)
    yield taking.last_checkpoints


def a_manager_beside_directories(side: Side) -> Iterator[Any]:
    os.makedirs("d/ckpt-1")
    os.makedirs("d/ckpt-3")
    manager = side.manager("d", 1)
    for _ in range(4):
        yield manager.save(), manager.checkpoints, side.state("d")
    yield manager.restore_or_initialize(), sorted(x for x in os.listdir("d") if "." not in x)


SAVERS: list[Scenario] = [
    names_of_their_own, steps_of_their_own, the_same_names, one_prefix, state_files_of_their_own,
    one_without_state, one_after_the_other, taking_over_beside_another, a_directory_of_that_name,
]  # fmt: skip
# TensorFlow's sharded Savers need a session, and its managers do without one.
SESSION: list[Scenario] = [*SAVERS, formats, shards_beside_directories]
EAGER: list[Scenario] = [*SAVERS, managers, a_manager_beside_a_saver, a_manager_beside_directories]


@pytest.mark.parametrize("scenario", SESSION, ids=lambda x: x.__name__)
def test_with_a_session(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with tf1.Graph().as_default():
        compare(scenario, tmp_path)


@pytest.mark.parametrize("scenario", EAGER, ids=lambda x: x.__name__)
def test_eagerly(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with context.eager_mode():
        compare(scenario, tmp_path)


def compare(scenario: Scenario, folder: Path) -> None:
    theirs = trace(scenario, folder / "theirs", ours=False)
    ours = trace(scenario, folder / "ours", ours=True)
    assert len(ours) == len(theirs) > 1
    for number, (mine, stock) in enumerate(zip(ours, theirs, strict=True)):
        assert mine == stock, f"step {number}"


def test_a_file_of_the_old_format_needs_the_name_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    errors = []
    with tf1.Graph().as_default():
        for name in ("theirs", "ours"):
            side = Side(tmp_path / name, ours=name == "ours")
            os.makedirs("d/m")
            saver = side.saver(write_version=1)
            errors.append(outcome(side.save, saver, "./d/m").error)
            assert saver.last_checkpoints == []
    assert isinstance(errors[0], tf.errors.FailedPreconditionError)
    assert isinstance(errors[1], fastckpt.InvalidArgumentError)
    assert "is a directory" in str(errors[1])
    assert [x for _, _, names in os.walk(".") for x in names] == []  # ours writes nothing


def test_a_directory_without_a_checkpoint_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("m")
    saver = fastckpt.Saver({"v": np.ones(2, np.float32)})
    assert saver.save("m") == "m"
    for function in ("load_checkpoint", "list_variables"):
        theirs = outcome(getattr(tf.train, function), "m").error
        assert theirs is not None
        ours = outcome(getattr(fastckpt, function), "m").error
        assert_same_error(ours, theirs)
        assert "prefix of a checkpoint too" in str(ours)
    # `open` has it the other way: a prefix wins over a directory.
    assert fastckpt.open("m")["v"].tolist() == [1, 1]
    assert os.path.basename(fastckpt.open("m").prefix) == "m"
    fastckpt.Saver({"v": np.zeros(1)}).save("m/inner")
    assert fastckpt.open("m")["v"].tolist() == [1, 1]
    assert fastckpt.open("m/")["v"].tolist() == [0]
    assert fastckpt.load_checkpoint("m").get_tensor("v").tolist() == [0]
    assert tf.train.load_checkpoint("m").get_tensor("v").tolist() == [0]
