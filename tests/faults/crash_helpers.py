"""Folders in memory for tests that need no device, and traces with planted faults."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastckpt.tools.crashtest.cuts import Outcome, Readings, Trace, fast_directory, replay
from fastckpt.tools.crashtest.scene import Case

CASES = [Case(num_shards, overwrite) for num_shards in (1, 4, 16) for overwrite in (False, True)]


def name_of(case: Case) -> str:
    """Name a case in test ids."""
    return f"{case.num_shards}-{'overwrite' if case.overwrite else 'new'}"


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """An empty folder, in memory where there is such a place."""
    with tempfile.TemporaryDirectory(prefix="fastckpt-test-", dir=fast_directory()) as name:
        yield Path(name)


def without(trace: Trace, *left_out: int) -> Trace:
    """Leave records out."""
    records = [record for i, record in enumerate(trace.records) if i not in left_out]
    return trace._replace(records=tuple(records))


def swapped(trace: Trace, first: int, second: int) -> Trace:
    """Let two records change places."""
    records = list(trace.records)
    records[first], records[second] = records[second], records[first]
    return trace._replace(records=tuple(records))


def indices(trace: Trace, *changes: str) -> list[int]:
    """Where the records of some kinds are."""
    return [i for i, record in enumerate(trace.records) if record.change in changes]


def first_violation(trace: Trace, readings: Readings) -> Outcome | None:
    """Replay up to the first violation; none when all is well."""
    outcomes = replay(trace, 0, save_over=False, readings=readings)
    return next((outcome for outcome in outcomes if outcome.violation), None)
