"""Power cuts, simulated from the trace of one save."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fastckpt._core import TracedFiles
from fastckpt.tools.crashtest.disk import Disk, Record
from fastckpt.tools.crashtest.pictures import Picture, Scratch, all_of, pictures
from fastckpt.tools.crashtest.scene import Case, Generation, save
from fastckpt.tools.crashtest.verdict import Violation, check_next_save, demand, read

__all__ = [
    "Moment", "Outcome", "Readings", "Trace", "moments", "replay", "trace_next_saves",
    "trace_save",
]  # fmt: skip

# Random pictures right before a sync, and at other points: what may be there at these may be there
# right before the sync as well.
_SAMPLES_WHEN_RIPE = 16
_SAMPLES = 3

# What is found in a picture, by its key, and what is wrong with that.
Readings = dict[object, tuple[str, str | None]]

# Every picture of that number is saved over.
_SAVED_OVER = 25

# More than one save makes.
_MORE_FILES = 1 << 20

_NAME_CHANGES = ("create", "rename", "link", "unlink", "make_directory")
_SYNCS = ("sync_file", "sync_directory")


class Trace(NamedTuple):
    """What saves do to files, and the disk before.

    Attributes
    ----------
    case : Case
        What is saved.
    before : Disk
        Of which everything is certain.
    records : tuple of Record
        The changes, in order.
    saved : str
        What the last save writes.
    start : int
        How many records are there already when the power may fail.
    """

    case: Case
    before: Disk
    records: tuple[Record, ...]
    saved: Generation = "new"
    start: int = 0


class Moment(NamedTuple):
    """A power cut: after how many records of a trace, and what the device holds then."""

    num_records: int
    disk: Disk
    picture: Picture


class Outcome(NamedTuple):
    """What a reader finds after a power cut, and what is wrong with that."""

    where: str
    found: str
    violation: str | None


def trace_save(case: Case) -> Trace:
    """Save once, in a temporary directory, and keep what happens."""
    with tempfile.TemporaryDirectory(prefix="fastckpt-trace-", dir=fast_directory()) as name:
        folder = Path(name)
        case.prepare(folder)
        before = Disk(folder)
        files = TracedFiles()
        save(case.prefix(folder), "new", case.num_shards, sync=True, files=files)
    return Trace(case, before, tuple(Record(*fields) for fields in files.records()))


def trace_next_saves(trace: Trace) -> Iterator[Trace]:
    """Kill the save of a trace after each change of a name, and save over what it left there.

    Names of data files are left out: all that matters is whether the index is there.
    """
    for n, record in enumerate(trace.records, 1):
        if record.change in _NAME_CHANGES and ".data-" not in record.path:
            yield _trace_next_save(trace, n)


def _trace_next_save(trace: Trace, num_records: int) -> Trace:
    disk = copy.deepcopy(trace.before)
    done = trace.records[:num_records]
    for record in done:
        disk.apply(record)
    with tempfile.TemporaryDirectory(prefix="fastckpt-trace-", dir=fast_directory()) as name:
        scratch = Scratch(Path(name))
        scratch.show(all_of(disk), disk)
        files = TracedFiles()
        prefix = trace.case.prefix(scratch.stage)
        save(prefix, "next", trace.case.num_shards, sync=True, files=files)
        following = [
            _moved(Record(*fields), str(scratch.stage), disk.top) for fields in files.records()
        ]
    return trace._replace(records=(*done, *following), saved="next", start=num_records)


def _moved(record: Record, top: str, new_top: str) -> Record:
    """Let a record tell of files below another directory, with numbers of their own."""
    paths = [
        new_top + path.removeprefix(top) if path.startswith(top) else path
        for path in (record.path, record.new_path)
    ]
    return record._replace(path=paths[0], new_path=paths[1], file=record.file + _MORE_FILES)


def moments(trace: Trace, seed: int) -> Iterator[Moment]:
    """Choose power cuts: at each point of a trace, several things that a device may hold."""
    disk = copy.deepcopy(trace.before)
    seen = set()
    for i in range(len(trace.records) + 1):
        is_end = i == len(trace.records)
        following = "" if is_end else trace.records[i].change
        samples = _SAMPLES_WHEN_RIPE if is_end or following in _SYNCS else _SAMPLES
        is_ripe = is_end or following == "sync_directory"
        choice = random.Random(f"{seed}/{i}")  # noqa: S311 - repeatable, not secret
        for picture in pictures(disk, choice, is_ripe=is_ripe, samples=samples):
            if i >= trace.start and (picture.key, is_end) not in seen:
                seen.add((picture.key, is_end))
                yield Moment(i, disk, picture)
        if not is_end:
            disk.apply(trace.records[i])


def replay(
    trace: Trace, seed: int, *, save_over: bool = True, readings: Readings | None = None
) -> Iterator[Outcome]:
    """Let the power fail at each point of a trace; read, and now and then save, what is left.

    `readings` keeps what was found in each picture, for further traces of the same save.
    """
    readings = {} if readings is None else readings
    with tempfile.TemporaryDirectory(prefix="fastckpt-cut-", dir=fast_directory()) as name:
        scratch = Scratch(Path(name))
        for i, moment in enumerate(moments(trace, seed)):
            saves_over = save_over and i % _SAVED_OVER == 0
            found, violation = _judge(trace, moment, scratch, readings, saves_over=saves_over)
            where = _where(trace.records, moment) if violation else ""
            yield Outcome(where, found, violation)


def _judge(
    trace: Trace, moment: Moment, scratch: Scratch, readings: Readings, *, saves_over: bool
) -> tuple[str, str | None]:
    """Say what is found, and what is wrong with it."""
    prefix = trace.case.prefix(scratch.stage)
    key = moment.picture.key
    if saves_over or key not in readings:
        scratch.show(moment.picture, moment.disk)
    if key not in readings:
        readings[key] = _read(prefix)
    found, violation = readings[key]
    if violation is not None:
        return found, violation
    try:
        demand(found, allowed_at(trace, moment.num_records))
        if saves_over:
            check_next_save(prefix, found, trace.case.num_shards)
    except Violation as problem:
        return found, str(problem)
    return found, None


def _read(prefix: str) -> tuple[str, str | None]:
    try:
        return read(prefix), None
    except Violation as violation:
        return "?", str(violation)


def allowed_at(trace: Trace, num_records: int) -> set[str]:
    """What may be found after that part of a trace: what was saved, once the save returned."""
    is_end = num_records == len(trace.records)
    return {trace.saved} if is_end else {trace.case.before, "new", trace.saved}


def fast_directory() -> str | None:
    """Name a directory in memory, where there is one: nothing here depends on a device."""
    shared_memory = "/dev/shm"  # noqa: S108 - the files in it have names nobody can guess
    try:
        with tempfile.TemporaryFile(dir=shared_memory):
            return shared_memory
    except OSError:
        return None


def _where(records: Sequence[Record], moment: Moment) -> str:
    n = moment.num_records
    last = records[n - 1] if n else "nothing"
    return f"power cut after change {n} of {len(records)} ({last}); {moment.picture.text}"
