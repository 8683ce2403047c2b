"""Saves that are killed: readers find the old checkpoint or the new one, and nothing stays."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastckpt
from fastckpt import _core
from fastckpt.tools.crashtest.kills import kill_at_random, kill_everywhere
from fastckpt.tools.crashtest.saver import Saver
from fastckpt.tools.crashtest.scene import Case, companion, save, tensors
from fastckpt.tools.crashtest.verdict import Violation, check_next_save, read
from faults.crash_helpers import CASES, fast_folder, name_of

__all__ = ["fast_folder"]

RANDOM_INSTANTS = 8


@pytest.fixture(scope="module")
def saver() -> Iterator[Saver]:
    with Saver() as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_boundary(case: Case, fast_folder: Path, saver: Saver) -> None:
    outcomes = list(kill_everywhere(case, fast_folder, saver))
    assert [x for x in outcomes if x.violation] == []
    # Creating, writing, syncing and renaming of each shard, the index and the companion.
    assert len(outcomes) > 4 * (case.num_shards + 2)
    found = Counter(outcome.found for outcome in outcomes)
    assert set(found) == {case.before, "new"}
    # Killed between the commit and the return, and not at all.
    assert found["new"] >= 3


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_random_instants(case: Case, fast_folder: Path, saver: Saver) -> None:
    outcomes = list(kill_at_random(case, RANDOM_INSTANTS, fast_folder, saver, "1"))
    assert [x for x in outcomes if x.violation] == []
    assert len(outcomes) == RANDOM_INSTANTS


def test_the_process_dies_right_before_the_change(fast_folder: Path, saver: Saver) -> None:
    files = _core.TracedFiles()
    save(str(fast_folder / "a" / "ckpt"), "new", 1, sync=True, files=files)
    changes = [record[0] for record in files.records()]
    rename = changes.index("rename") + 1
    prefix = fast_folder / "b" / "ckpt"
    assert saver.save(str(prefix), 1, kill_before=rename).status == "killed"
    data = "ckpt.data-00000-of-00001"
    assert not (prefix.parent / data).exists()
    shutil.rmtree(prefix.parent)
    assert saver.save(str(prefix), 1, kill_before=rename + 1).status == "killed"
    assert (prefix.parent / data).exists()
    shutil.rmtree(prefix.parent)
    assert saver.save(str(prefix), 1, kill_before=len(changes) + 1).status == "done"
    assert read(str(prefix)) == "new"


def test_a_save_that_fails_is_told(fast_folder: Path, saver: Saver) -> None:
    ending = saver.save(f"{fast_folder}/", 1)
    assert ending.status == "failed"
    assert "InvalidArgumentError" in ending.error


# --- what is no violation, and what is -----------------------------------------------------------


@pytest.fixture
def saved(fast_folder: Path) -> str:
    """The prefix of the new checkpoint, in one shard."""
    prefix = str(fast_folder / "run" / "ckpt")
    save(prefix, "new", 1, sync=False)
    return prefix


def test_the_two_checkpoints_are_told_apart(saved: str) -> None:
    assert read(saved) == "new"
    save(saved, "old", 1, sync=False)
    assert read(saved) == "old"
    os.unlink(f"{saved}.index")
    os.unlink(f"{saved}.meta")
    assert read(saved) == "absent"


def test_the_tensors_differ_everywhere() -> None:
    old, new = tensors("old"), tensors("new")
    assert list(old) == list(new)
    for name in old:
        assert str(old[name]) != str(new[name])
    assert len(companion("old")) == len(companion("new"))
    assert companion("old") != companion("new")


def test_a_truncated_shard_is_a_violation(saved: str) -> None:
    os.truncate(f"{saved}.data-00000-of-00001", 1000)
    with pytest.raises(Violation, match="too short"):
        read(saved)


def test_a_missing_shard_is_a_violation(saved: str) -> None:
    os.unlink(f"{saved}.data-00000-of-00001")
    with pytest.raises(Violation, match="No such file"):
        read(saved)


def test_a_truncated_index_is_a_violation(saved: str) -> None:
    os.truncate(f"{saved}.index", 100)
    with pytest.raises(Violation, match="error"):
        read(saved)


def test_tensors_of_both_are_a_violation(saved: str) -> None:
    mixed = {**tensors("new"), "step": tensors("old")["step"]}
    fastckpt.save(saved, mixed)
    with pytest.raises(Violation, match=r"a mix: 25 tensors are new, 1 tensors are old, of 26"):
        read(saved)


def test_a_lost_tensor_is_a_violation(saved: str) -> None:
    fastckpt.save(saved, {k: v for k, v in tensors("new").items() if k != "step"})
    with pytest.raises(Violation, match="a mix"):
        read(saved)


@pytest.mark.parametrize("size", [0, 600])
def test_half_a_companion_is_a_violation(saved: str, size: int) -> None:
    os.truncate(f"{saved}.meta", size)
    with pytest.raises(Violation, match=r"ckpt\.meta is damaged"):
        read(saved)


def test_what_the_next_save_leaves_is_a_violation(saved: str) -> None:
    check_next_save(saved, "new", 1)
    Path(f"{saved}.unknown").touch()
    with pytest.raises(Violation, match=r"leaves behind or lacks ckpt\.unknown"):
        check_next_save(saved, "old", 1)


def test_a_next_save_that_fails_is_a_violation(saved: str) -> None:
    # A directory that no save can remove, under the name of a temporary file.
    Path(f"{saved}.index.tmp").mkdir()
    with pytest.raises(Violation, match="the next save fails"):
        check_next_save(saved, "new", 1)
