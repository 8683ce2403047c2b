"""fastckpt demo: on a checkpoint that it writes, and on one that is there."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

import fastckpt
from fastckpt.cli import demo_job, demo_room, demo_write
from fastckpt.cli.demo_model import MIN_BYTES, make_model
from fastckpt.cli.demo_room import parse_size
from fastckpt.cli.demo_tensorflow import TensorFlow, TensorFlowFailed
from golden.manifest import golden, load_golden
from unit.cli_helpers import command, flip_byte, invoke, on_terminal, plain, shard_of, spawn

has_tensorflow = importlib.util.find_spec("tensorflow") is not None


@pytest.fixture
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_write, "is_installed", lambda: False)


# --- the model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [MIN_BYTES, 8 << 20, 64 << 20])
def test_the_model_is_about_as_large_as_was_asked_for(size: int) -> None:
    model = make_model(size)
    assert 0.7 * size < model.nbytes < 1.2 * size
    parts = list(model.parts())
    assert len(parts) == 4
    assert sum(len(array) for _, array in parts) == len(model.table)


def test_the_model_has_several_dtypes_and_no_two_equal_kernels() -> None:
    tensors = make_model(MIN_BYTES).tensors
    dtypes = {str(x.dtype) for x in tensors.values() if hasattr(x, "dtype")}
    assert {"float32", "bfloat16", "int64"} <= dtypes
    assert isinstance(tensors["tokenizer/vocabulary"], list)
    kernels = [x.tobytes() for name, x in tensors.items() if name.endswith("kernel")]
    assert len(set(kernels)) == len(kernels)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 << 20), ("1GiB", 1 << 30), ("1.5 gib", 3 << 29), ("2097152", 2 << 20),
        ("2048KiB", 2 << 20), ("1tib", 1 << 40),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(None, None, text) == size  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "MiB", "64 MB", "-1GiB", "1e9", "1KiB", "0", "nan"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no size|is too small"):
        parse_size(None, None, text)  # type: ignore[arg-type]


# --- writing -------------------------------------------------------------------------------------


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of the table's rows, by their step; two blanks part cells."""
    lines = (line.replace("  ", "\t").split("\t") for line in text.splitlines())
    cells = ([x.strip() for x in line if x.strip()] for line in lines)
    return {row[0]: row[1:] for row in cells if len(row) in {4, 7} and row[0] in demo_job.STEPS}


def test_demo_does_the_whole_job(no_tensorflow: None, tmp_path: Path) -> None:
    result = invoke("demo", "--size", "1MiB", "--dir", tmp_path, "--shards", 2, "--threads", 1)
    assert result.exit_code == 0
    assert list(rows_of(result.stdout)) == list(demo_job.STEPS)
    assert "2 shards, 1 thread" in result.stdout
    assert "All 393 tensors read back as they were saved." in result.stdout
    assert "pip install tensorflow-cpu" in result.stdout
    assert "TensorFlow  GB/s" not in result.stdout
    count = len(load_golden())
    assert f"Of {count} small checkpoints" in result.stdout
    assert f", {count} were read and verified" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tf
@pytest.mark.skipif(not has_tensorflow, reason="TensorFlow is not installed")
def test_demo_beside_tensorflow(tmp_path: Path) -> None:
    result = spawn("demo", "--size", "1MiB", "--dir", tmp_path, "--json")
    found = json.loads(result.stdout)
    assert result.returncode == 0
    assert result.stderr == ""
    assert found["tensorflow_failure"] is None
    assert found["tensorflow"].count(".") == 2
    assert found["tensors_equal_in_tensorflow"] == found["tensors"] == 393
    theirs = {x["step"]: x["tensorflow_seconds"] for x in found["steps"]}
    assert [x for x in theirs if theirs[x]] == ["save", "open", "view", "load"]
    assert list(tmp_path.iterdir()) == []


def test_demo_goes_on_without_a_tensorflow_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo_write, "is_installed", lambda: True)
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "tensorflow.py").write_text("raise ImportError('planted\\nfailure')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "module"), *sys.path]))
    result = invoke("demo", "--size", "1MiB", "--dir", tmp_path / "module")
    assert result.exit_code == 0
    assert "left out: ImportError: planted." in result.stdout
    assert len(rows_of(result.stdout)["save"]) == 3


def test_a_tensorflow_that_dies_or_hangs_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastckpt.cli.demo_tensorflow._MAX_SECONDS", 0.1)
    with TensorFlow() as peer:
        os.kill(peer._process.pid, signal.SIGSTOP)
        with pytest.raises(TensorFlowFailed, match="no answer within"):
            peer.version()
    with TensorFlow() as peer:
        peer._process.kill()
        peer._process.wait()
        with pytest.raises(TensorFlowFailed, match="died"):
            peer.version()
    assert peer._process.returncode is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("demo", "--size", "16MiB", "--dir", tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/model.ckpt*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == (b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_demo_on_terminals_of_either_width(tmp_path: Path) -> None:
    for columns in (80, 120):
        code, output = on_terminal(
            *("demo", "--size", "1MiB", "--dir", tmp_path),
            columns=columns,
            PYTHONPATH=_hidden(tmp_path),
        )
        # What stood on the line of the status is wiped away.
        lines = [line.rpartition("\r")[2] for line in plain(output).rstrip("\n").split("\n")]
        assert code == 0
        assert max(len(line) for line in lines if str(tmp_path) not in line) <= columns
        assert len(lines) <= 30
        assert {"save", "load_into"} <= {line.split("  ")[0] for line in lines}


def _hidden(folder: Path) -> str:
    """A PYTHONPATH where TensorFlow looks as if it were not installed: its time is not needed."""
    hidden = folder / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nf = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'tensorflow' else f(name, *a)\n"
    )
    return os.pathsep.join([str(hidden), *filter(None, sys.path)])


def test_a_slow_machine_gets_a_smaller_checkpoint(
    no_tensorflow: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo_write, "_PILOT_BYTES", MIN_BYTES)
    monkeypatch.setattr(demo_room, "_DEFAULT_BYTES", 64 << 20)
    monkeypatch.setattr(demo_job.Job, "time_round", lambda _: 15.0)
    result = invoke("demo", "--dir", tmp_path)
    assert result.exit_code == 0
    assert "A checkpoint of 957.6 KiB" in result.stdout
    assert "For 64.0 MiB, pass --size" in result.stdout


# --- refusals ------------------------------------------------------------------------------------


def test_demo_checks_room_before_it_begins(
    no_tensorflow: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo_room, "_available_memory", lambda: 7 << 20)
    result = invoke("demo", "--size", "2MiB", "--dir", tmp_path)
    assert result.exit_code == 2
    assert "8.0 MiB of memory, and 7.0 MiB are available; pass a smaller --size" in result.stderr
    monkeypatch.setattr(demo_room, "_available_memory", lambda: None)
    result = invoke("demo", "--size", "1000TiB", "--dir", tmp_path)
    assert result.exit_code == 2
    assert "of disk space" in result.stderr
    assert "--dir" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("available", "size"),
    [(None, 1 << 30), (64 << 30, 1 << 30), (2 << 30, 1 << 29), (1 << 20, 64 << 20)],
)
def test_the_usual_size_is_what_memory_allows(
    available: int | None, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_room, "_available_memory", lambda: available)
    assert demo_room.fitting_size(None) == size


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--size", "much"], "'much' is no size"),
        (["--dir", "nowhere-at-all"], "does not exist"),
        (["--size", "1MiB", "PATH"], "--size goes with no PATH"),
        (["--shards", "2", "PATH"], "--shards goes with no PATH"),
    ],
)
def test_wrong_usage(args: list[str], message: str) -> None:
    result = invoke("demo", *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_what_is_not_read_back_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = make_model(MIN_BYTES)
    job = demo_job.Job(
        model, tmp_path, num_shards=1, num_threads=1, peer=None, tell=lambda _: None
    )
    job._run_round()
    model.tensors["model/norm/beta"][3] += 1
    with pytest.raises(fastckpt.DataLossError, match="'model/norm/beta' is not what was saved"):
        job._check_values()


# --- a checkpoint that is there ------------------------------------------------------------------


def test_demo_of_a_checkpoint(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, output = on_terminal("demo", prefix)
    assert code == 0
    text = plain(output)
    assert "5 tensors, 88 B in 1 shard" in text
    assert "writeable False, owndata False" in text
    rows = {x.split()[0]: x.split() for x in text.splitlines() if x.endswith(" GB/s")}
    assert rows["view"][1:4] == rows["load"][1:4] == ["5", "88", "B"]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_demo_of_a_checkpoint_as_json(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    found = json.loads(invoke("demo", prefix, "--json").stdout)
    assert (found["path"], found["tensors"], found["bytes"]) == (str(prefix), 5, 88)
    assert [x["step"] for x in found["steps"]] == ["open", "view", "load", "verify"]
    assert {x["tensors"] for x in found["steps"]} == {5}


def test_demo_of_a_damaged_checkpoint(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    flip_byte(shard_of(prefix), 0)
    result = invoke("demo", prefix)
    assert result.exit_code == 1
    assert "checksum does not match" in result.stderr
