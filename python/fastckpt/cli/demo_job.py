"""The whole job on real files, timed: save, open, view, load, verify; TensorFlow's in between."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastckpt
from fastckpt.cli.demo_model import Model
from fastckpt.cli.demo_tensorflow import TensorFlow, TensorFlowFailed
from fastckpt.names import index_file

__all__ = ["STEPS", "Job", "Outcome", "Step"]

STEPS = ("save", "save, durable", "open", "view", "load", "load_into", "verify")

# The first round touches memory and files for the first time. It counts only where it is so slow
# that the others alone would take too long.
_ROUNDS = 3
_MAX_WARM_UP_SECONDS = 7.0
_MAX_SECONDS = 32.0

# These get memory of the system's that nobody had before. Where the system itself has to ask for
# it, under a hypervisor, that can take ten times as long as the step: it is fetched beforehand,
# for both sides.
_TAKES_MEMORY = frozenset({"save", "save, durable", "load"})
_PAGE_BYTES = 4096


class Step(NamedTuple):
    """The median times of one step; `theirs` is None where TensorFlow has no such step."""

    name: str
    nbytes: int
    seconds: float
    theirs: float | None


class Outcome(NamedTuple):
    """What a job found out.

    Attributes
    ----------
    rounds : int
        How many the medians are of.
    warmed_up : bool
        Whether a round before them was not counted.
    equal_tensors : int or None
        Tensors whose checksums TensorFlow wrote as they were after it had restored them.
    failure : str or None
        Why TensorFlow's times are missing though it is installed.
    """

    steps: list[Step]
    rounds: int
    warmed_up: bool
    equal_tensors: int | None
    failure: str | None


class Job:
    """Saves and reads one model in `folder`, again and again."""

    def __init__(
        self,
        model: Model,
        folder: Path,
        *,
        num_shards: int,
        num_threads: int,
        peer: TensorFlow | None,
        tell: Callable[[str], None],
    ) -> None:
        self.prefix = str(folder / "model.ckpt-120000")
        self._theirs = str(folder / "tensorflow.ckpt-120000")
        self._model = model
        self._num_shards = num_shards
        self._num_threads = num_threads
        self._peer = peer
        self._tell = tell
        self._round = 0
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._peer_seconds: dict[str, list[float]] = defaultdict(list)
        self._equal_tensors: int | None = None
        self._failure: str | None = None

    def run(self) -> Outcome:
        """Run rounds until there are enough, or the time is up."""
        start = time.perf_counter()
        self._run_round()
        self._check_values()
        self._check_peer()
        warmed_up = time.perf_counter() - start < _MAX_WARM_UP_SECONDS
        if warmed_up:
            self._seconds.clear()
            self._peer_seconds.clear()
        while len(self._seconds["verify"]) < _ROUNDS:
            if self._seconds["verify"] and time.perf_counter() - start > _MAX_SECONDS:
                break
            self._run_round()
        rounds = len(self._seconds["verify"])
        return Outcome(self._medians(), rounds, warmed_up, self._equal_tensors, self._failure)

    def time_round(self) -> float:
        """Give the seconds that a round takes, of two the shorter."""
        return min(_timed(self._run_round) for _ in range(2))

    # --- a round ---------------------------------------------------------------------------------

    def _run_round(self) -> None:
        self._round += 1
        self._save()
        with fastckpt.open(self.prefix, num_threads=self._num_threads) as checkpoint:
            names = list(checkpoint)
            viewable = [x.name for x in checkpoint.tensors() if x.can_view]
            # Whichever way they were written, files are read from the page cache.
            checkpoint.verify()
        self._time("open", lambda: fastckpt.open(self.prefix).close())
        self._ask("open", lambda peer: peer.open(self.prefix))
        with self._opened() as checkpoint:
            self._time("view", lambda: [checkpoint[name] for name in viewable])
        self._ask("view", lambda peer: peer.read(self.prefix, viewable, keeps=False))
        with self._opened() as checkpoint:
            loaded = [self._time("load", checkpoint.load)]
        with self._opened() as checkpoint:
            self._time("load_into", lambda: checkpoint.load_into(loaded[0]))
        # TensorFlow gets the memory for its own.
        loaded.clear()
        self._ask("load", lambda peer: peer.read(self.prefix, names, keeps=True))
        with self._opened() as checkpoint:
            self._time("verify", checkpoint.verify)

    def _save(self) -> None:
        self._remove(self.prefix)
        self._time("save", lambda: self._write(sync=False))
        if self._round == 1:
            self._restore()
        self._ask("save", lambda peer: peer.save(self._theirs))
        if self._round > 1:
            # Else it would be written back while the next step waits for the device.
            self._remove(self._theirs)
        self._remove(self.prefix)
        self._time("save, durable", lambda: self._write(sync=True))

    def _write(self, *, sync: bool) -> None:
        model = self._model
        with fastckpt.CheckpointWriter(
            self.prefix, num_shards=self._num_shards, sync=sync, num_threads=self._num_threads
        ) as writer:
            writer.add_all(model.tensors)
            for start, part in model.parts():
                writer.add_slice(model.table_name, part, model.table.shape, (start, None))

    def _opened(self) -> contextlib.AbstractContextManager[fastckpt.Checkpoint]:
        # Opened anew for each step: what one has compared is not compared again.
        return fastckpt.open(self.prefix, num_threads=self._num_threads)

    def _time(self, step: str, action: Callable[[], Any]) -> Any:
        self._tell(f"round {self._round}: {step}")
        self._fetch_memory(step)
        start = time.perf_counter()
        result = action()
        self._seconds[step].append(time.perf_counter() - start)
        return result

    def _fetch_memory(self, step: str) -> None:
        if step in _TAKES_MEMORY:
            np.empty(self._model.nbytes, np.uint8)[::_PAGE_BYTES] = 1

    def _remove(self, prefix: str) -> None:
        for path in _files(prefix):
            path.unlink()

    # --- TensorFlow ------------------------------------------------------------------------------

    def _ask(self, step: str, action: Callable[[TensorFlow], float]) -> None:
        if self._peer is None:
            return
        self._tell(f"round {self._round}: {step}, by TensorFlow")
        self._fetch_memory(step)
        try:
            self._peer_seconds[step].append(action(self._peer))
        except TensorFlowFailed as error:
            self._give_up(error)

    def _restore(self) -> None:
        """Let TensorFlow read what was saved, which is then what it saves."""
        if self._peer is None:
            return
        self._tell("restored by TensorFlow")
        rows, width = self._model.table.shape
        wanted = [(name, "") for name in self._model.tensors]
        for start, part in self._model.parts():
            wanted.append((self._model.table_name, f"{rows} {width} {start},{len(part)}:-"))
        try:
            self._peer.restore(self.prefix, wanted)
        except TensorFlowFailed as error:
            self._give_up(error)

    def _give_up(self, error: TensorFlowFailed) -> None:
        self._peer = None
        self._peer_seconds.clear()
        self._failure = str(error)

    # --- what came of it -------------------------------------------------------------------------

    def _check_values(self) -> None:
        """Raise DataLossError unless what is read back is what was saved."""
        self._tell("comparing with what was saved")
        wanted = {**self._model.tensors, self._model.table_name: self._model.table}
        with self._opened() as checkpoint:
            for name, array in checkpoint.stream():
                if not _is_same(array, wanted.pop(name)):
                    raise fastckpt.DataLossError(f"{name!r} is not what was saved", key=name)
        if wanted:
            raise fastckpt.DataLossError(f"{next(iter(wanted))!r} was not saved")

    def _check_peer(self) -> None:
        """Compare the checksums that TensorFlow wrote with those that it had read."""
        if self._peer is None:
            return
        ours, theirs = _checksums(self.prefix), _checksums(self._theirs)
        self._equal_tensors = sum(theirs.get(name) == crcs for name, crcs in ours.items())

    def _medians(self) -> list[Step]:
        with self._opened() as checkpoint:
            amounts = dict.fromkeys(STEPS, checkpoint.nbytes)
            amounts["view"] = sum(x.nbytes for x in checkpoint.tensors() if x.can_view)
        amounts["open"] = os.path.getsize(index_file(self.prefix))
        return [
            Step(
                step,
                amounts[step],
                statistics.median(self._seconds[step]),
                statistics.median(self._peer_seconds[step]) if self._peer_seconds[step] else None,
            )
            for step in STEPS
        ]


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _files(prefix: str) -> Iterator[Path]:
    path = Path(prefix)
    return path.parent.glob(f"{path.name}.*")


def _checksums(prefix: str) -> dict[str, Any]:
    with fastckpt.open(prefix) as checkpoint:
        return {
            x.name: (x.crc32c, sorted((part.start, part.crc32c) for part in x.parts))
            for x in checkpoint.tensors()
        }


def _is_same(array: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return bool(array.tolist() == [text.encode() for text in wanted])
    wanted = np.asarray(wanted)
    if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
        return False
    return bool(np.array_equal(_as_bytes(array), _as_bytes(wanted)))


def _as_bytes(array: Any) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
