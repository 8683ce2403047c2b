"""The printing tool against TensorFlow's: the same lines, the same exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

import fastckpt
from golden.manifest import load_corpus, load_golden
from interop import zoo

pytestmark = pytest.mark.tf

DRIVER = Path(__file__).with_name("run_inspect.py")
TOOLS = ("fastckpt.inspect_checkpoint", "tensorflow.python.tools.inspect_checkpoint")
V2_KINDS = frozenset({"v2-name", "v2-object", "savedmodel-name", "savedmodel-object"})

Result = tuple[int, str]


def run_tool(tool: str, cases: list[Any], directory: Path) -> list[Result]:
    """Run all cases in one process of their own."""
    listed = directory / "cases.json"
    listed.write_text(json.dumps(cases), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, DRIVER, tool, listed],
        cwd=directory, capture_output=True, check=True, text=True,
        env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    return [(status, text) for status, text in json.loads(done.stdout.splitlines()[-1])]


def run_both(cases: list[Any], directory: Path) -> Iterator[tuple[Any, Result, Result]]:
    ours, theirs = (run_tool(tool, cases, directory) for tool in TOOLS)
    return zip(cases, ours, theirs, strict=True)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the checkpoints `m`, `zoo` and `parts`."""
    path = tmp_path_factory.mktemp("inspect")
    zoo.write(
        path / "m",
        {
            "w": tf.reshape(tf.range(2000.0), (40, 50)) / 7,
            "v1": tf.constant([[1.5, -2.0], [1e-9, 3e20]]),
            "step": tf.constant(7, tf.int64),
            "text": tf.constant([b"ab", b"\xff"]),
            "one": tf.constant(b"single"),
            "flag": tf.constant([True, False]),
            "brain": tf.constant([1, 2.5], tf.bfloat16),
        },
    )
    zoo.write(path / "zoo", zoo.dtype_tensors() | zoo.string_tensors() | zoo.named_tensors())
    variant = tf.raw_ops.TensorListReserve(
        element_shape=[2], num_elements=3, element_dtype=tf.float32
    )
    zoo.write(path / "variant", {"list": variant, "v": tf.zeros([2])})
    x = tf.reshape(tf.range(24.0), (4, 6))
    tf.raw_ops.SaveV2(
        prefix=str(path / "parts"), tensor_names=["p", "p", "q"],
        shape_and_slices=["4 6 0,1:-", "4 6 1,3:-", ""], tensors=[x[:1], x[1:], x],
    )  # fmt: skip
    return path


ARGUMENTS: list[list[str]] = [
    [],
    ["--file_name="],
    ["--file_name=m"],
    ["--file_name", "m"],
    ["--file_name=m", "stray"],
    ["--file_name=m", "--all_tensors"],
    ["--file_name=m", "--all_tensors=true"],
    ["--file_name=m", "--all_tensors=TRUE", "--all_tensor_names"],
    ["--file_name=m", "--all_tensors=1"],
    ["--file_name=m", "--all_tensors", "false"],
    ["--file_name=m", "--all_tensor_names"],
    ["--file_name=m", "--all_tensor_names", "--tensor_name=w"],
    *(["--file_name=m", f"--tensor_name={x}"] for x in ("w", "v1", "step", "text", "one", "flag")),
    ["--file_name=m", "--tensor_name=w:0"],
    ["--file_name=m", "--tensor_name=nope"],
    ["--file_name=m", "--count_exclude_pattern=v|step"],
    ["--file_name=m", "--all_tensor_names", "--count_exclude_pattern=."],
    ["--file_name=m", "--all_tensor_names", "--count_exclude_pattern=nothing like it"],
    ["--file_name=m", "--tensor_name=w", "--printoptions", "threshold=5", "edgeitems=1"],
    ["--file_name=m", "--tensor_name=v1", "--printoptions", "suppress=True", "precision=2"],
    ["--file_name=m", "--tensor_name=w", "--printoptions"],
    ["--file_name=m", "--printoptions", "threshold"],
    ["--file_name=m", "--printoptions", "=5"],
    ["--file_name=m", "--printoptions", "nope=5"],
    ["--file_name=m", "--printoptions", "formatter=x"],
    ["--file_name=m", "--bogus"],
    ["--bogus=3"],
]


def test_command_line(directory: Path) -> None:
    for case, ours, theirs in run_both(ARGUMENTS, directory):
        assert ours == theirs, case


def cases_of(prefix: str) -> list[dict[str, Any]]:
    base = {"file_name": prefix, "tensor_name": "", "all_tensors": False}
    return [
        base,
        {**base, "all_tensors": True},
        {**base, "all_tensor_names": True, "count_exclude_pattern": "a"},
    ]


def test_zoo(directory: Path) -> None:
    cases = [case for name in ("zoo", "variant", "parts") for case in cases_of(name)]
    cases += [{**cases[0], "tensor_name": name} for name in zoo.NAMES]
    cases.append({**cases[-1], "file_name": "parts", "tensor_name": "p"})
    for case, ours, theirs in run_both(cases, directory):
        assert ours == theirs, case


def test_golden_and_corpus(directory: Path) -> None:
    expected = [*load_golden().values(), *load_corpus(V2_KINDS)]
    cases = [case for x in expected for case in cases_of(str(x.prefix))]
    for case, ours, theirs in run_both(cases, directory):
        if "No such file or directory" in theirs[1]:  # a shard that the corpus lacks
            assert ours[1].splitlines()[0] == theirs[1].splitlines()[0]
        else:
            assert ours == theirs, case


def test_v1_as_sets_of_lines(directory: Path) -> None:
    expected = load_corpus(frozenset({"v1", "v1-sharded"}))
    cases = [case for x in expected for case in cases_of(str(x.prefix))]
    for case, ours, theirs in run_both(cases, directory):
        assert sorted(ours[1].splitlines()) == sorted(theirs[1].splitlines()), case


@pytest.mark.parametrize("name", ["nothing", "m.data-00000-of-00001", ".", "m.meta", ""])
def test_errors_are_text(directory: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (directory / "m.meta").write_bytes(b"\x0a\x02\x08\x01")
    fastckpt.inspect_checkpoint.print_tensors_in_checkpoint_file(
        str(directory / name) if name else "", "", all_tensors=False
    )
    text = capsys.readouterr().out
    assert text.strip()
    assert "# Total" not in text
