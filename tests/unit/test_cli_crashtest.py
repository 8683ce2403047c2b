"""fastckpt crashtest: the table, the verdict, a place that is left as it was."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fastckpt.cli import crashtest
from fastckpt.tools.crashtest.run import Row, run_all
from fastckpt.tools.crashtest.scene import Case
from faults.crash_helpers import fast_folder
from unit.cli_helpers import command, invoke, on_terminal, plain, spawn

__all__ = ["fast_folder"]


def test_all_is_well(fast_folder: Path) -> None:
    result = spawn("crashtest", fast_folder, "--shards", "1", "--random", "2")
    assert result.returncode == 0
    assert result.stderr == ""
    head, *rows = result.stdout.split("\n\n")[0].splitlines()
    assert head.split()[-1] == "violations"
    assert len(rows) == 8
    assert all(row.endswith(" 0") for row in rows)
    assert result.stdout.splitlines()[-1].startswith("ok  ")
    assert result.stdout.splitlines()[-1].endswith(" cases, no violation")
    assert list(fast_folder.iterdir()) == []


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What a run gives that finds violations."""
    found = {"old": 3, "new": 2, "?": 25}
    violations = tuple(f"killed before change {i}: a mix" for i in range(25))
    rows = [Row("killed before each change", Case(4, overwrite=True), 30, found, violations)]
    monkeypatch.setattr(crashtest, "run_all", lambda *_, **__: rows)
    return rows


@pytest.mark.usefixtures("broken")
def test_violations_are_listed(tmp_path: Path) -> None:
    result = invoke("crashtest", tmp_path)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].split()[-6:] == ["4", "overwritten", "30", "3", "2", "25"]
    listed = [line for line in lines if line.startswith("VIOLATION")]
    assert len(listed) == 20
    assert listed[0] == (
        "VIOLATION  killed before each change, 4 shards, overwritten prefix: "
        "killed before change 0: a mix"
    )
    assert lines[-2] == "and 5 others; --json lists all"
    assert lines[-1] == "BROKEN  30 cases, 25 violations"


def test_json_has_all_violations(tmp_path: Path, broken: list[Row]) -> None:
    result = invoke("crashtest", "--json", "--seed", "3", tmp_path)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["ok"], document["directory"], document["seed"]) == (False, str(tmp_path), 3)
    (row,) = document["rows"]
    assert (row["num_shards"], row["overwrite"], row["cases"]) == (4, True, 30)
    assert row["found"] == {"old": 3, "new": 2, "?": 25}
    assert tuple(row["violations"]) == broken[0].violations


@pytest.mark.parametrize("shards", ["", "0", "1,", "1,x", "-1", "1.5", "1001"])
def test_shards_are_checked(tmp_path: Path, shards: str) -> None:
    result = invoke("crashtest", tmp_path, "--shards", shards)
    assert result.exit_code == 2
    assert "is no list of numbers from 1 to 1000" in result.stderr


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    result = invoke("crashtest", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    (tmp_path / "file").touch()
    assert invoke("crashtest", tmp_path / "file").exit_code == 2


def test_a_directory_that_cannot_be_written() -> None:
    # Nobody makes directories there, whatever his rights.
    result = invoke("crashtest", "/proc")
    assert result.exit_code == 2
    assert result.stderr.startswith("fastckpt: error: cannot make a directory in '/proc': ")
    assert "name a directory that exists and that you may write to" in result.stderr


def test_progress_on_a_terminal_alone(fast_folder: Path) -> None:
    code, output = on_terminal("crashtest", fast_folder, "--shards", "1", "--random", "0")
    assert code == 0
    assert "\rsaves killed before each change: 1\r" in plain(output)


def test_rows_and_progress(fast_folder: Path) -> None:
    told: list[tuple[str, int]] = []
    rows = run_all(fast_folder, shards=[1], instants=1, report=lambda *what: told.append(what))
    assert len(told) == sum(row.cases for row in rows)
    assert told[0] == (rows[0].part, 1)
    assert [row.case for row in rows[:2]] == [Case(1, overwrite=False), Case(1, overwrite=True)]
    assert [row.violations for row in rows] == [()] * 8
    boundaries, _, *instants, cuts, next_cuts, _, _ = rows
    assert boundaries.cases == sum(boundaries.found.values()) > 20
    assert set(boundaries.found) == {"absent", "new"}
    # The one instant is of the first case.
    assert [row.cases for row in instants] == [1, 0]
    assert min(cuts.cases, next_cuts.cases) > 50


def test_ctrl_c_leaves_nothing(fast_folder: Path) -> None:
    process = subprocess.Popen(
        command("crashtest", fast_folder, "--random", "1000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # A job in the background of a script inherits that SIGINT is ignored.
        preexec_fn=functools.partial(  # noqa: PLW1509
            signal.signal, signal.SIGINT, signal.SIG_DFL
        ),
    )
    while not list(fast_folder.glob("*/stage/run/*")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert list(fast_folder.iterdir()) == []
