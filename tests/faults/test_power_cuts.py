"""Power cuts, simulated: no order of what was not synced makes a mix, and none may be left out."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path

import pytest

from fastckpt.tools.crashtest.cuts import (
    Readings,
    Trace,
    moments,
    replay,
    trace_next_saves,
    trace_save,
)
from fastckpt.tools.crashtest.disk import Disk, Record
from fastckpt.tools.crashtest.pictures import Content, Scratch
from fastckpt.tools.crashtest.scene import Case
from faults.crash_helpers import (
    CASES,
    fast_folder,
    first_violation,
    indices,
    name_of,
    swapped,
    without,
)

__all__ = ["fast_folder"]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_no_power_cut_makes_a_mix(case: Case) -> None:
    outcomes = list(replay(trace_save(case), seed=1))
    assert [x for x in outcomes if x.violation] == []
    found = Counter(outcome.found for outcome in outcomes)
    assert set(found) == {case.before, "new"}
    assert len(outcomes) > 50


@pytest.mark.parametrize("case", CASES[:2], ids=name_of)
def test_no_power_cut_makes_a_mix_while_a_killed_save_is_replaced(case: Case) -> None:
    traces = list(trace_next_saves(trace_save(case)))
    assert len(traces) >= 8
    outcomes = [x for after in traces for x in replay(after, seed=1, save_over=False)]
    assert [x for x in outcomes if x.violation] == []
    found = Counter(outcome.found for outcome in outcomes)
    assert set(found) == {case.before, "new", "next"}


# --- planted faults ------------------------------------------------------------------------------


def harmless_syncs(trace: Trace) -> list[int]:
    """Syncs that bring nothing to the device.

    Data files that hold no tensor are empty, and so they are without their sync: a name is the
    directory's business. Directories above the simulated disk are not on it.
    """
    written = {trace.records[i].file for i in indices(trace, "write")}
    empty = [i for i in indices(trace, "sync_file") if trace.records[i].file not in written]
    assert len(empty) == (1 if trace.case.overwrite else 0)
    top = trace.before.top
    directories = indices(trace, "sync_directory")
    return empty + [i for i in directories if not trace.records[i].path.startswith(top)]


def syncs_of(trace: Trace) -> list[tuple[int, ...]]:
    """All syncs; those of one directory between which no name in it changes are one."""
    found: list[tuple[int, ...]] = [(i,) for i in indices(trace, "sync_file")]
    open_groups: dict[str, tuple[int, ...]] = {}
    for i, record in enumerate(trace.records):
        if record.change == "sync_directory":
            open_groups[record.path] = (*open_groups.get(record.path, ()), i)
        elif record.change not in ("write", "truncate", "sync_file"):
            found += filter(None, [open_groups.pop(os.path.dirname(record.path), None)])
    return [*found, *open_groups.values()]


@pytest.mark.parametrize("case", CASES[:4], ids=name_of)
def test_every_sync_and_the_order_of_renames_matter(case: Case) -> None:
    trace = trace_save(case)
    readings: Readings = {}
    assert first_violation(trace, readings) is None

    syncs = syncs_of(trace)
    assert sorted(sum(syncs, ())) == indices(trace, "sync_file", "sync_directory")
    found = [first_violation(without(trace, *group), readings) is not None for group in syncs]
    harmless = harmless_syncs(trace)
    assert found == [group[0] not in harmless for group in syncs]

    # The index comes last; what comes before it has one sync of the directory, whatever its order.
    renames = indices(trace, "rename")
    assert trace.records[renames[-1]].new_path.endswith(".index")
    pairs = list(itertools.combinations(renames, 2))
    found = [first_violation(swapped(trace, *pair), readings) is not None for pair in pairs]
    assert found == [renames[-1] in pair for pair in pairs]


def test_removing_the_old_data_before_the_last_sync_is_found() -> None:
    trace = trace_save(Case(1, overwrite=True))
    sync = indices(trace, "sync_directory")[-1]
    old = next(
        i for i in indices(trace, "unlink") if trace.records[i].path.endswith("-00000-of-00001")
    )
    violation = first_violation(swapped(trace, sync, old), {})
    assert violation is not None
    assert "power cut after change" in violation.where


# --- the simulated disk --------------------------------------------------------------------------


def run(disk: Disk, top: Path, *steps: tuple[str, str, str, bytes]) -> None:
    """Apply changes: what, to which name, the new name, and what is written at offset 0."""
    for change, name, new_name, content in steps:
        number = 1 + sum(map(ord, name))
        new_path = str(top / new_name) if new_name else ""
        path = str(top / name) if name else str(top)
        disk.apply(Record(change, path, new_path, number, 0, content, 0))


def names_at_all(disk: Disk) -> set[frozenset[str]]:
    """Sets of names that each subset of the pending changes gives."""
    pending = disk.root.pending
    subsets = itertools.chain.from_iterable(
        itertools.combinations(pending, n) for n in range(len(pending) + 1)
    )
    return {frozenset(disk.root.entries(subset)) for subset in subsets}


def test_names_are_certain_after_the_sync_of_their_directory(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    run(disk, tmp_path, ("create", "a", "", b""), ("rename", "a", "b", b""))
    assert names_at_all(disk) == {frozenset(x) for x in ("", "a", "b")}
    run(disk, tmp_path, ("sync_file", "a", "", b""))
    assert len(names_at_all(disk)) == 3
    run(disk, tmp_path, ("sync_directory", "", "", b""))
    assert names_at_all(disk) == {frozenset("b")}
    run(disk, tmp_path, ("link", "b", "c", b""), ("unlink", "b", "", b""))
    assert names_at_all(disk) == {frozenset(x) for x in ("b", "bc", "c", "")}


def test_a_failed_call_changes_nothing(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.apply(Record("link", str(tmp_path / "a"), str(tmp_path / "b"), 0, 0, b"", -2))
    assert names_at_all(disk) == {frozenset()}


def test_content_is_certain_after_the_sync_of_its_file(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    run(disk, tmp_path, ("create", "a", "", b""), ("write", "a", "", b"x" * 1000))
    (file,) = [change.what for change in disk.root.pending]
    assert (file.settled, len(file.writes)) == (0, 1)
    run(disk, tmp_path, ("sync_file", "a", "", b""), ("write", "a", "", b"y" * 1500))
    assert (file.settled, len(file.writes)) == (1, 2)
    assert Content(1, "whole", 1, 1).of(file) == b"x" * 1000
    assert Content(1, "whole", 2, 2).of(file) == b"y" * 1500
    assert Content(1, "zeros", 1, 2).of(file) == b"x" * 1000 + bytes(500)


def test_torn_writes_are_whole_sectors_of_some_size(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    run(disk, tmp_path, ("create", "a", "", b""), ("write", "a", "", b"y" * 1500))
    (file,) = [change.what for change in disk.root.pending]
    seen = {Content(1, "torn", 0, 1, seed).of(file) for seed in range(200)}
    for content in seen:
        sectors = [content[i : i + 512] for i in range(0, len(content), 512)]
        assert all(len(set(sector)) == 1 for sector in sectors)
    assert {b"", b"y" * 1500, bytes(1500)} <= seen
    assert any(len(content) not in (0, 1500) for content in seen)
    assert any(content.startswith(bytes(512)) and b"y" in content for content in seen)


def test_pictures_become_files(fast_folder: Path) -> None:
    trace = trace_save(Case(1, overwrite=True))
    scratch = Scratch(fast_folder)
    some = list(itertools.islice(moments(trace, 0), 20))
    for moment in [*some, some[0]]:
        scratch.show(moment.picture, moment.disk)
        shown = {str(x.relative_to(scratch.stage)) for x in scratch.stage.rglob("*")}
        assert shown == moment.picture.folders | {path for path, _ in moment.picture.files}


def test_moments_repeat_with_their_seed() -> None:
    trace = trace_save(Case(1, overwrite=False))
    keys = [[m.picture.key for m in moments(trace, seed)] for seed in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]
