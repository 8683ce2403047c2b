"""The commands rename, drop, keep and average: what they write, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from golden.manifest import golden
from oracle import write_bundle
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of, spawn
from unit.writer_helpers import loaded, names_in

LINEAR = golden("linear").prefix
OBJECT = golden("object").prefix
HOSTILE = ["\x1b[2Jx", "a\nb", "d\u202egnp", "[red]y[/red]"]


def test_rename(tmp_path: Path) -> None:
    result = invoke("rename", LINEAR, "tower_0/=t/", "s/^b$/bias/", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout == f"written  {tmp_path}/out: 5 tensors, 88 B, 3 renamed\n"
    assert sorted(loaded(tmp_path / "out")) == [
        "bias", "global_step", "t/dense/bias", "t/dense/kernel", "w",
    ]  # fmt: skip


def test_a_dry_run_tells_everything(tmp_path: Path) -> None:
    result = invoke("rename", LINEAR, "tower_0/=t/", "--dry-run")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[:3]] == [
        ["name", "new", "name"],
        ["tower_0/dense/bias", "t/dense/bias"],
        ["tower_0/dense/kernel", "t/dense/kernel"],
    ]
    assert result.stdout.endswith(
        "\ndry run  nothing written; the result has 5 tensors, 88 B, 2 renamed\n"
    )
    lines = invoke("drop", LINEAR, "tower_0", "-n").stdout.splitlines()
    assert lines[:3] == ["dropped", "tower_0/dense/bias", "tower_0/dense/kernel"]
    result = invoke("drop", LINEAR, "tower_0", "-n", "-o", tmp_path / "out")
    assert (result.exit_code, names_in(tmp_path)) == (0, [])


def test_names_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(json.dumps({"w": "b", "b": "w"}))
    invoke("rename", LINEAR, "--map", tmp_path / "map.json", "-o", tmp_path / "out")
    assert loaded(tmp_path / "out")["w"] == loaded(LINEAR)["b"]
    for content in ("{", "[1]", '{"a": 1}'):
        (tmp_path / "map.json").write_text(content)
        result = invoke("rename", LINEAR, "--map", tmp_path / "map.json", "-n")
        assert result.exit_code == 2
        assert "map.json" in result.stderr


def test_drop_and_keep(tmp_path: Path) -> None:
    result = invoke("drop", LINEAR, "tower_0", "?", "-o", tmp_path / "step")
    assert "1 tensor, 8 B, 4 dropped" in result.stdout
    assert list(loaded(tmp_path / "step")) == ["global_step"]
    result = invoke("keep", LINEAR, "*/bias", "--shards", 2, "-o", tmp_path / "bias")
    assert list(loaded(tmp_path / "bias")) == ["tower_0/dense/bias"]
    assert fastckpt.open(tmp_path / "bias").num_shards == 2


def test_in_place_and_over_another(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    for target in (prefix, golden("types").copy_to(tmp_path)):
        result = invoke("drop", prefix, "w", "-o", target)
        assert result.exit_code == 2
        assert "--overwrite replaces it" in result.stderr
        assert invoke("drop", LINEAR, "w", "-o", target, "--overwrite").exit_code == 0
        assert "w" not in loaded(target)


def test_object_graphs(tmp_path: Path) -> None:
    args = ["drop", OBJECT, "save_counter", "-o", tmp_path / "out"]
    result = invoke(*args)
    assert result.exit_code == 2
    assert "--object-graph" in result.stderr
    result = invoke(*args, "--object-graph", "keep")
    assert result.exit_code == 0
    assert result.stderr.startswith("fastckpt: warning: the object graph names 1 tensor")
    assert invoke(*args, "--object-graph", "update", "--overwrite").stderr == ""


def test_json(tmp_path: Path) -> None:
    found = json.loads(invoke("rename", LINEAR, "w=v", "-o", tmp_path / "out", "--json").stdout)
    assert found == {
        "source": str(LINEAR),
        "destination": str(tmp_path / "out"),
        "dry_run": False,
        "total": {"tensors": 5, "nbytes": 88},
        "notes": [],
        "dropped": [],
        "renamed": [["w", "v"]],
    }
    found = json.loads(invoke("drop", LINEAR, "w", "-n", "--json").stdout)
    assert (found["dry_run"], found["dropped"], found["destination"]) == (True, ["w"], None)
    error = json.loads(spawn("drop", LINEAR, "q", "-n", "--json").stdout)["error"]
    assert error["type"] == "TensorNotFoundError"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["rename", LINEAR, "w=v"], "--output DST"),
        (["rename", LINEAR, "-n"], "either rules or --map"),
        (["rename", LINEAR, "tower0/=x/", "-n"], "did you mean 'tower_0/'"),
        (["rename", LINEAR, "w=b", "-n"], "the same name"),
        (["drop", LINEAR, "-n"], "Missing argument 'PATTERN...'"),
        (["drop", LINEAR, "v", "-n"], "no tensor 'v'"),
        (["keep", LINEAR, "w", "-o", "/tmp/"], "ends in a separator"),
        (["average", LINEAR, "--weights", "1,x", "-n"], "no list of numbers"),
        (["average", LINEAR, "--weights", "1,2", "-n"], "1 checkpoints and 2 weights"),
        (["average", LINEAR, "--last", "2", "-n"], "one directory"),
        (["average", LINEAR.parent, "--last", "9", "-n"], "lists 1 checkpoint"),
        (["average", LINEAR, OBJECT, "-n"], "do not hold the same tensors"),
    ],
)
def test_wrong_usage(args: list[object], message: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_damage_is_exit_code_1(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    flip_byte(shard_of(prefix), 0)
    result = invoke("rename", prefix, "w=v", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "'b'" in result.stderr
    assert not (tmp_path / "out.index").exists()


# --- average -------------------------------------------------------------------------------------


def run_of(folder: Path, *values: float) -> Path:
    for step, value in enumerate(values):
        fastckpt.save(folder / f"m-{step}", {"w": np.float32([value]), "step": step}, sync=False)
    prefixes = [str(folder / f"m-{step}") for step in range(len(values))]
    fastckpt.update_checkpoint_state(str(folder), prefixes[-1], prefixes)
    return folder


def test_average(tmp_path: Path) -> None:
    folder = run_of(tmp_path, 1.0, 2.0, 6.0)
    result = invoke("average", folder, "--last", 2, "-o", tmp_path / "out")
    assert result.stdout == (
        f"written  {tmp_path}/out: 2 tensors, 12 B, 1 averaged, 1 taken from the last\n"
    )
    assert loaded(tmp_path / "out") == {"step": 2, "w": [4.0]}
    sources = [tmp_path / f"m-{step}" for step in range(3)]
    args = ["average", *sources, "--weights", "1,2,1", "-o", tmp_path / "out", "--overwrite"]
    found = json.loads(invoke(*args, "--json").stdout)
    assert [row["weight"] for row in found["sources"]] == [0.25, 0.5, 0.25]
    assert (found["averaged"], found["taken"]) == (["w"], ["step"])
    assert loaded(tmp_path / "out")["w"] == [2.75]


def test_a_dry_run_of_average(tmp_path: Path) -> None:
    lines = invoke("average", run_of(tmp_path, 1, 2), "--last", 2, "-n").stdout.splitlines()
    assert lines[0].split() == ["checkpoint", "weight"]
    assert [line.split()[-1] for line in lines[1:3]] == ["0.5", "0.5"]
    assert lines[4:6] == ["taken from the last", "step"]


# --- terminals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 200])
def test_names_cannot_write_to_the_terminal(tmp_path: Path, columns: int) -> None:
    write_bundle(tmp_path / "m", {name: np.zeros(1, np.int8) for name in HOSTILE})
    for args in (["rename", tmp_path / "m", "=new/"], ["drop", tmp_path / "m", "a*"]):
        _, output = on_terminal(*args, "-n", columns=columns)
        text = plain(output)
        assert not {"\x1b", "\u202e"} & set(text)
        assert "a\\nb" in text
        assert "[red]y[/red]" in text or args[0] == "drop"


def test_long_names_are_folded_not_cut(tmp_path: Path) -> None:
    name = "/".join(f"scope_{i}" for i in range(12))
    write_bundle(tmp_path / "m", {name: np.zeros(1, np.int8)})
    _, output = on_terminal("rename", tmp_path / "m", "=new/", "-n", columns=60)
    assert f"{name}\n  -> new/{name}\n" in plain(output)


def test_a_bar_for_what_takes_long(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "m", {"x": np.zeros(1 << 10, np.uint8)}, sync=False)
    _, output = on_terminal("rename", tmp_path / "m", "x=y", "-o", tmp_path / "out")
    assert "\x1b[?25l" not in output
