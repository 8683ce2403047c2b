"""The printing tool: its functions and its command line, without TensorFlow."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import oracle
from fastckpt import inspect_checkpoint
from golden.manifest import golden

LINEAR_NAMES = """\
tensor: b (float32) [2]
tensor: global_step (int64) []
tensor: tower_0/dense/bias (float32) [4]
tensor: tower_0/dense/kernel (float32) [2, 4]
tensor: w (float32) [3, 2]
# Total number of params: 21
"""

show = inspect_checkpoint.print_tensors_in_checkpoint_file


@pytest.fixture
def linear() -> str:
    return str(golden("linear").prefix)


def test_names(linear: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(linear, "ignored", all_tensors=False, all_tensor_names=True)
    assert capsys.readouterr().out == LINEAR_NAMES


def test_the_debug_string(linear: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(linear, "", False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "b (DT_FLOAT) [2]"
    assert lines[-2:] == ["", "# Total number of params: 21"]


def test_one_tensor(linear: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(linear, "global_step", False)
    assert capsys.readouterr().out == (
        "tensor: global_step (int64) []\n100\n# Total number of params: 21\n"
    )
    show(linear, "nope", False)
    assert capsys.readouterr().out == "Tensor nope not found in checkpoint\n"


def test_the_count_leaves_out_what_matches(
    linear: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(linear, "b", False, False, "^tower|step$")
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "# Excluding 3 tensors (13 params) that match ^tower|step$ when counting.",
        "# Total number of params: 8",
    ]


def test_a_variant_does_not_end_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"a": oracle.Variants((), [b"\x0a\x04Kind\x12\x04data"]), "b": np.arange(2)}
    oracle.write_bundle(tmp_path / "m", values)
    show(str(tmp_path / "m"), "", all_tensors=True)
    assert capsys.readouterr().out.splitlines() == [
        "tensor: a (variant) []",
        "<not convertible to a numpy dtype>",
        "tensor: b (int64) [2]",
        "[0 1]",
        "# Total number of params: 3",
    ]


@pytest.mark.parametrize("path", ["nothing", ".", None])
def test_errors_become_text(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(path, "", all_tensors=True)
    assert capsys.readouterr().out.count("\n") == 1


def test_an_index_is_told_from_a_prefix(linear: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(f"{linear}.index", "", all_tensors=True)
    assert f"pass the prefix '{linear}'" in capsys.readouterr().out


# --- print options -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("threshold=7", 7), ("suppress=True", True), ("suppress=f", False), ("suppress=1", True),
        ("linewidth=40", 40), ("nanstr=a=b", "a=b"), ("floatmode=fixed", "fixed"),
    ],
)  # fmt: skip
def test_printoption(option: str, value: object) -> None:
    with np.printoptions():
        inspect_checkpoint.parse_numpy_printoption(option)
        assert np.get_printoptions()[option.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("threshold", "'threshold' is not in the form k=v."),
        ("=3", "'=3' is not in the form k=v."),
        ("nope=3", "'nope' is not a valid printoption."),
        ("formatter=x", "Setting 'formatter' from the command line is not supported."),
        ("threshold=many", "'many' is no value for 'threshold'."),
        ("suppress=perhaps", "'perhaps' is no value for 'suppress'."),
        ("floatmode=odd", "'odd' is no value for 'floatmode'."),
    ],
)
def test_wrong_printoption(option: str, message: str) -> None:
    with np.printoptions(), pytest.raises(argparse.ArgumentTypeError) as caught:
        inspect_checkpoint.parse_numpy_printoption(option)
    assert str(caught.value) == message


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        ([], 1, "Usage: inspect_checkpoint --file_name=checkpoint_file_name ["),
        (["--bogus=1"], 1, "Unknown command line flag 'bogus'"),
        (["--file_name=m", "--printoptions", "nope"], 2, "not in the form k=v."),
        (["--help"], 0, "--count_exclude_pattern"),
    ],
)
def test_exit_status(
    arguments: list[str], status: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        inspect_checkpoint.main(arguments)
    assert caught.value.code == status
    assert word in "".join(capsys.readouterr())


def test_as_a_program(linear: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "fastckpt.inspect_checkpoint"]
    arguments = [f"--file_name={linear}", "stray", "--all_tensor_names"]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    assert done.stdout == LINEAR_NAMES
    assert done.stderr == ""
