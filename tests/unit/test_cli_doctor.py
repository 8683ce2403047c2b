"""fastckpt doctor: words and fixes, exit status, JSON, terminals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from golden.manifest import golden, load_golden
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """The prefix of a scratch copy of the golden checkpoint `sharded`."""
    return golden("sharded").copy_to(tmp_path)


@pytest.mark.parametrize("name", load_golden())
def test_what_is_well(name: str) -> None:
    result = invoke("doctor", golden(name).prefix)
    assert result.exit_code == 0
    verdict = result.stdout.splitlines()[-1]
    assert verdict.startswith("ok  ")
    assert f"/{golden(name).prefix.name}: {len(golden(name).tensors)} tensors, " in verdict
    assert verdict.endswith("; every checksum matches")


def test_a_problem_its_losses_and_the_fix(sharded: Path) -> None:
    sharded.with_name(f"{sharded.name}.data-00001-of-00002").unlink()
    result = invoke("doctor", sharded)
    assert result.exit_code == 1
    problem, lost, fix, blank, verdict = result.stdout.splitlines()
    assert problem.startswith(f"problem  the data shard '{sharded.name}.data-00001-of-00002' is")
    assert lost.startswith("lost     2 tensors: ")
    assert fix.startswith("fix      copy the file here again")
    assert (blank, verdict) == ("", f"1 problem  {sharded}: 4 tensors, 126 B")


def test_no_checkpoint_is_2(tmp_path: Path) -> None:
    result = invoke("doctor", tmp_path)
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1] == f"no checkpoint  {tmp_path}"
    assert result.stderr == ""


def test_warnings_are_no_failure(tmp_path: Path, sharded: Path) -> None:
    (tmp_path / f"{sharded.name}.index.tmp").write_bytes(b"")
    result = invoke("doctor", sharded)
    assert result.exit_code == 0
    assert result.stdout.startswith("warning  a save of ")


def test_quick(sharded: Path) -> None:
    flip_byte(sharded.with_name(f"{sharded.name}.data-00001-of-00002"), 0)
    result = invoke("doctor", "--quick", sharded)
    assert (result.exit_code, "; not read" in result.stdout) == (0, True)
    assert invoke("doctor", sharded).exit_code == 1


def test_json(sharded: Path) -> None:
    sharded.with_name(f"{sharded.name}.data-00001-of-00002").unlink()
    found = json.loads(invoke("doctor", "--json", sharded).stdout)
    assert list(found) == ["path", "prefix", "ok", "total", "verified", "findings"]
    assert (found["ok"], found["prefix"], found["total"]["tensors"]) == (False, str(sharded), 4)
    (finding,) = found["findings"]
    assert set(finding) == {"severity", "code", "what", "fix", "command", "path", "tensors"}
    assert (finding["code"], len(finding["tensors"])) == ("missing-shard", 2)


def test_long_lists_are_cut_but_not_in_json(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "m", {f"t{i:02d}": np.ones(1) for i in range(20)}, sync=False)
    shard_of(tmp_path / "m").unlink()
    assert " and 15 more\n" in invoke("doctor", tmp_path / "m").stdout
    found = json.loads(invoke("doctor", "--json", tmp_path / "m").stdout)
    assert len(found["findings"][0]["tensors"]) == 20


@pytest.mark.parametrize("columns", [40, 80])
def test_terminals(sharded: Path, columns: int) -> None:
    shard = sharded.with_name(f"{sharded.name}.data-00001-of-00002")
    shard.write_bytes(shard.read_bytes()[:3])
    code, output = on_terminal("doctor", sharded, columns=columns)
    assert code == 1
    assert "\x1b[1;38;5;196mproblem " in output
    lines = plain(output).splitlines()
    # Paths are not broken; all else is.
    assert all(len(line) <= columns or line.count(" ") <= 12 for line in lines)
    assert [line for line in lines if line.startswith("fix      copy the file")]
    assert "\x1b" not in on_terminal("doctor", sharded, NO_COLOR="1")[1]


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "a\x1b[2Jb", {"\x1b[2Jx": np.ones(9), "c\nd": np.ones(9)}, sync=False)
    flip_byte(shard_of(tmp_path / "a\x1b[2Jb"), 0)
    for path in (tmp_path, tmp_path / "a\x1b[2Jb", tmp_path / "\x1b[3Jnone"):
        _, output = on_terminal("doctor", path, NO_COLOR="1")
        assert "\x1b" not in output


def test_commands_are_not_broken(tmp_path: Path) -> None:
    golden("linear").copy_to(tmp_path)
    (tmp_path / "checkpoint").unlink(missing_ok=True)
    _, output = on_terminal("doctor", tmp_path, columns=40)
    (line,) = [x for x in plain(output).splitlines() if "python -c" in x]
    assert line.startswith("         python -c 'import ")
    assert line.endswith("/model.ckpt-100")
