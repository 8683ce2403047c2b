"""fastckpt show: where tensors lie, what they hold, and numbers about the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
from fastckpt.cli.values import json_values, statistics, values_text
from golden.manifest import golden
from oracle import write_bundle
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of

LINEAR = golden("linear").prefix
TYPES = golden("types").prefix

W = """\
w
  dtype   float32
  shape   [3,2], 6 elements
  stored  24 B at offset 64 of model.ckpt-100.data-00000-of-00001
  crc32c  ef3aca9e, matches
  access  zero-copy view
  stats   min 0, max 1.25, mean 0.625, zero 1, nan 0, inf 0
  values  [[0.   0.25]
           [0.5  0.75]
           [1.   1.25]]
"""


def shown(*args: object) -> list[dict[str, Any]]:
    """The tensors of the JSON output."""
    result = invoke("show", "--json", *args)
    assert result.exit_code == 0
    rows: list[dict[str, Any]] = json.loads(result.stdout)["tensors"]
    return rows


# --- the command ---------------------------------------------------------------------------------


def test_one_tensor() -> None:
    result = invoke("show", "--stats", LINEAR, "w")
    assert result.stdout == W
    assert result.exit_code == 0


def test_several_in_the_order_asked_for() -> None:
    names = [row["name"] for row in shown(LINEAR, "w", "tower_0", "b", "w")]
    assert names == ["w", "tower_0/dense/bias", "tower_0/dense/kernel", "b"]


def test_no_such_tensor() -> None:
    result = invoke("show", LINEAR, "dense/bais")
    assert result.exit_code == 2
    assert "did you mean 'tower_0/dense/bias'" in result.stderr


def test_json_of_one_tensor() -> None:
    (row,) = shown(LINEAR, "w", "--full", "--stats")
    assert row == {
        "name": "w",
        "dtype": "float32",
        "numpy_dtype": "float32",
        "shape": [3, 2],
        "nbytes": 24,
        "shard": 0,
        "file": f"{LINEAR}.data-00000-of-00001",
        "offset": 64,
        "crc32c": 0xEF3ACA9E,
        "partitioned": False,
        "view": True,
        "aligned": True,
        "stats": {"min": 0.0, "max": 1.25, "mean": 0.625, "zero": 1, "nan": 0, "inf": 0},
        "values": [[0.0, 0.25], [0.5, 0.75], [1.0, 1.25]],
    }


def test_every_type_can_be_shown() -> None:
    result = invoke("show", "--stats", TYPES, "*")
    assert result.exit_code == 0
    assert result.stdout.count("\n  values  ") == 44
    for row in shown(TYPES, "*", "--full"):
        shape = tuple(row["shape"])
        if 0 in shape:
            assert row["values"] == np.zeros(shape).tolist()
        else:
            # A complex number is a pair.
            found = np.asarray(row["values"], dtype=object).shape
            assert found == shape + (2,) * row["dtype"].startswith("complex"), row["name"]


def test_unaligned_views_and_copies_are_told() -> None:
    text = invoke("show", TYPES, "plain/float64", "string/scalar").stdout
    assert "access  zero-copy view, not aligned" in text
    assert "access  copy" in text


def test_long_values_are_summarised_unless_full(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"x": np.arange(5000, dtype=np.int32), "s": [b"y" * 200]})
    short = invoke("show", tmp_path / "m", "x", "s").stdout
    assert "..." in short
    assert "2500" not in short
    assert "y" * 61 not in short
    full = invoke("show", "--full", tmp_path / "m", "x", "s").stdout
    assert "2500" in full
    assert "y" * 200 in full


def test_string_values_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"s": [b"\x1b[2J", b"\xff\x00", "grün".encode()]})
    _, output = on_terminal("show", tmp_path / "m", "s")
    text = plain(output)
    assert "\x1b" not in text
    assert '"\\x1b[2J"' in text
    assert "b'\\xff\\x00'" in text
    assert '"grün"' in text


def test_damaged_bytes_are_not_shown(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    flip_byte(shard_of(prefix), 64)
    result = invoke("show", prefix, "w", "b")
    assert result.exit_code == 1
    assert "values  damaged: checksum does not match" in result.stdout
    assert "0.25" not in result.stdout
    # The others are shown all the same.
    assert result.stdout.split("\n\n")[1].startswith("b\n  dtype   float32")
    document = json.loads(invoke("show", "--json", "--full", prefix, "w").stdout)
    (row,) = document["tensors"]
    assert row["error"]["type"] == "DataLossError"
    assert row["error"]["offset"] == 64
    assert "values" not in row


def test_a_missing_shard_is_told(tmp_path: Path) -> None:
    prefix = golden("sharded").copy_to(tmp_path)
    prefix.with_name(f"{prefix.name}.data-00001-of-00002").unlink()
    result = invoke("show", prefix, "*")
    assert result.exit_code == 1
    assert "values  damaged: " in result.stdout
    assert "00001-of-00002" in result.stdout
    assert result.stdout.count("matches") > 0


def test_a_malformed_entry_is_told(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "m", {"a": np.zeros(2)})
    bundle.entries[b"a"] = b"\xff\xff"
    bundle.write(tmp_path / "m")
    result = invoke("show", tmp_path / "m", "a")
    assert result.exit_code == 1
    assert "error   the tensor cannot be read" in result.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_messages_are_wrapped_at_the_edge(tmp_path: Path, columns: int) -> None:
    prefix = golden("linear").copy_to(tmp_path / "m")
    flip_byte(shard_of(prefix), 64)
    _, output = on_terminal("show", prefix, "w", columns=columns)
    lines = plain(output).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  values  damaged: "))
    assert len(lines) > start + 1
    assert all(line.startswith(" " * 10) for line in lines[start + 1 :])
    # A path alone may be longer than a line.
    assert all(len(line) <= columns or str(tmp_path) in line for line in lines)


# --- statistics ----------------------------------------------------------------------------------


def test_statistics_skip_what_is_not_finite() -> None:
    array = np.array([np.nan, np.inf, -np.inf, 0.0, 4.0, -1.0], np.float32)
    expected = {"min": -1.0, "max": 4.0, "mean": 1.0, "zero": 1, "nan": 1, "inf": 2}
    assert statistics(array, "float32") == expected


def test_statistics_of_nothing() -> None:
    expected = {"min": None, "max": None, "mean": None, "zero": 0, "nan": 0, "inf": 0}
    assert statistics(np.zeros((0, 3), np.float32), "float32") == expected


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (ml_dtypes.bfloat16, "bfloat16"),
        (ml_dtypes.float8_e5m2, "float8_e5m2"),
        (ml_dtypes.int4, "int4"),
        (np.int8, "qint8"),
        (np.float16, "float16"),
    ],
)
def test_statistics_of_small_types(dtype: Any, name: str) -> None:
    found = statistics(np.array([[-2, 0], [1, 3]]).astype(dtype), name)
    assert found == {"min": -2, "max": 3, "mean": 0.5, "zero": 1, "nan": 0, "inf": 0}


def test_statistics_keep_large_integers() -> None:
    found = statistics(np.array([2**64 - 1, 2**64 - 2], np.uint64), "uint64")
    assert found is not None
    assert (found["min"], found["max"]) == (2**64 - 2, 2**64 - 1)


def test_statistics_over_several_chunks() -> None:
    array = np.ones((1 << 20) + 3, np.int8)
    array[-1] = 5
    found = statistics(array, "int8")
    assert found is not None
    assert (found["min"], found["max"], found["zero"]) == (1, 5, 0)
    assert found["mean"] == pytest.approx(1 + 4 / array.size, rel=1e-12)


def test_no_statistics_of_strings_and_complex_numbers() -> None:
    assert statistics(np.array([b"x"], object), "string") is None
    assert statistics(np.ones(1, np.complex64), "complex64") is None


# --- values --------------------------------------------------------------------------------------


def test_json_values() -> None:
    assert json_values(np.array([np.nan, np.inf, -np.inf]), "float64") == [
        "NaN",
        "Infinity",
        "-Infinity",
    ]
    assert json_values(np.array(1 + 2j, np.complex64), "complex64") == [1.0, 2.0]
    assert json_values(np.array([b"ok", b"\xff"], object), "string") == ["ok", {"hex": "ff"}]
    assert json_values(np.array([[1, 2]]).astype(ml_dtypes.int4), "int4") == [[1, 2]]


def test_values_of_small_types_are_aligned() -> None:
    array = np.array([[1, -2], [10, 0.5]]).astype(ml_dtypes.bfloat16)
    assert values_text(array, full=False, columns=80) == "[[ 1.  -2. ]\n [10.   0.5]]"


@pytest.mark.parametrize("ndim", range(1, 7))
def test_tensors_of_many_dimensions_are_short(tmp_path: Path, ndim: int) -> None:
    fastckpt.save(tmp_path / "m", {"w": np.zeros((7,) * ndim, np.int8)}, sync=False)
    shown = invoke("show", tmp_path / "m", "w").stdout
    assert shown.count("0 ") < 80
    assert len(shown.splitlines()) < 200


def test_facts_are_wrapped_on_a_narrow_terminal() -> None:
    _, output = on_terminal("show", "--stats", LINEAR, "w", columns=40)
    lines = plain(output).splitlines()
    assert "          model.ckpt-100.data-00000-of-00001" in lines  # one word, whole
    assert max(len(line) for line in lines if "data-" not in line) <= 40
