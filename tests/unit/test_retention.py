"""Which checkpoints stay: both timelines of TensorFlow, and the lists around them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from fastckpt.training.retention import ManagerRule, SaverRule, Tracked, same_checkpoint

HOUR = 3600.0
EVERY = 20 * 60.0


def save(rule: SaverRule, path: str, time: float) -> str | None:
    rule.adopt(rule.plan(path, time))
    return rule.to_remove()


def names(rule: SaverRule | ManagerRule) -> list[str]:
    return [x.path for x in rule.checkpoints]


def test_timeline_of_a_saver() -> None:
    rule = SaverRule(2, 1.0, start=0.0)
    removed = [save(rule, str(i), i * EVERY) for i in range(1, 14)]
    # Saved at minute 60 and 120 is not after the threshold; 80, 140 and 200 are.
    assert removed == [None, None, "1", "2", "3", None, "5", "6", None, "8", "9", None, "11"]
    assert names(rule) == ["12", "13"]


def test_timeline_of_a_manager() -> None:
    rule = ManagerRule(2, 1.0, last_preserved=-1.0)
    removed = []
    for i in range(1, 14):
        rule.add(str(i), i * EVERY)
        removed += rule.sweep()
    assert removed == ["1", "2", "4", "5", "7", "8", "10", "11"][: len(removed)]
    # 3, 6 and 9 were saved one hour after the one preserved before.
    assert names(rule) == ["12", "13"]
    assert rule.last_preserved == 9 * EVERY
    assert removed == ["1", "2", "4", "5", "7", "8", "10", "11"]


@pytest.mark.parametrize("last", [-1.0, 0.0])
def test_a_manager_counts_from_its_start(last: float) -> None:
    rule = ManagerRule(1, 1.0, last_preserved=last)
    for i in range(1, 5):
        rule.add(str(i), i * EVERY)
    # At minute 60 an hour has passed since minute 0, and more since a second before.
    assert rule.sweep() == ["1", "2"]


def test_planning_changes_nothing() -> None:
    rule = SaverRule(1, 1.0, start=0.0)
    save(rule, "a", 1.0)
    kept = rule.plan("b", 2.0)
    assert (names(rule), rule.to_remove()) == (["a"], None)
    assert kept.checkpoints == [Tracked("b", 2.0)]
    assert kept.dropped == [Tracked("a", 1.0)]


def test_without_a_list_nothing_is_remembered_or_removed() -> None:
    rule = SaverRule(0, 1.0, start=0.0)
    assert [save(rule, str(i), 0.0) for i in range(5)] == [None] * 5
    assert names(rule) == []


def test_a_list_from_outside_survives_saves_that_keep_no_list() -> None:
    rule = SaverRule(0, 1.0, start=0.0)
    rule.checkpoints = [Tracked("old", 0.0)]
    assert save(rule, "new", 1.0) is None
    assert names(rule) == ["old"]


def test_saving_again_moves_to_the_end() -> None:
    rule = SaverRule(2, 1000.0, start=0.0)
    for path in ("a", "b", "a"):
        assert save(rule, path, 0.0) is None
    assert names(rule) == ["b", "a"]
    assert save(rule, "c", 0.0) == "b"


def test_a_long_list_from_outside_is_shortened_one_by_one() -> None:
    rule = SaverRule(1, 1000.0, start=0.0)
    rule.checkpoints = [Tracked(x, 0.0) for x in "abc"]
    assert [save(rule, x, 0.0) for x in "def"] == ["a", "b", "c"]
    assert names(rule) == ["d", "e", "f"]


def test_an_infinite_time_is_always_after_the_threshold() -> None:
    rule = SaverRule(1, 1.0, start=0.0)
    rule.checkpoints = [Tracked("a", math.inf)]
    assert save(rule, "b", 0.0) is None
    assert names(rule) == ["b"]


def test_two_spellings_are_one_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("d")
    os.symlink("d", "link")
    rule = SaverRule(1, 1.0, start=0.0)
    spellings = ["d/m", "./d/m", str(tmp_path / "d" / "m"), "d/../d/m", "link/m"]
    assert [save(rule, path, 0.0) for path in spellings] == [None] * 5
    assert names(rule) == ["link/m"]
    assert not same_checkpoint("d/m", "e/m")
    assert not same_checkpoint("d/m", "d/n")


def test_a_manager_without_a_limit_sweeps_nothing() -> None:
    rule = ManagerRule(None, 1.0, last_preserved=0.0)
    for i in range(10):
        rule.add(str(i), i * HOUR)
    assert rule.sweep() == []
    assert len(names(rule)) == 10


def test_a_manager_sweeps_all_that_is_too_much() -> None:
    rule = ManagerRule(1, None, 0.0, [Tracked(x, 0.0) for x in "abc"])
    rule.add("a", 5.0)
    assert names(rule) == ["b", "c", "a"]
    assert rule.sweep() == ["b", "c"]
