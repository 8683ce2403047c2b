"""Random calls to TensorFlow's Saver, CheckpointManager and state functions, and to ours.

Each machine has two folders and one clock. After every call the files, the state files, the values
returned and the classes of errors agree. What is known to differ (training/deviations.py) is not
asked for here; tests/interop/test_saver_deviations.py does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tensorflow.python.checkpoint import checkpoint_management
from tensorflow.python.training import saver as their_saver_module

import fastckpt
from fastckpt.training import history, manager
from fastckpt.training.manager import CheckpointManager
from fastckpt.training.removing import remove_checkpoint
from fastckpt.training.saver import Saver
from fastckpt.training.state_writing import update_checkpoint_state
from interop.differential import Outcome, assert_same_error, outcome

tf1 = tf.compat.v1
THEIRS, OURS = "theirs", "ours"
DATA = re.compile(r"\.data-\d{5}-of-\d{5}\Z")
CLOCKED = (checkpoint_management, their_saver_module, history, manager)

# No two spell the same prefix: TensorFlow removes what it has just saved then. 'e' is a directory.
PREFIXES = st.sampled_from(["m", "d/m", "d/n", "d/m-1", "./d/q", "ROOT/d/r", "ROOT/e/m", "e"])
STEPS = st.none() | st.sampled_from([0, 1, 2, 3, 7, -3, True, np.int64(5), 123456789])
PATHS = st.sampled_from(
    ["m", "d/m", "d/m-1", "d/m-2", "ROOT/d/r-1", "d/n-?????-of-00001", "d/nowhere", "d/*", "d"]
)
DIRECTORIES = st.sampled_from(["", ".", "d", "./d", "ROOT/d", "e", "nowhere"])
LATEST = st.sampled_from([None, None, None, "latest"])
OPTIONS = st.fixed_dictionaries(
    {
        "max_to_keep": st.sampled_from([None, 0, 1, 2, 3, 5]),
        "keep_checkpoint_every_n_hours": st.sampled_from([10000.0, 1.0, 0.5, 0]),
        "sharded": st.booleans(),
        "pad_step_number": st.booleans(),
        "save_relative_paths": st.booleans(),
        "write_version": st.sampled_from([2, 2, 2, 1]),
    }
)


class Clock:
    """The time module of both."""

    now = 1.7e9

    def time(self) -> float:
        return self.now


class World(contextlib.AbstractContextManager["World"]):
    """One folder: the current one while its side acts."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.back = os.getcwd()
        for name in ("d", "e"):
            os.makedirs(os.path.join(root, name))

    def __enter__(self) -> World:
        os.chdir(self.root)
        return self

    def __exit__(self, *error: object) -> None:
        os.chdir(self.back)

    def told(self, value: Any) -> Any:
        """Replace the root in whatever a call gives."""
        if isinstance(value, str):
            return value.replace(self.root, "ROOT")
        if isinstance(value, list | tuple):
            return [self.told(x) for x in value]
        return value

    def asked(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("ROOT", self.root)
        return [self.asked(x) for x in value] if isinstance(value, list) else value

    def files(self) -> dict[str, str]:
        """Names below the root; data shards without numbers; the text of state files."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                text = ""
                if name in {"checkpoint", "latest"}:
                    text = self.told(Path(path).read_text())
                found[DATA.sub(".data", os.path.relpath(path, self.root))] = text
        return found

    def date(self, now: float) -> None:
        """Give what was written since the last time the clock's time."""
        for folder, folders, names in os.walk(self.root):
            for path in (os.path.join(folder, name) for name in folders + names):
                if os.stat(path).st_mtime > 1.75e9:
                    os.utime(path, (now, now))


class Savers(RuleBasedStateMachine):
    """The two sides, and the rules that drive both."""

    @initialize(arrays=st.booleans(), options=OPTIONS)
    def start(self, arrays: bool, options: dict[str, Any]) -> None:
        self.folder = tempfile.mkdtemp(prefix="fastckpt-stateful-")
        self.clock = Clock()
        self.put_back = [(module, module.time) for module in CLOCKED]
        for module in CLOCKED:
            module.time = self.clock  # type: ignore[attr-defined]
        self.worlds = {x: World(os.path.join(self.folder, x)) for x in (THEIRS, OURS)}
        self.arrays = arrays
        self.counter = 0
        self.values = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((), np.int64)}
        self.graph = tf1.Graph()
        with self.graph.as_default():
            self.variables = {
                name: tf1.Variable(value, name=name, use_resource=False)
                for name, value in self.values.items()
            }
            self.session = tf1.Session()
            self.session.run(tf1.global_variables_initializer())
        self.managers: tuple[Any, Any] | None = None
        self.make_savers(options)

    def teardown(self) -> None:
        for module, time in self.put_back:
            module.time = time
        self.session.close()
        shutil.rmtree(self.folder)

    # --- both sides -------------------------------------------------------------------------

    def both(
        self, theirs: Callable[[World], Any], ours: Callable[[World], Any]
    ) -> tuple[Outcome, Outcome]:
        """Call both, and compare what they give and what they leave."""
        results = []
        for side, call in ((THEIRS, theirs), (OURS, ours)):
            with self.worlds[side] as world:
                found = outcome(call, world)
                results.append(found._replace(value=world.told(found.value)))
                world.date(self.clock.now)
        there, here = results
        if there.error is not None:
            assert_same_error(here.error, there.error)
        else:
            assert here.error is None, (here.error, there.value)
            assert here.value == there.value
        assert self.worlds[OURS].files() == self.worlds[THEIRS].files()
        return there, here

    def change_values(self) -> None:
        self.counter += 1
        for name, variable in self.variables.items():
            self.values[name][...] = self.counter
            feed = {variable.initializer.inputs[1]: self.values[name]}
            self.session.run(variable.initializer, feed)

    def read_values(self, *, ours: bool) -> list[Any]:
        if ours and self.arrays:
            return [value.tolist() for value in self.values.values()]
        return [self.session.run(x).tolist() for x in self.variables.values()]

    # --- rules ------------------------------------------------------------------------------

    @rule(options=OPTIONS)
    def make_savers(self, options: dict[str, Any]) -> None:
        self.version = options["write_version"]
        with self.graph.as_default():
            self.stock = tf1.train.Saver(list(self.variables.values()), **options)
            mine = self.values if self.arrays else list(self.variables.values())
            self.saver = Saver(mine, sync=False, **options)

    @rule(seconds=st.sampled_from([0.25, 60.0, 1200.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(
        prefix=PREFIXES,
        step=STEPS,
        latest=LATEST,
        meta=st.booleans(),
        state=st.sampled_from([True, True, True, False]),
        suffix=st.sampled_from(["meta", "meta", "extra_long_suffix", ""]),
    )
    def save(
        self, prefix: str, step: Any, latest: str | None, meta: bool, state: bool, suffix: str
    ) -> None:
        self.change_values()
        if self.version == 1:
            prefix += "v"  # a V2 checkpoint of the same name would hide the file
        options = {
            "global_step": step,
            "latest_filename": latest,
            "write_meta_graph": meta,
            "write_state": state,
            "meta_graph_suffix": suffix,
        }
        session = None if self.arrays else self.session
        with self.graph.as_default():
            self.both(
                lambda world: self.stock.save(self.session, world.asked(prefix), **options),
                lambda world: self.saver.save(session, world.asked(prefix), **options),
            )
        self.compare_lists()

    @rule(path=PATHS.filter(lambda x: "*" not in x))
    def restore(self, path: str) -> None:
        before = self.read_values(ours=False)
        session = None if self.arrays else self.session
        with self.graph.as_default():
            there, here = self.both(
                lambda world: self.stock.restore(self.session, world.asked(path)),
                lambda world: self.saver.restore(session, world.asked(path)),
            )
        if there.error is None and self.arrays:
            assert self.read_values(ours=True) == self.read_values(ours=False)
        elif here.error is not None:
            assert self.read_values(ours=True) == before

    @rule(paths=st.lists(PATHS, max_size=4), how=st.sampled_from(["set", "time", "recover"]))
    def take_over(self, paths: list[str], how: str) -> None:
        paths = [x for x in paths if "*" not in x and x != "d"]

        def call(saver: Any, world: World) -> None:
            mine = world.asked(paths)
            if how == "set":
                saver.set_last_checkpoints(mine)
            elif how == "time":
                saver.set_last_checkpoints_with_time([(x, self.clock.now) for x in mine])
            else:
                saver.recover_last_checkpoints(mine)

        self.both(lambda world: call(self.stock, world), lambda world: call(self.saver, world))
        self.compare_lists()

    @rule(prefix=PATHS, version=st.sampled_from([2, 1]))
    def remove(self, prefix: str, version: int) -> None:
        if prefix == "d" and version == 1:
            return
        self.both(
            lambda world: tf1.train.remove_checkpoint(world.asked(prefix), version),
            lambda world: remove_checkpoint(world.asked(prefix), version),
        )

    @rule(directory=DIRECTORIES, path=PATHS, kept=st.none() | st.lists(PATHS), latest=LATEST)
    def update(self, directory: str, path: str, kept: Any, latest: str | None) -> None:
        def call(function: Callable[..., None], world: World) -> None:
            function(world.asked(directory), world.asked(path), world.asked(kept), latest)

        self.both(
            lambda world: call(tf1.train.update_checkpoint_state, world),
            lambda world: call(update_checkpoint_state, world),
        )

    @rule(directory=DIRECTORIES, path=PATHS, latest=LATEST)
    def look(self, directory: str, path: str, latest: str | None) -> None:
        path = path.replace("*", "m")  # of several that match, either takes its own
        for name in ("latest_checkpoint", "get_checkpoint_state"):
            self.both(
                lambda world, name=name: _plain(
                    getattr(tf1.train, name)(world.asked(directory), latest)
                ),
                lambda world, name=name: _plain(
                    getattr(fastckpt, name)(world.asked(directory), latest)
                ),
            )
        self.both(
            lambda world: tf1.train.get_checkpoint_mtimes([world.asked(path)]),
            lambda world: fastckpt.get_checkpoint_mtimes([world.asked(path)]),
        )

    @rule(
        kept=st.sampled_from([None, 1, 2, 3, 0]),
        hours=st.sampled_from([None, 0.5, 1]),
        directory=st.sampled_from(["d", "ROOT/e", "f"]),
        interval=st.sampled_from([None, None, 2]),
        arrays=st.booleans(),
    )
    def make_managers(
        self, kept: Any, hours: Any, directory: str, interval: Any, arrays: bool
    ) -> None:
        self.steps = tf.Variable(0)
        theirs = tf.train.Checkpoint(v=tf.Variable(1.0))
        ours = {"v": np.ones(())} if arrays else tf.train.Checkpoint(v=tf.Variable(1.0))
        made: dict[type, Any] = {}

        def make(kind: Any, checkpoint: Any, world: World) -> list[Any]:
            made[kind] = kind(
                checkpoint,
                world.asked(directory),
                kept,
                hours,
                step_counter=self.steps,
                checkpoint_interval=interval,
            )
            return _about(made[kind])

        self.both(
            lambda world: make(tf.train.CheckpointManager, theirs, world),
            lambda world: make(CheckpointManager, ours, world),
        )
        if made:
            self.managers = made[tf.train.CheckpointManager], made[CheckpointManager]

    @precondition(lambda self: self.managers is not None)
    @rule(number=st.sampled_from([1, 2, 3, 4, 5, 6, 7, 50]), check=st.booleans())
    def save_managed(self, number: int, check: bool) -> None:
        self.steps.assign_add(1)
        theirs, ours = self.managers or (None, None)
        self.both(
            lambda world: [theirs.save(number, check), *_about(theirs)],
            lambda world: [ours.save(number, check), *_about(ours)],
        )

    @precondition(lambda self: self.managers is not None)
    @rule(seconds=st.sampled_from([0.0, 0.0, -0.25, 0.25]))
    def save_at_the_limit(self, seconds: float) -> None:
        """Save what is just old enough to be preserved when it is dropped, or just not."""
        managed = (self.managers or [None, None])[1]._rule
        for number in range(60, 67):
            if number == 63 and managed._period is not None:  # what was there before is dropped
                limit = managed.last_preserved + managed._period + seconds
                self.clock.now = max(self.clock.now, limit)
            self.save_managed(number, check=False)

    def compare_lists(self) -> None:
        assert self.worlds[OURS].told(self.saver.last_checkpoints) == self.worlds[THEIRS].told(
            self.stock.last_checkpoints
        )


def _plain(state: Any) -> Any:
    """Spell out a state, whichever class it has."""
    if state is None or isinstance(state, str):
        return state
    return [
        state.model_checkpoint_path,
        list(state.all_model_checkpoint_paths),
        list(state.all_model_checkpoint_timestamps),
        state.last_preserved_timestamp,
    ]


def _about(managed: Any) -> list[Any]:
    return [managed.latest_checkpoint, managed.checkpoints, managed.checkpoint_interval]


# More than the suite has time for: FASTCKPT_STATEFUL_EXAMPLES=1000 tries others than it does.
_WANTED = os.environ.get("FASTCKPT_STATEFUL_EXAMPLES")

Savers.TestCase.settings = settings(
    max_examples=int(_WANTED or 30),
    stateful_step_count=30 if _WANTED else 20,
    deadline=None,
    derandomize=_WANTED is None,
    suppress_health_check=list(HealthCheck),
)
TestSavers = Savers.TestCase
