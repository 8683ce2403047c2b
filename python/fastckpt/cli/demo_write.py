"""``fastckpt demo`` without a path: room and memory, the job, and one table."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType
from typing import NamedTuple, Never

import fastckpt
from fastckpt.checkpoint.options import resolve_num_threads
from fastckpt.checkpoint.writer import default_num_shards
from fastckpt.cli.demo_job import Job, Outcome, Step
from fastckpt.cli.demo_model import Model, make_model
from fastckpt.cli.demo_room import check_disk, directory_on_disk, fitting_size
from fastckpt.cli.demo_tensorflow import TensorFlow, TensorFlowFailed, is_installed
from fastckpt.cli.terminal import (
    Column,
    is_terminal,
    print_json_rows,
    print_table,
    styled,
    wrapped,
    write,
)
from fastckpt.cli.text import counted, human_size, human_time, safe

__all__ = ["Request", "show_writing"]

# A small checkpoint tells how large a one this machine can do in the time that people wait.
_PILOT_BYTES = 64 << 20
_MAX_SECONDS = 20.0
_ROUNDS_TO_COME = 4

_EXPLANATION = """
save           into the page cache, which is as far as TensorFlow goes
save, durable  returns when files and directory are on the device
view           arrays on the file's pages, checksums compared; TensorFlow copies
load           into memory of their own; load_into: into memory that exists
verify         reads everything, with the padding between the tensors
"""

_COLUMNS = (
    Column("step"),
    Column("bytes", right=True),
    Column("time", right=True),
    Column("GB/s", right=True, style="green"),
)
_PEER_COLUMNS = (
    Column("TensorFlow", right=True),
    Column("GB/s", right=True),
    Column("faster", right=True, style="cyan"),
)


class Request(NamedTuple):
    """The options of the command; None where they were not given."""

    nbytes: int | None
    directory: str | None
    num_shards: int | None
    num_threads: int | None
    as_json: bool


def show_writing(request: Request) -> None:
    """Write a checkpoint, read it in every way, and tell what that took."""
    nbytes = fitting_size(request.nbytes)
    parent = request.directory or directory_on_disk()
    check_disk(parent, nbytes, has_peer=is_installed())
    with (
        _terminated_as_by_ctrl_c(),
        tempfile.TemporaryDirectory(prefix="fastckpt-", dir=parent) as name,
        _Status() as status,
    ):
        facts, outcome = _run(request, nbytes, Path(name), status)
    (_print_json if request.as_json else _print)(facts, outcome)


class _Facts(NamedTuple):
    model: Model
    num_tensors: int
    directory: str
    num_shards: int
    num_threads: int
    tensorflow: str | None
    wanted_bytes: int


# --- running it ----------------------------------------------------------------------------------


def _run(request: Request, wanted: int, folder: Path, status: _Status) -> tuple[_Facts, Outcome]:
    threads = resolve_num_threads(request.num_threads)
    nbytes = wanted
    if request.nbytes is None:
        status.tell("trying how fast this machine is")
        nbytes = min(nbytes, _affordable_size(folder, threads))
    with contextlib.ExitStack() as stack:
        # It imports while the model is made.
        peer = stack.enter_context(TensorFlow()) if is_installed() else None
        status.tell("making up a model")
        model = make_model(nbytes)
        everything = {**model.tensors, model.table_name: model.table}
        shards = request.num_shards or default_num_shards(everything, threads)
        status.tell("starting TensorFlow" if peer else "")
        version, failure = _start(peer)
        outcome = Job(
            model,
            folder,
            num_shards=shards,
            num_threads=threads,
            peer=peer if version else None,
            tell=status.tell,
        ).run()
    facts = _Facts(model, len(everything), str(folder), shards, threads, version, wanted)
    return facts, outcome._replace(failure=outcome.failure or failure)


def _affordable_size(folder: Path, num_threads: int) -> int:
    """Give the bytes that can be gone through in time."""
    pilot = Job(
        make_model(_PILOT_BYTES),
        folder,
        num_shards=1,
        num_threads=num_threads,
        peer=None,
        tell=lambda _: None,
    )
    seconds = pilot.time_round() * _ROUNDS_TO_COME * (1 + is_installed())
    return max(int(_PILOT_BYTES * _MAX_SECONDS / seconds), _PILOT_BYTES)


def _start(peer: TensorFlow | None) -> tuple[str | None, str | None]:
    """Wait for TensorFlow; give its version, or why there is none."""
    if peer is None:
        return None, None
    try:
        return peer.version(), None
    except TensorFlowFailed as error:
        return None, str(error)


@contextlib.contextmanager
def _terminated_as_by_ctrl_c() -> Iterator[None]:
    """Let a terminated process remove its files, too."""

    def stop(_signal: int, _frame: FrameType | None) -> Never:
        raise KeyboardInterrupt

    before = {x: signal.signal(x, stop) for x in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Status:
    """One line on a terminal that says what is under way."""

    def __init__(self) -> None:
        self._is_shown = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> _Status:
        return self

    def __exit__(self, *_: object) -> None:
        self.tell("")

    def tell(self, text: str) -> None:
        """Show this instead of what stood there."""
        if self._is_shown:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()


# --- what is written at the end ------------------------------------------------------------------


def _print(facts: _Facts, outcome: Outcome) -> None:
    _print_head(facts)
    print_table(*_table(outcome))
    write(f"\n{styled(_EXPLANATION.strip(), 'dim')}\n\n")
    for line in _conclusions(facts, outcome):
        write(f"{wrapped(line)}\n")


def _print_head(facts: _Facts) -> None:
    what = f"{human_size(facts.model.nbytes)} in {counted(facts.num_tensors, 'tensor')}"
    write(f"{styled(f'A checkpoint of {what}', 'bold')}, as a small language model has them\n")
    where = f"{counted(facts.num_shards, 'shard')}, {counted(facts.num_threads, 'thread')}"
    place = f"{where}, below {safe(os.path.dirname(facts.directory))}, removed at the end"
    write(f"{wrapped(place)}\n")
    name, array = max(
        ((k, v) for k, v in facts.model.tensors.items() if hasattr(v, "nbytes")),
        key=lambda x: x[1].nbytes,
    )
    write(f"{styled(f'such as {name} {list(array.shape)} {array.dtype}', 'dim')}\n\n")


def _table(outcome: Outcome) -> tuple[tuple[Column, ...], list[tuple[str, ...]]]:
    if not any(x.theirs for x in outcome.steps):
        return _COLUMNS, [_row(x) for x in outcome.steps]
    return _COLUMNS + _PEER_COLUMNS, [_row(x) + _peer_cells(x) for x in outcome.steps]


def _row(step: Step) -> tuple[str, ...]:
    size, duration = human_size(step.nbytes), human_time(step.seconds)
    return step.name, size, duration, _rate(step, step.seconds)


def _peer_cells(step: Step) -> tuple[str, ...]:
    if step.theirs is None:
        return "-", "-", "-"
    return human_time(step.theirs), _rate(step, step.theirs), f"{step.theirs / step.seconds:.1f}x"


def _rate(step: Step, seconds: float) -> str:
    # What opening takes goes by tensors, not by bytes.
    return "-" if step.name == "open" else f"{step.nbytes / seconds / 1e9:.2f}"


def _conclusions(facts: _Facts, outcome: Outcome) -> Iterator[str]:
    how = ", after one that was not counted" if outcome.warmed_up else ""
    rounds = counted(outcome.rounds, "round")
    yield f"Median of {rounds}{how}; files in the page cache, fresh memory fetched before."
    if facts.model.nbytes < facts.wanted_bytes // 2:
        yield f"For {human_size(facts.wanted_bytes)}, pass --size: it would take longer here."
    yield f"All {facts.num_tensors} tensors read back as they were saved."
    if outcome.equal_tensors is not None:
        yield (
            f"TensorFlow {facts.tensorflow}, in a process of its own and in turn, restored "
            f"{outcome.equal_tensors} of them and saved them with equal checksums, in one shard."
        )
    elif outcome.failure is not None:
        yield f"TensorFlow is installed and left out: {safe(outcome.failure)}."
    else:
        yield "With TensorFlow beside it: pip install tensorflow-cpu, and run this again."
    yield _golden()


def _golden() -> str:
    """Read what TensorFlow itself wrote: the small checkpoints of the package."""
    with as_file(files("fastckpt") / "golden") as root:
        manifest = tomllib.loads((root / "MANIFEST.toml").read_text(encoding="utf-8"))
        sections = manifest["checkpoint"].values()
        good = sum(fastckpt.open(root / x["prefix"]).verify().ok for x in sections)
    return (
        f"Of {len(sections)} small checkpoints that come with the package, written by TensorFlow "
        f"{manifest['version']}, {good} were read and verified."
    )


def _print_json(facts: _Facts, outcome: Outcome) -> None:
    head = {
        "bytes": facts.model.nbytes,
        "tensors": facts.num_tensors,
        "shards": facts.num_shards,
        "threads": facts.num_threads,
        "rounds": outcome.rounds,
        "tensorflow": facts.tensorflow,
        "tensorflow_failure": outcome.failure,
        "tensors_equal_in_tensorflow": outcome.equal_tensors,
    }
    rows = (
        {"step": x.name, "bytes": x.nbytes, "seconds": x.seconds, "tensorflow_seconds": x.theirs}
        for x in outcome.steps
    )
    print_json_rows(head, "steps", rows)
