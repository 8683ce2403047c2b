"""Where Saver and its kin do something else than TensorFlow's: both sides of every row."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

import fastckpt
from fastckpt.errors import CheckpointError, InvalidArgumentError
from fastckpt.training.deviations import SAVER_DEVIATIONS
from fastckpt.training.manager import CheckpointManager
from fastckpt.training.removing import remove_checkpoint
from fastckpt.training.saver import Saver
from fastckpt.training.state_writing import update_checkpoint_state
from interop.differential import outcome

tf1 = tf.compat.v1


class Sides:
    """One variable in a session, a folder for TensorFlow and one for us."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.variable = tf1.Variable([1.0, 2.0], name="v", use_resource=False)
        self.session = tf1.Session()
        self.session.run(tf1.global_variables_initializer())

    def enter(self, side: str) -> None:
        (self.root / side / "d").mkdir(parents=True, exist_ok=True)
        os.chdir(self.root / side)

    def theirs(self, *args: Any, **options: Any) -> Any:
        self.enter("theirs")
        return tf1.train.Saver([self.variable], *args, **options)

    def ours(self, *args: Any, **options: Any) -> Any:
        self.enter("ours")
        return Saver([self.variable], *args, **options)

    def save(self, saver: Any, *args: Any, **options: Any) -> Any:
        return outcome(saver.save, self.session, *args, **options)

    def value(self) -> list[float]:
        return list(self.session.run(self.variable))


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sides]:
    monkeypatch.chdir(tmp_path)
    with tf1.Graph().as_default():
        sides = Sides(tmp_path)
        yield sides
        sides.session.close()


def refused(sides: Sides, *args: Any, **options: Any) -> Any:
    """Our save writes nothing; give the outcome of TensorFlow's, whose folder is entered."""
    ours = sides.save(sides.ours(), *args, **options)
    assert isinstance(ours.error, InvalidArgumentError)
    assert [x for _, _, names in os.walk(".") for x in names] == []
    return sides.save(sides.theirs(), *args, **options)


def differs_negative(sides: Sides, _: Any) -> None:
    theirs = sides.theirs(max_to_keep=-1)
    theirs.save(sides.session, "m")
    assert sorted(os.listdir()) == ["checkpoint", "d", "m.meta"]
    assert isinstance(outcome(sides.ours, max_to_keep=-1).error, InvalidArgumentError)
    ours = Saver([sides.variable], saver_def=theirs.saver_def)
    ours.save(sides.session, "m")
    assert "m.index" in os.listdir()


def differs_hidden(sides: Sides, _: Any) -> None:
    theirs = refused(sides, "d/")
    assert theirs.value == "d/"
    assert ".index" in os.listdir("d")
    assert refused(sides, "d/.").value == "d/."
    assert "..index" in os.listdir("d")
    assert isinstance(refused(sides, "").error, ValueError)
    assert ".index" in os.listdir()
    assert sides.save(sides.ours(), "d/", 3) == sides.save(sides.theirs(), "d/", 3)


def differs_url(sides: Sides, _: Any) -> None:
    sides.enter("theirs")
    url = f"file://{os.getcwd()}/m"
    assert refused(sides, url).value == url
    assert "m.index" in os.listdir()
    assert tf.train.latest_checkpoint(".") == "./m"


def differs_suffix(sides: Sides, _: Any) -> None:
    for prefix in ("m.index", "m.meta", "m.data-00000-of-00001"):
        assert refused(sides, prefix).value == prefix


def differs_parents(sides: Sides, _: Any) -> None:
    assert isinstance(sides.save(sides.theirs(), "a/b/m").error, ValueError)
    assert isinstance(sides.save(sides.theirs(sharded=True), "s/m").error, ValueError)
    assert sides.save(sides.ours(), "a/b/m").value == "a/b/m"
    assert sides.save(sides.ours(sharded=True), "s/m").value == "s/m"
    for function in (update_checkpoint_state, tf1.train.update_checkpoint_state):
        assert outcome(function, "nowhere", "m").error is not None


def differs_misled(sides: Sides, _: Any) -> None:
    tf1.Variable(1.0, name="without_value", use_resource=False)
    sides.enter("theirs")
    theirs = sides.save(tf1.train.Saver(), "m")
    assert isinstance(theirs.error, ValueError)
    assert "Parent directory" in str(theirs.error)
    sides.enter("ours")
    ours = sides.save(Saver(), "m")
    assert isinstance(ours.error, tf.errors.FailedPreconditionError)


def differs_taken(sides: Sides, _: Any) -> None:
    for side in ("theirs", "ours"):
        sides.enter(side)
        os.mkdir("checkpoint")
    theirs = refused(sides, "m")
    assert isinstance(theirs.error, ValueError)
    assert "m.index" in os.listdir()


def differs_overwrites(sides: Sides, _: Any) -> None:
    for options in (
        {"latest_filename": "m.index"},
        {"meta_graph_suffix": "index"},
        {"meta_graph_suffix": "data-00000-of-00001"},
    ):
        assert refused(sides, "m", **options).value == "m"
        assert outcome(tf.train.load_variable, "m", "v").error is not None
        for name in os.listdir():
            if name != "d":
                os.remove(name)


def differs_order(sides: Sides, _: Any) -> None:
    """The export fails in both; TensorFlow has saved and told by then."""
    broken = {"meta_graph_suffix": "meta/x"}
    assert sides.save(sides.theirs(), "m", **broken).error is None  # it makes a folder of it
    assert "m.meta" in os.listdir()
    os.mkdir("n.meta")
    assert sides.save(sides.theirs(), "n").error is not None
    assert tf.train.latest_checkpoint(".") == "./n"
    saver = sides.ours()
    os.mkdir("n.meta")
    assert sides.save(saver, "n").error is not None
    assert sorted(os.listdir()) == ["d", "n.meta"]
    assert saver.last_checkpoints == []


def differs_poisoned(sides: Sides, _: Any) -> None:
    saver = sides.theirs()
    assert sides.save(saver, "").error is not None
    assert saver.last_checkpoints == [""]
    saver = sides.ours()
    sides.save(saver, "m")
    os.remove("checkpoint")
    os.mkdir("checkpoint")
    assert sides.save(saver, "n").error is not None
    assert saver.last_checkpoints == ["m"]


def differs_spelling(sides: Sides, _: Any) -> None:
    for make, is_there in ((sides.theirs, False), (sides.ours, True)):
        saver = make(max_to_keep=1)
        saver.save(sides.session, "d/m")
        saver.save(sides.session, "./d/m")
        assert os.path.exists("d/m.index") is is_there
        assert saver.last_checkpoints == ["./d/m"]


def differs_pattern(sides: Sides, _: Any) -> None:
    for make, is_there in ((sides.theirs, False), (sides.ours, True)):
        saver = make(max_to_keep=1)
        saver.save(sides.session, "other", write_state=False)
        saver.save(sides.session, "*")
        saver.save(sides.session, "d/m")
        assert os.path.exists("other.index") is is_there
        assert not os.path.exists("*.index")


def differs_brackets(sides: Sides, _: Any) -> None:
    for make, is_found in ((sides.theirs, False), (sides.ours, True)):
        saver = make(max_to_keep=1)
        os.mkdir("run[1]")
        for step in range(2):
            saver.save(sides.session, "run[1]/m", step)
        assert (outcome(saver.restore, sides.session, "run[1]/m-1").error is None) is is_found
        assert os.path.exists("run[1]/m-0.index") is not is_found


def differs_first(sides: Sides, _: Any) -> None:
    for saver, remove in (
        (sides.theirs, tf1.train.remove_checkpoint),
        (sides.ours, remove_checkpoint),
    ):
        saver().save(sides.session, "m", write_meta_graph=False)
        os.makedirs("m.meta/x")  # cannot be removed as a file
        assert outcome(remove, "m").error is not None
        assert os.path.exists("m.index") is (remove is not remove_checkpoint)


def differs_shape(sides: Sides, _: Any) -> None:
    fastckpt.save("m", {"r": np.ones(3, np.float32)})
    path = os.path.abspath("m")
    variable = tf1.Variable([1.0, 2.0], name="r", use_resource=True)
    sides.session.run(variable.initializer)
    assert outcome(Saver([variable]).restore, sides.session, path).error is not None
    assert len(sides.session.run(variable)) == 2
    tf1.train.Saver([variable]).restore(sides.session, path)
    assert len(sides.session.run(variable)) == 3


def differs_report(sides: Sides, _: Any) -> None:
    one = np.float32(1)
    fastckpt.save("m", {"v": np.ones(2, np.float32), "x": np.ones(9, np.float32), "kernel": one})
    path = os.path.abspath("m")
    mapping = {"v": sides.variable, "kernl": tf1.Variable(1.0), "x": tf1.Variable([1.0])}
    theirs = outcome(tf1.train.Saver(mapping).restore, sides.session, path)
    ours = outcome(Saver(mapping).restore, sides.session, path)
    told = ("Key kernl not found", "did you mean 'kernel'", "x: Assign requires shapes")
    assert [x in str(theirs.error) for x in told] == [True, False, False]
    assert all(x in str(ours.error) for x in told)
    assert sides.value() == [1, 2]
    Saver(mapping).restore(sides.session, path, strict=False)
    assert sides.value() == [1, 1]


def differs_index(sides: Sides, _: Any) -> None:
    saver = sides.theirs()
    saver.save(sides.session, "m")
    theirs = outcome(saver.restore, sides.session, "m.index")
    assert isinstance(theirs.error, tf.errors.NotFoundError)
    ours = outcome(Saver([sides.variable]).restore, sides.session, "m.index")
    assert isinstance(ours.error, InvalidArgumentError)
    assert "pass the prefix 'm'" in str(ours.error)


def differs_behind(sides: Sides, _: Any) -> None:
    for saver, refuses in ((sides.theirs, False), (sides.ours, True)):
        saver().save(sides.session, "m")
        done = sides.save(saver(write_version=1), "m")
        assert isinstance(done.error, InvalidArgumentError) is refuses


def differs_list(sides: Sides, _: Any) -> None:
    for function, kept in (
        (tf1.train.update_checkpoint_state, ["m", "n"]),
        (update_checkpoint_state, ["d/m"]),
    ):
        mine = ["d/m"]
        sides.enter("ours")
        function("d", "d/n", mine)
        assert mine == kept
    assert outcome(tf1.train.update_checkpoint_state, "d", "d/n", ("d/n",)).error is not None
    update_checkpoint_state("d", "d/n", ("d/n",))


def differs_nameless(sides: Sides, _: Any) -> None:
    sides.enter("ours")
    assert isinstance(outcome(update_checkpoint_state, os.getcwd(), "").error, ValueError)
    assert not os.path.exists("checkpoint")
    tf1.train.update_checkpoint_state(os.getcwd(), "")
    for function in (tf.train.latest_checkpoint, fastckpt.latest_checkpoint):
        assert isinstance(outcome(function, os.getcwd()).error, ValueError)


def differs_path(sides: Sides, _: Any) -> None:
    for saver in (sides.theirs(), sides.ours()):
        assert isinstance(sides.save(saver, Path("m")).error, TypeError)
        sides.save(saver, "m")
        assert isinstance(outcome(saver.restore, sides.session, Path("m")).error, TypeError)
    arrays = Saver({"v": np.ones(1)})
    assert arrays.save(Path("n")) == arrays.save(None, Path("n")) == "n"
    assert arrays.restore(Path("n")) is None


def differs_session(sides: Sides, _: Any) -> None:
    saver = sides.theirs()
    saver.save(sides.session, "m")
    ours = Saver([sides.variable])
    assert isinstance(outcome(saver.restore, None, "m").error, AttributeError)
    assert isinstance(outcome(ours.restore, None, "m").error, TypeError)
    deferred = tf1.train.Saver(defer_build=True)
    assert isinstance(outcome(deferred.restore, sides.session, "m").error, AttributeError)
    mine = outcome(Saver(defer_build=True).restore, sides.session, "m")
    assert isinstance(mine.error, RuntimeError)
    assert isinstance(mine.error, CheckpointError)


def differs_swept(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    with context.eager_mode():
        for side, kind, checkpoint in (
            ("theirs", tf.train.CheckpointManager, tf.train.Checkpoint(v=tf.Variable(1.0))),
            ("ours", CheckpointManager, {"v": np.ones(1)}),
        ):
            sides.enter(side)
            manager = kind(checkpoint, "d", 1)
            manager.save()
            os.remove("d/ckpt-1.index")
            os.makedirs("d/ckpt-1.index/x")
            assert (outcome(manager.save).error is None) is (side == "ours")
    assert any("Ignoring" in x.getMessage() for x in caplog.records)


def differs_quiet(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    def lines(call: Callable[[], object]) -> int:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            call()
        return len(caplog.records)

    theirs, ours = sides.theirs(write_version=1), sides.ours(write_version=1)
    assert lines(lambda: theirs.save(sides.session, "m")) == 6
    assert lines(lambda: ours.save(sides.session, "n")) == 1
    assert lines(lambda: remove_checkpoint("n", 1)) == 0


@pytest.mark.parametrize("name", SAVER_DEVIATIONS)
def test_deviation(sides: Sides, caplog: pytest.LogCaptureFixture, name: str) -> None:
    globals()[f"differs_{name}"](sides, caplog)
