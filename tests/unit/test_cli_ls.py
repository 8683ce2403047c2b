"""fastckpt ls: tables, trees, plain columns, JSON, and names that mean harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from fastckpt.cli.rows import Row
from fastckpt.cli.text import cells
from fastckpt.cli.tree import build_tree
from golden.manifest import golden, load_golden
from oracle import build_bundle, write_bundle
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, spawn, write_many

LINEAR = golden("linear").prefix
TYPES = golden("types").prefix

LINEAR_TABLE = """\
name                  dtype    shape  size  shard
b                     float32  [2]     8 B      0
global_step           int64    []      8 B      0
tower_0/dense/bias    float32  [4]    16 B      0
tower_0/dense/kernel  float32  [2,4]  32 B      0
w                     float32  [3,2]  24 B      0

5 tensors, 88 B, 1 shard  """

LINEAR_TREE = """\
b               float32  [2]           8 B
global_step     int64    []            8 B
tower_0/dense/  2 tensors             48 B
├─ bias         float32  [4]          16 B
└─ kernel       float32  [2,4]        32 B
w               float32  [3,2]        24 B

5 tensors, 88 B, 1 shard  """


def listed(*args: object) -> list[str]:
    """Names of a listing, in order."""
    result = invoke("ls", "--json", *args)
    assert result.exit_code == 0
    return [row["name"] for row in json.loads(result.stdout)["tensors"]]


# --- plain columns -------------------------------------------------------------------------------


def test_plain_columns() -> None:
    result = invoke("ls", LINEAR)
    assert result.exit_code == 0
    assert result.stdout.startswith(LINEAR_TABLE)
    assert result.stderr == ""


def test_the_path_is_short_below_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(LINEAR.parent.parent)
    lines = invoke("ls", "linear").stdout.splitlines()
    assert lines[-1] == "5 tensors, 88 B, 1 shard  linear/model.ckpt-100"


def test_long() -> None:
    lines = invoke("ls", "--long", LINEAR).stdout.splitlines()
    assert lines[0].split() == ["name", "dtype", "shape", "bytes", "shard", "offset", "crc32c"]
    assert lines[5].split() == ["w", "float32", "[3,2]", "24", "0", "64", "ef3aca9e"]


def test_wide_names_keep_the_columns(tmp_path: Path) -> None:
    zero = np.zeros(1, np.int8)
    write_bundle(tmp_path / "m", {"e\u0301": zero, "日本": zero, "plain_name": zero})
    header, *rows = invoke("ls", tmp_path / "m").stdout.splitlines()[:4]
    assert header.index("dtype") == 12
    # Cells: an accent takes none, a CJK character two.
    assert [row.index("int8") for row in rows] == [13, 12, 10]


def test_20000_rows_are_streamed_in_aligned_columns(tmp_path: Path) -> None:
    write_many(tmp_path / "m", 20_000)
    result = spawn("ls", tmp_path / "m")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 20_003
    assert lines[-1].startswith("20 000 tensors, 312.5 KiB, 1 shard  ")
    rows = lines[1:20_001]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row.split()[0] for row in rows] == [
        f"layer_{i // 10:05d}/part_{i % 10}" for i in range(20_000)
    ]


# --- choosing and sorting ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["w"], ["w"]),
        (["tower_0"], ["tower_0/dense/bias", "tower_0/dense/kernel"]),
        (["tower_0/dense/"], ["tower_0/dense/bias", "tower_0/dense/kernel"]),
        (["*l", "b"], ["b", "tower_0/dense/kernel"]),
        (["?"], ["b", "w"]),
        (["*"], ["b", "global_step", "tower_0/dense/bias", "tower_0/dense/kernel", "w"]),
    ],
)
def test_patterns(patterns: list[str], names: list[str]) -> None:
    assert listed(LINEAR, *patterns) == names


def test_brackets_are_ordinary_characters() -> None:
    assert listed(TYPES, "name/with [brackets] and *") == ["name/with [brackets] and *"]
    assert listed(TYPES, "*[brackets]*") == ["name/with [brackets] and *"]


def test_a_name_may_be_given_as_it_is_shown() -> None:
    shown = invoke("ls", TYPES, "name").stdout.splitlines()[1].split("  ")[0]
    assert shown.endswith("tab\\t")
    assert [name.endswith("tab\t") for name in listed(TYPES, shown)] == [True]


def test_a_pattern_without_match() -> None:
    result = invoke("ls", LINEAR, "dense/kernl")
    assert result.exit_code == 2
    assert "did you mean 'tower_0/dense/kernel'" in result.stderr


def test_totals_of_a_part() -> None:
    assert "\n2 tensors, 48 B  " in invoke("ls", LINEAR, "tower_0").stdout


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["a", "b", "c"]),
        ("size", ["b", "a", "c"]),
        ("file", ["c", "a", "b"]),
    ],
)
def test_sort(tmp_path: Path, order: str, names: list[str]) -> None:
    sizes = {"c": 1, "a": 1, "b": 9}
    write_bundle(tmp_path / "m", {name: np.zeros(n, np.int8) for name, n in sizes.items()})
    assert listed(tmp_path / "m", "--sort", order) == names


# --- trees ---------------------------------------------------------------------------------------


def test_tree() -> None:
    assert invoke("ls", "--tree", LINEAR).stdout.startswith(LINEAR_TREE)


def test_a_name_that_is_a_scope_too() -> None:
    rows = [Row(x, "int8", (n,), n, 0, 0, 0) for x, n in (("a", 1), ("a/b", 2), ("a/c/d", 4))]
    root = build_tree(rows)
    assert root.below["a"].row is rows[0]
    assert (root.below["a"].tensors, root.below["a"].nbytes) == (3, 7)
    assert (root.below["a"].below["c"].tensors, root.below["a"].below["c"].nbytes) == (1, 4)


def test_tree_shows_a_name_and_its_scope(tmp_path: Path) -> None:
    zeros = {name: np.zeros(n, np.int8) for name, n in (("a", 1), ("a/b", 2), ("a/c", 4))}
    write_bundle(tmp_path / "m", zeros)
    lines = invoke("ls", "--tree", tmp_path / "m").stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["a", "a/"]
    assert lines[1].split()[1:] == ["2", "tensors", "6", "B"]


def test_tree_without_depth_limit(tmp_path: Path) -> None:
    deep = "/".join("x" * 5000)
    write_bundle(tmp_path / "m", {deep: np.zeros(1), f"{deep}/y": np.zeros(1)})
    result = invoke("ls", "--tree", tmp_path / "m")
    assert result.exit_code == 0
    assert deep in result.stdout


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", load_golden())
def test_json(name: str) -> None:
    expected = golden(name)
    document = json.loads(invoke("ls", "--json", expected.prefix).stdout)
    assert list(document) == [
        "prefix", "format", "byteorder", "num_shards", "files", "total", "damage", "tensors",
    ]  # fmt: skip
    assert document["prefix"] == str(expected.prefix)
    assert document["total"]["tensors"] == len(expected.tensors)
    assert document["damage"] == []
    assert [os.path.exists(x) for x in document["files"]] == [True] * len(document["files"])
    for row, tensor in zip(document["tensors"], expected.tensors, strict=True):
        assert set(row) == {
            "name", "dtype", "shape", "nbytes", "shard", "offset", "crc32c", "partitioned",
        }  # fmt: skip
        assert (row["name"], row["dtype"]) == (tensor.name, tensor.dtype)
        assert tuple(row["shape"]) == tensor.shape
        if tensor.dtype != "string" and not row["partitioned"]:
            assert row["nbytes"] == tensor.nbytes


def test_json_is_ascii() -> None:
    assert invoke("ls", "--json", TYPES).stdout.isascii()


# --- damage --------------------------------------------------------------------------------------


def test_a_malformed_entry_is_told(tmp_path: Path) -> None:
    bundle = build_bundle({"a": np.zeros(2), "b": np.zeros(2)})
    bundle.entries[b"a"] = b"\xff\xff\xff"
    bundle.write(tmp_path / "m")
    result = invoke("ls", tmp_path / "m")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split()[:2] == ["b", "float64"]
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("fastckpt: warning: ")
    assert "tensor 'a'" in warning
    assert "up to" not in warning


def test_a_damaged_block_loses_its_own_names_only(tmp_path: Path) -> None:
    zeros = {f"n{i:03d}": np.zeros(1, np.int8) for i in range(100)}
    write_bundle(tmp_path / "m", zeros, block_size=256)
    index = tmp_path / "m.index"
    flip_byte(index, index.stat().st_size // 3)
    result = invoke("ls", "--json", tmp_path / "m")
    assert result.exit_code == 1
    assert result.stderr == ""
    document = json.loads(result.stdout)
    names = [row["name"] for row in document["tensors"]]
    (damage,) = document["damage"]
    assert damage["type"] == "DataLossError"
    lost = [name for name in zeros if damage["after"] < name <= damage["up_to"]]
    assert 0 < len(lost) < 50
    assert sorted(names + lost) == sorted(zeros)
    (warning,) = invoke("ls", tmp_path / "m").stderr.splitlines()
    assert f"names after '{damage['after']}'" in warning
    gone = invoke("ls", tmp_path / "m", lost[0])
    assert gone.exit_code == 2
    assert "it may have been in one of them" in gone.stderr


# --- terminals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_on_a_terminal(columns: int) -> None:
    code, output = on_terminal("ls", LINEAR, columns=columns)
    assert code == 0
    assert "\x1b[" in output
    assert "─" * 20 in output
    for line in LINEAR_TABLE.splitlines()[1:6]:
        assert [x.split() for x in plain(output).splitlines()].count(line.split()) == 1
    assert max(len(x) for x in plain(output).splitlines()[:-1]) <= columns


def test_names_are_folded_not_cut(tmp_path: Path) -> None:
    name = "/".join(f"scope_{i}" for i in range(20))
    write_bundle(tmp_path / "m", {name: np.zeros((1000, 1000), np.int8)})
    _, output = on_terminal("ls", "--long", tmp_path / "m", columns=80)
    cells = [line.split("  ")[0].strip() for line in plain(output).splitlines()[2:]]
    assert name in "".join(cells)


def test_no_colours_where_they_are_not_wanted() -> None:
    _, output = on_terminal("ls", "--tree", LINEAR, NO_COLOR="1")
    assert "\x1b" not in output
    _, output = on_terminal("ls", "--tree", LINEAR)
    assert "\x1b[1mtower_0/dense/\x1b[0m" in output


def test_beyond_1000_rows_a_terminal_gets_plain_columns(tmp_path: Path) -> None:
    write_many(tmp_path / "m", 1001)
    _, output = on_terminal("ls", tmp_path / "m", columns=200)
    lines = plain(output).splitlines()
    assert lines[1].split() == ["layer_00000/part_0", "float32", "[4]", "16", "B", "0"]
    assert len(lines) == 1004


@pytest.mark.parametrize("option", ["--long", "--tree", "--json"])
def test_names_cannot_write_to_the_terminal(tmp_path: Path, option: str) -> None:
    names = ["\x1b]0;title\x07", "a\x1b[2J", "b\nc", "d\u202egnp", "e\x9b31m", "[red]f[/red]"]
    write_bundle(tmp_path / "m", {name: np.zeros(1, np.int8) for name in names})
    _, output = on_terminal("ls", option, tmp_path / "m", columns=120)
    text = plain(output)
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(text)
    assert "\\u202egnp" in text
    assert "[red]f[/red]" in text
    if option != "--json":
        assert "\\x1b[2J" in text
        assert "b\\nc" in text


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {b"caf\xe9": np.zeros(1, np.int8)})
    result = spawn("ls", tmp_path / "m")
    assert result.returncode == 0
    assert "caf\\xe9" in result.stdout
    assert listed(tmp_path / "m", "caf\\xe9") == ["caf\udce9"]


@pytest.mark.parametrize(
    ("columns", "options"), [(40, ()), (40, ("--long",)), (40, ("--tree",)), (80, ("--long",))]
)
def test_nothing_is_cut_on_narrow_terminals(
    tmp_path: Path, columns: int, options: tuple[str, ...]
) -> None:
    shapes = {"dense/kernel": (128, 256), "dense/bias": (256,), "\u5c64/many": (1, 2) * 5}
    write_bundle(tmp_path / "m", {k: np.zeros(v, np.float32) for k, v in shapes.items()})
    _, output = on_terminal("ls", *options, tmp_path / "m", columns=columns)
    # The last line is the path.
    lines = plain(output).splitlines()[:-1]
    assert max(map(cells, lines)) <= columns
    words = ["[128,256]", "131072" if "--long" in options else "128.0 KiB", "3 tensors"]
    if "--long" in options:
        listing = json.loads(invoke("ls", "--json", tmp_path / "m").stdout)
        words += [f"{tensor['crc32c']:08x}" for tensor in listing["tensors"]]
    assert [word for word in words if word not in output] == []


def test_missing_data_is_told(tmp_path: Path) -> None:
    prefix = golden("sharded").copy_to(tmp_path)
    gone = f"{prefix.name}.data-00001-of-00002"
    (tmp_path / gone).unlink()
    result = invoke("ls", prefix)
    assert result.exit_code == 0
    assert f"warning: '{gone}' of '{prefix}' not found" in result.stderr
    assert invoke("ls", "--json", prefix).stderr == ""


def test_a_short_name_takes_no_more_room_than_it_needs(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"step": np.array(7)})
    _, output = on_terminal("ls", tmp_path / "m", columns=40)
    lines = [line.split() for line in plain(output).splitlines()]
    assert lines[0] == ["name", "dtype", "shape", "size", "shard"]
    assert lines[2] == ["step", "int64", "[]", "8", "B", "0"]
