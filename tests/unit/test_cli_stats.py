"""fastckpt stats: columns, paragraphs on narrow terminals, JSON, damage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from golden.manifest import golden, load_golden
from oracle import build_bundle, write_bundle
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of

LINEAR = golden("linear").prefix

TABLE = """\
name                   min   max   mean     std  zero  nan  inf
b                     -0.5   0.5      0     0.5     0    0    0
global_step            100   100    100       0     0    0    0
tower_0/dense/bias       0     0      0       0     4    0    0
tower_0/dense/kernel    -1     1      0  0.6547     0    0    0
w                        0  1.25  0.625   0.427     1    0    0

all      min -1, max 100, mean 4.94, std 21.26, zero 5, nan 0, inf 0
float32  80 B
int64    8 B

5 tensors, 88 B  """


def test_plain_columns() -> None:
    result = invoke("stats", LINEAR)
    assert result.exit_code == 0
    assert result.stdout.startswith(TABLE)
    assert result.stderr == ""


def test_patterns_and_order(tmp_path: Path) -> None:
    result = invoke("stats", LINEAR, "tower_0", "b", "--sort", "size")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:4]] == [
        "tower_0/dense/kernel", "tower_0/dense/bias", "b",
    ]  # fmt: skip
    assert invoke("stats", LINEAR, "nothing").exit_code == 2


def test_numbers_in_words(tmp_path: Path) -> None:
    tensors = {
        "big": np.int64([-(2**62), 7]), "nan": np.array([np.nan, np.inf, 1.0]),
        "none": np.zeros(0), "text": [b"x"], "complex": np.array([1j]),
    }  # fmt: skip
    fastckpt.save(tmp_path / "m", tensors, sync=False)
    rows = dict(
        line.split(None, 1) for line in invoke("stats", tmp_path / "m").stdout.splitlines()[1:6]
    )
    assert rows["big"].split()[:2] == ["-4.612e+18", "7"]
    assert rows["nan"].split() == ["1", "1", "1", "0", "0", "1", "1"]
    assert rows["none"].split() == ["-", "-", "-", "-", "0", "0", "0"]
    assert rows["text"].split() == rows["complex"].split() == ["-"] * 7


@pytest.mark.parametrize("name", load_golden())
def test_json(name: str) -> None:
    found = json.loads(invoke("stats", "--json", golden(name).prefix).stdout)
    assert list(found) == ["prefix", "total", "bytes_by_dtype", "failures", "tensors"]
    assert found["total"]["tensors"] == len(golden(name).tensors)
    for row in found["tensors"]:
        real = row["dtype"] not in ("string", "complex64", "complex128")
        assert ("mean" in row) == real


def test_an_overflow_is_null_in_json(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "m", {"x": np.array([1e308, 1e308])}, sync=False)
    (row,) = json.loads(invoke("stats", "--json", tmp_path / "m").stdout)["tensors"]
    assert (row["max"], row["mean"], row["std"]) == (1e308, None, None)


def test_damage(tmp_path: Path) -> None:
    bundle = build_bundle({"a": np.zeros(2), "b": np.zeros(2)})
    bundle.entries[b"a"] = b"\xff\xff"
    bundle.write(tmp_path / "m")
    result = invoke("stats", tmp_path / "m")
    assert result.exit_code == 1
    assert result.stderr.startswith("fastckpt: warning: a: ")
    assert result.stdout.splitlines()[1].startswith("b ")
    flip_byte(shard_of(tmp_path / "m"), 20)
    found = json.loads(invoke("stats", "--json", tmp_path / "m").stdout)
    assert [row["name"] for row in found["failures"]] == ["a", "b"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_terminals(columns: int) -> None:
    code, output = on_terminal("stats", LINEAR, columns=columns)
    assert code == 0
    text = plain(output)
    assert max(map(len, text.splitlines()[:-1])) <= columns
    assert "0.6547" in text
    assert ("min -1, max 1, mean 0" in text) == (columns == 40)
    assert "\u00a0" not in text


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"\x1b[2Jx": np.zeros(4), "b\nc": np.zeros(4)})
    for columns in (30, 100):
        _, output = on_terminal("stats", tmp_path / "m", columns=columns, NO_COLOR="1")
        assert "\x1b[2J" not in output
        assert "b\\nc" in output
