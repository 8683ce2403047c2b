"""fastckpt latest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from golden.manifest import golden
from unit.cli_helpers import command, invoke, on_terminal, spawn


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory of two checkpoints that are there and one that is gone."""
    folder = tmp_path / "run"
    source = golden("linear").copy_to(folder)
    for path in list(folder.glob(f"{source.name}.*")):
        shutil.copyfile(path, folder / path.name.replace("100", "200"))
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "model.ckpt-200"\n'
        'all_model_checkpoint_paths: "model.ckpt-50"\n'
        'all_model_checkpoint_paths: "model.ckpt-100"\n'
        'all_model_checkpoint_paths: "model.ckpt-200"\n'
        "all_model_checkpoint_timestamps: 1e9\n"
        "all_model_checkpoint_timestamps: 1000000060.5\n"
        "all_model_checkpoint_timestamps: 1e300\n"
    )
    return folder


def test_latest(run: Path) -> None:
    result = spawn("latest", run)
    assert result.stdout == f"{run}/model.ckpt-200\n"
    assert result.returncode == 0
    assert spawn("latest", run / "checkpoint").stdout == result.stdout


def test_the_answer_serves_other_commands(run: Path) -> None:
    prefix = spawn("latest", run).stdout.strip()
    assert spawn("verify", prefix).returncode == 0


def test_long(run: Path) -> None:
    rows = [line.split() for line in invoke("latest", "--long", run).stdout.splitlines()]
    assert [row[0] for row in rows[1:]] == [f"{run}/model.ckpt-{i}" for i in (50, 100, 200)]
    assert [row[-1] for row in rows[1:]] == ["missing", rows[2][-1], "latest"]
    assert rows[1][1].startswith("2001-09-0")
    # A time that no calendar holds is no error.
    assert rows[3][1] == "?"


def test_json(run: Path) -> None:
    document = json.loads(invoke("latest", "--json", run).stdout)
    assert document["latest"] == f"{run}/model.ckpt-200"
    assert [kept["exists"] for kept in document["kept"]] == [False, True, True]
    assert [kept["is_latest"] for kept in document["kept"]] == [False, False, True]
    assert [kept["timestamp"] for kept in document["kept"]] == [1e9, 1000000060.5, 1e300]
    assert document["kept"][1]["prefix"] == f"{run}/model.ckpt-100"


def test_no_state_file(tmp_path: Path) -> None:
    prefix = golden("types").copy_to(tmp_path)
    result = invoke("latest", tmp_path)
    assert result.exit_code == 2
    assert "no checkpoint state" in result.stderr
    assert f"pass a prefix: '{prefix}'" in result.stderr


def test_the_latest_is_gone(run: Path) -> None:
    (run / "model.ckpt-200.index").unlink()
    result = invoke("latest", run)
    assert result.exit_code == 2
    assert "names" in result.stderr
    assert "model.ckpt-100" in result.stderr


def test_a_prefix_is_no_directory(run: Path) -> None:
    result = invoke("latest", run / "model.ckpt-100")
    assert result.exit_code == 2
    assert "pass the directory" in result.stderr


def test_bytes_of_a_path_are_kept_in_a_pipe_and_escaped_on_a_terminal(run: Path) -> None:
    other = os.fsencode(run.parent) + b"/caf\xe9 [1]"
    os.rename(run, other)
    done = subprocess.run(
        [*command("latest"), other], capture_output=True, check=True, env=os.environ
    )
    assert done.stdout == other + b"/model.ckpt-200\n"
    code, output = on_terminal("latest", os.fsdecode(other))
    assert code == 0
    assert "caf\\xe9 [1]/model.ckpt-200" in output
