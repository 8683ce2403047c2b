"""fastckpt diff: words, exit status as diff(1) has it, JSON, terminals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from golden.manifest import golden
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of, spawn

LINEAR = golden("linear").prefix


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two checkpoints that differ in every way."""
    a = {"gone": np.ones(2), "same": np.ones(2), "type": np.ones(2), "w": np.float32([1, 2])}
    b = {"new": np.ones(2), "same": np.ones(2), "type": np.ones(2, np.float32)}
    fastckpt.save(tmp_path / "a", a, sync=False)
    fastckpt.save(tmp_path / "b", {**b, "w": np.float32([1, 5])}, sync=False)
    return tmp_path / "a", tmp_path / "b"


def test_the_same() -> None:
    result = invoke("diff", LINEAR, LINEAR)
    assert result.exit_code == 0
    assert result.stdout.startswith("same  5 tensors the same\na ")


def test_what_differs(pair: tuple[Path, Path]) -> None:
    result = invoke("diff", *pair)
    assert result.exit_code == 1
    assert (
        result.stdout
        == f"""\
name  change   what
gone  removed  float64 [2] 16 B
new   added    float64 [2] 16 B
type  retyped  float64 [2] 16 B -> float32 [2] 8 B
w     changed  1 of 2, by up to 3

different  1 removed, 1 added, 1 retyped, 1 changed, 1 tensor the same
a {pair[0]}
b {pair[1]}
"""
    )


def test_quiet_and_tolerance(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = invoke("diff", "-q", *pair)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")
    fastckpt.save(tmp_path / "c", {"w": np.float32([1.0])}, sync=False)
    fastckpt.save(tmp_path / "d", {"w": np.float32([1.1])}, sync=False)
    assert invoke("diff", tmp_path / "c", tmp_path / "d").exit_code == 1
    assert invoke("diff", "--atol", 0.2, tmp_path / "c", tmp_path / "d").exit_code == 0
    assert invoke("diff", "--rtol", 0.1, tmp_path / "c", tmp_path / "d").exit_code == 0
    assert invoke("diff", "--atol", -1, tmp_path / "c", tmp_path / "d").exit_code == 2


def test_trouble_is_2(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert invoke("diff", pair[0], tmp_path / "nowhere").exit_code == 2
    flip_byte(shard_of(pair[1]), -6)
    result = invoke("diff", *pair)
    assert result.exit_code == 2
    assert result.stderr.startswith("fastckpt: warning: w: ")
    assert "1 not compared" in result.stdout
    assert invoke("diff", pair[1], pair[1]).exit_code == 0
    assert invoke("diff", "--read-all", pair[1], pair[1]).exit_code == 2
    index = pair[1].with_name("b.index")
    index.write_bytes(index.read_bytes()[:-9])
    # Damage is 1 elsewhere; here 1 means a difference.
    result = invoke("diff", *pair)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("fastckpt: error: ")
    assert json.loads(spawn("diff", "--json", *pair).stdout)["error"]["type"] == "DataLossError"


def test_json(pair: tuple[Path, Path]) -> None:
    found = json.loads(invoke("diff", "--json", *pair).stdout)
    assert (found["equal"], found["same"], found["unread"], found["failures"]) == (
        False, 1, 1, [],
    )  # fmt: skip
    assert found["changes"][-1] == {
        "name": "w",
        "kind": "changed",
        "a": {"dtype": "float32", "shape": [2], "nbytes": 8},
        "b": {"dtype": "float32", "shape": [2], "nbytes": 8},
        "elements": 1,
        "max_abs": 3.0,
    }


def test_json_of_what_is_no_number(tmp_path: Path) -> None:
    for name, value in (("a", np.nan), ("b", 1.0), ("c", -np.inf)):
        fastckpt.save(tmp_path / name, {"x": np.array([value])}, sync=False)
    for first, word in (("a", "NaN"), ("c", "Infinity")):
        found = json.loads(invoke("diff", "--json", tmp_path / first, tmp_path / "b").stdout)
        assert found["changes"][0]["max_abs"] == word


@pytest.mark.parametrize("columns", [40, 80])
def test_terminals(pair: tuple[Path, Path], columns: int) -> None:
    _, output = on_terminal("diff", *pair, columns=columns)
    lines = plain(output).splitlines()
    assert max(map(len, lines[:-2])) <= columns
    assert ("  changed 1 of 2, by up to 3" in lines) == (columns == 40)


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "a", {"\x1b[2Jx": np.ones(1), "b\nc": np.ones(1)}, sync=False)
    fastckpt.save(tmp_path / "b", {"\x1b[2Jx": np.zeros(1)}, sync=False)
    for columns in (30, 100):
        _, output = on_terminal(
            "diff", tmp_path / "a", tmp_path / "b", columns=columns, NO_COLOR="1"
        )
        assert "\x1b[2J" not in output
        assert "b\\nc" in output
