"""fastckpt verify: verdicts, every failure, exit codes, the bar."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from golden.manifest import golden, load_golden
from oracle import build_bundle, write_bundle
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of, spawn


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """The prefix of a scratch copy of the golden checkpoint `linear`."""
    return golden("linear").copy_to(tmp_path / "linear")


@pytest.mark.parametrize("name", load_golden())
def test_golden_checkpoints_are_ok(name: str) -> None:
    prefix = golden(name).prefix
    result = spawn("verify", prefix)
    assert result.returncode == 0
    assert result.stdout.startswith(f"ok  {prefix}: ")
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_all_failures_are_listed(linear: Path) -> None:
    flip_byte(shard_of(linear), 0)
    flip_byte(shard_of(linear), 65)
    result = invoke("verify", linear)
    assert result.exit_code == 1
    head, *failures = result.stdout.splitlines()
    assert head.startswith(f"DAMAGED  {linear}: 2 failures in 5 tensors, 88 B in ")
    assert [line.split(":")[0].strip() for line in failures] == ["b", "w"]
    assert "offset 64" in failures[1]


def test_a_directory_names_its_checkpoint(linear: Path) -> None:
    assert invoke("verify", linear.parent).stdout.startswith(
        f"ok  {linear.parent} (model.ckpt-100): "
    )


def test_a_damaged_index_block_and_a_damaged_tensor(tmp_path: Path) -> None:
    zeros = {f"n{i:03d}": np.zeros(4, np.int8) for i in range(100)}
    write_bundle(tmp_path / "m", zeros, block_size=256)
    flip_byte(tmp_path / "m.index", (tmp_path / "m.index").stat().st_size // 3)
    flip_byte(shard_of(tmp_path / "m"), 0)
    result = invoke("verify", "--json", tmp_path / "m")
    assert result.exit_code == 1
    (row,) = json.loads(result.stdout)["checkpoints"]
    assert {failure["name"] for failure in row["failures"]} == {None, "n000"}
    assert {failure["type"] for failure in row["failures"]} == {"DataLossError"}


def test_a_malformed_entry_is_named(tmp_path: Path) -> None:
    bundle = build_bundle({"a": np.zeros(2), "b": np.zeros(2)})
    bundle.entries[b"a"] = b"\xff\xff"
    bundle.write(tmp_path / "m")
    result = invoke("verify", tmp_path / "m")
    assert result.exit_code == 1
    assert "\n  a: " in result.stdout


def test_a_missing_shard_is_damage(tmp_path: Path) -> None:
    prefix = golden("sharded").copy_to(tmp_path)
    prefix.with_name(f"{prefix.name}.data-00001-of-00002").unlink()
    result = invoke("verify", prefix)
    assert result.exit_code == 1
    assert "00001-of-00002" in result.stdout


def test_several_paths(linear: Path, tmp_path: Path) -> None:
    types = golden("types").prefix
    missing = tmp_path / "nowhere"
    result = invoke("verify", types, missing)
    assert result.exit_code == 2
    assert result.stdout.startswith("ok  ")
    assert result.stderr.startswith("fastckpt: error: no checkpoint ")
    flip_byte(shard_of(linear), 0)
    result = invoke("verify", missing, linear, types)
    # Damage is the graver news.
    assert result.exit_code == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["DAMAGED", "b:", "ok"]


def test_quiet(linear: Path) -> None:
    assert invoke("verify", "-q", linear).stdout == ""
    flip_byte(shard_of(linear), 0)
    result = invoke("verify", "--quiet", linear)
    assert result.exit_code == 1
    assert result.stdout.startswith("DAMAGED  ")


def test_json(linear: Path, tmp_path: Path) -> None:
    flip_byte(shard_of(linear), 65)
    types = golden("types")
    result = invoke("verify", "--json", linear, types.prefix, tmp_path / "nowhere")
    assert result.exit_code == 1
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document["ok"] is False
    damaged, intact, missing = document["checkpoints"]
    assert set(intact) == {"path", "prefix", "ok", "tensors", "nbytes", "seconds", "failures"}
    assert (intact["ok"], intact["tensors"], intact["failures"]) == (True, 44, [])
    assert intact["nbytes"] == 912
    assert intact["seconds"] > 0
    (failure,) = damaged["failures"]
    assert failure["name"] == failure["key"] == "w"
    assert failure["offset"] == 64
    assert failure["path"] == str(shard_of(linear))
    assert (missing["ok"], missing["prefix"]) == (False, None)
    assert missing["error"]["type"] == "CheckpointNotFoundError"


def test_json_says_ok_when_all_are() -> None:
    result = invoke("verify", "--json", golden("types").prefix)
    assert json.loads(result.stdout)["ok"] is True
    assert result.exit_code == 0


def test_threads(linear: Path) -> None:
    assert invoke("verify", "--threads", "1", linear).exit_code == 0
    assert invoke("verify", "--threads", "2000", linear).exit_code == 2


def test_names_of_failures_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"\x1b[2Jx": np.zeros(4)})
    flip_byte(shard_of(tmp_path / "m"), 0)
    code, output = on_terminal("verify", tmp_path / "m")
    assert code == 1
    assert "\x1b" not in plain(output)
    assert "\\x1b[2Jx: " in plain(output)


def test_a_bar_on_a_terminal_for_large_checkpoints_only(tmp_path: Path, linear: Path) -> None:
    write_bundle(tmp_path / "m", {"x": np.zeros(65 << 20, np.uint8)})
    _, output = on_terminal("verify", tmp_path / "m")
    assert "65.0/65.0 MiB" in plain(output)
    assert "GB/s)" in plain(output).splitlines()[-1]
    for args in (["--quiet", tmp_path / "m"], [linear]):
        _, output = on_terminal("verify", *args)
        assert "MiB" not in plain(output)
        assert "\x1b[?25l" not in output
    assert spawn("verify", tmp_path / "m").stderr == ""
