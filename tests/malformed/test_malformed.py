"""Every malformed checkpoint gives the error it must give, or the right data: in this one process.

No case may take long (a guard ends the run) or allocate more than 16 MiB + 4 x the bytes present.
"""

from __future__ import annotations

import faulthandler
import filecmp
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from malformed import generate
from malformed.case import Case, Expected

CASES = generate.all_cases()
OUTCOMES = Path(__file__).with_name("tensorflow_outcomes.json")

# Ten times what is promised: a hang is told from a busy machine.
GUARD_S = 10
ALLOWANCE_BYTES = 16 << 20
# What Python itself takes to make errors, and the lists that the test compares.
NOISE_BYTES = 4 << 20
CAN_MEASURE = Path("/proc/self/clear_refs").exists() and "FASTCKPT_SANITIZED" not in os.environ


@contextmanager
def guard() -> Iterator[None]:
    """End the process with every stack where the body takes too long."""
    faulthandler.dump_traceback_later(GUARD_S, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def memory(field: str) -> int:
    found = re.search(field + r":\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


class Peak:
    """The most memory that the process took since this object was made."""

    def __init__(self) -> None:
        if CAN_MEASURE:
            Path("/proc/self/clear_refs").write_text("5")
            self.before = memory("VmRSS")

    def extra(self) -> int:
        return memory("VmHWM") - self.before if CAN_MEASURE else 0


def present(folder: Path) -> int:
    """Bytes on disk: holes take none."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(min(path.stat().st_size, path.stat().st_blocks * 512) for path in files)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = case.build(tmp_path)
    available = present(tmp_path)
    peak = Peak()
    with guard():
        judge(case, path)
    assert peak.extra() < ALLOWANCE_BYTES + 4 * available + NOISE_BYTES


def judge(case: Case, path: Path) -> None:
    """Open, list, read in every way, verify."""
    if case.opens is not None:
        with pytest.raises(fastckpt.CheckpointError) as caught:
            fastckpt.open(path)
        assert isinstance(caught.value, case.opens), repr(caught.value)
        assert str(caught.value)
        skip_damage(case, path)
        return
    with fastckpt.open(path) as ckpt:
        assert sorted(ckpt) == sorted(case.tensors)
        for name, expected in case.tensors.items():
            for read in (lambda: ckpt[name], lambda: ckpt.tensor(name).read()):  # noqa: B023
                check(read, expected, name)
            check(lambda: ckpt.load([name])[name], expected, name)  # noqa: B023
        assert ckpt.verify().ok is case.sound, ckpt.verify().failures
        failed = {failure.name for failure in ckpt.verify().failures} - {None}
        assert failed <= set(case.tensors)


def skip_damage(case: Case, path: Path) -> None:
    """What is refused may open in part with on_damage="skip", and then says so."""
    error: Exception | None = None
    try:
        ckpt = fastckpt.open(path, on_damage="skip")
    except fastckpt.CheckpointError as raised:
        error = raised
    if error is not None:
        assert case.opens is not None
        assert isinstance(error, case.opens), repr(error)
        return
    with ckpt:
        assert ckpt.damage
        assert all(array.size for array in ckpt.load().values())
        assert not ckpt.verify().ok


def check(read: Callable[[], Any], expected: Expected, name: str) -> None:
    if isinstance(expected, type):
        with pytest.raises(fastckpt.CheckpointError) as caught:
            read()
        assert isinstance(caught.value, expected), repr(caught.value)
        if not issubclass(expected, OSError):
            assert caught.value.key == name
        return
    found = np.asarray(read()).tolist()
    assert found == expected


def test_skipping_leaves_the_good_tensors(tmp_path: Path) -> None:
    """With on_damage="skip" whatever opens has the same good tensors."""
    skipped = 0
    for number, case in enumerate(CASES.values()):
        if case.opens is not None or case.id.startswith("slices/many"):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        with guard(), fastckpt.open(case.build(folder), on_damage="skip") as ckpt:
            good = {n for n, value in case.tensors.items() if not isinstance(value, type)}
            assert good <= set(ckpt) <= set(case.tensors), case.id
            for name in good:
                assert ckpt[name].tolist() == case.tensors[name], case.id
            skipped += bool(ckpt.damage)
    assert skipped > 50


# --- the collection itself -----------------------------------------------------------------------


def test_there_are_many_and_they_differ(tmp_path: Path) -> None:
    assert len([case for case in CASES.values() if case.kind != "corruption"]) >= 150
    kinds = {case.kind for case in CASES.values()}
    assert {
        "table",
        "header",
        "entry",
        "blocks",
        "slices",
        "strings",
        "v1meta",
        "v1record",
        "state",
    } <= kinds
    contents = set()
    for number, case in enumerate(CASES.values()):
        if case.kind == "corruption":
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        case.build(folder)
        contents.add(json.dumps([(p.name, _content(p)) for p in sorted(folder.iterdir())]))
        assert case.description
        assert case.reason
    assert len(contents) == number + 1 - len([c for c in CASES.values() if c.kind == "corruption"])


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.is_dir() or path.is_fifo() or path.stat().st_size > 1 << 30:
        return f"{path.stat().st_mode} {path.stat().st_size}"
    return path.read_bytes().hex()


def test_generating_is_deterministic(tmp_path: Path) -> None:
    for number, case in enumerate(CASES.values()):
        folders = [tmp_path / f"{number}.{turn}" for turn in "ab"]
        for folder in folders:
            folder.mkdir()
            case.build(folder)
        names = sorted(path.name for path in folders[0].iterdir() if path.is_file())
        small = [n for n in names if (folders[0] / n).stat().st_size < 1 << 30]
        _, differ, failed = filecmp.cmpfiles(*folders, small, shallow=False)
        assert not differ, case.id
        assert not failed, case.id


def test_tensorflow_was_tried_on_every_case() -> None:
    outcomes = json.loads(OUTCOMES.read_text(encoding="utf-8"))["outcomes"]
    assert sorted(outcomes) == sorted(CASES)
