"""Reading checkpoint state files: every form found in the wild, and what their paths mean here."""

import logging
import os
from pathlib import Path

import pytest

from fastckpt.errors import (
    CheckpointIOError,
    DataLossError,
    InvalidArgumentError,
    LimitExceededError,
)
from fastckpt.storage.state import CheckpointState, parse_state, read_state, resolve_path


def touch(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def latest(directory: Path, text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    (directory / "checkpoint").write_bytes(data)
    state = read_state(directory)
    assert state is not None
    return state.model_checkpoint_path


# --- the format ----------------------------------------------------------------------------------


def test_all_fields():
    text = """
model_checkpoint_path: "ckpt-1"
all_model_checkpoint_paths: "ckpt-9"
all_model_checkpoint_paths: "ckpt-1"
all_model_checkpoint_timestamps: 1757461169.1449866
all_model_checkpoint_timestamps: 1000000000.0
last_preserved_timestamp: 1757459281.8194308
"""
    assert parse_state(text) == CheckpointState(
        "ckpt-1", ["ckpt-9", "ckpt-1"], [1757461169.1449866, 1e9], 1757459281.8194308
    )


def test_nothing_is_a_state_without_fields():
    assert parse_state("") == parse_state("# only a comment\n") == CheckpointState()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("model_checkpoint_path: 'single'", "single"),
        ('# first\nmodel_checkpoint_path: "a" # behind\n', "a"),
        ('model_checkpoint_path: "a"\r\nall_model_checkpoint_paths: "a"\r\n', "a"),
        ('model_checkpoint_path: "a"\rall_model_checkpoint_paths: "a"\r', "a"),
        ('model_checkpoint_path:"a"', "a"),
        ('  model_checkpoint_path :\n "a"', "a"),
        ('model_checkpoint_path: "two" " parts"', "two parts"),
        ('model_checkpoint_path: "first" model_checkpoint_path: "last"', "last"),
        (r'model_checkpoint_path: "mod\303\250le-\346\250\241"', "modèle-模"),
        (r'model_checkpoint_path: "tab\tquote\"\x41"', 'tab\tquote"A'),
        ('model_checkpoint_path: "modèle-模"', "modèle-模"),
        ('model_checkpoint_path: "line\u2028separator"', "line\u2028separator"),
        ('model_checkpoint_path: "p-?????-of-00001"', "p-?????-of-00001"),
        (r'model_checkpoint_path: "C:\\models\\new\\m-1"', r"C:\models\new\m-1"),
        (r'model_checkpoint_path: "\\\\host\\share\\m"', r"\\host\share\m"),
    ],
)
def test_forms_of_a_string(text: str, path: str):
    assert parse_state(text).model_checkpoint_path == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        # Legal as text, and yet no tab or newline was meant.
        (r'model_checkpoint_path: "D:\train\new\m-1"', r"D:\train\new\m-1"),
        (r"model_checkpoint_path: 'c:\new'", r"c:\new"),
        # Not legal as text at all.
        (r'model_checkpoint_path: "C:\Users\me\m-1"', r"C:\Users\me\m-1"),
        (r'model_checkpoint_path: "models\m-1"', r"models\m-1"),
    ],
)
def test_windows_paths_that_nobody_escaped(text: str, path: str):
    assert parse_state(text).model_checkpoint_path == path


@pytest.mark.parametrize(
    "text",
    [
        'model_checkpoint_path: "open',
        "model_checkpoint_path: 7",
        'unknown_field: "a"',
        "node { name: 'a' }",
        r'model_checkpoint_path: "bad \q" nonsense',
        "all_model_checkpoint_timestamps: x",
        "{" * 5000,
        "<<<<<<< HEAD\nmodel_checkpoint_path: 'a'\n",
        r'model_checkpoint_path: "\377"',
    ],
)
def test_other_text(text: str):
    with pytest.raises(DataLossError, match=r"^not a checkpoint state"):
        parse_state(text)


# --- where it is ---------------------------------------------------------------------------------


def test_no_file_no_state(tmp_path: Path):
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "absent") is None
    (tmp_path / "checkpoint").mkdir()
    assert read_state(tmp_path) is None


def test_another_name(tmp_path: Path):
    (tmp_path / "best").write_text('model_checkpoint_path: "m"')
    state = read_state(str(tmp_path), "best")
    assert state is not None
    assert state.model_checkpoint_path == str(tmp_path / "m")
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("name", ["a/b", "/b", ""])
def test_the_name_is_no_path(tmp_path: Path, name: str):
    with pytest.raises(InvalidArgumentError, match="must not contain path components"):
        read_state(tmp_path, name)


def test_the_empty_directory_is_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert latest(tmp_path, 'model_checkpoint_path: "m"') == str(tmp_path / "m")
    state = read_state("")
    assert state is not None
    assert state.model_checkpoint_path == "m"


@pytest.mark.parametrize("data", [b"", b"\n", b'all_model_checkpoint_paths: "a"'])
def test_a_state_that_names_nothing(tmp_path: Path, data: bytes):
    with pytest.raises(DataLossError, match="names no checkpoint") as caught:
        latest(tmp_path, data)
    assert caught.value.path == str(tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'model_checkpoint_path: "\xff"', "byte 24 is not UTF-8"),
        (b"garbage", "not a checkpoint state"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "this is an HDF5 file"),
        (b'node {\n name: "a"\n}', "this is a graph in text form"),
    ],
)
def test_a_file_that_is_no_state(tmp_path: Path, data: bytes, reason: str):
    with pytest.raises(DataLossError, match=reason) as caught:
        latest(tmp_path, data)
    assert str(tmp_path / "checkpoint") in str(caught.value)


def test_a_byte_order_mark(tmp_path: Path):
    assert latest(tmp_path, b'\xef\xbb\xbfmodel_checkpoint_path: "m"') == str(tmp_path / "m")


def test_a_huge_file_is_refused_unread(tmp_path: Path):
    with open(tmp_path / "checkpoint", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(LimitExceededError, match="this is no state file"):
        read_state(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path):
    (tmp_path / "checkpoint").touch(mode=0)
    with pytest.raises(CheckpointIOError) as caught:
        read_state(tmp_path)
    assert caught.value.filename == str(tmp_path / "checkpoint")


def test_a_pipe_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "checkpoint")
    assert read_state(tmp_path) is None


# --- what its paths mean -------------------------------------------------------------------------


def test_relative_paths_start_at_the_directory(tmp_path: Path):
    touch(tmp_path, "sub/m.index", "up.index")
    assert latest(tmp_path, 'model_checkpoint_path: "sub/m"') == str(tmp_path / "sub" / "m")
    assert latest(tmp_path, 'model_checkpoint_path: "./up"') == f"{tmp_path}/./up"


def test_an_absolute_path_that_is_there_stays(tmp_path: Path):
    touch(tmp_path, "here/m.index", "there/m.index")
    there = str(tmp_path / "there" / "m")
    assert latest(tmp_path / "here", f'model_checkpoint_path: "{there}"') == there


@pytest.mark.parametrize(
    "stored",
    [
        "/elsewhere/somebody/train/m-7",
        r"C:\\Users\\somebody\\train\\m-7",
        r"C:\Users\somebody\train\m-7",
        r"\\\\host\\share\\m-7",
        "C:/elsewhere/somebody/m-7",
        "train/m-7",
    ],
)
def test_a_path_of_another_machine_is_found_beside(tmp_path, caplog, stored: str):
    touch(tmp_path, "m-7.index")
    with caplog.at_level(logging.INFO, "fastckpt"):
        assert latest(tmp_path, f'model_checkpoint_path: "{stored}"') == str(tmp_path / "m-7")
    (record,) = caplog.records
    assert record.name == "fastckpt"
    assert record.levelno == logging.INFO
    assert str(tmp_path / "m-7") in record.getMessage()


def test_a_relative_windows_path_keeps_its_directories(tmp_path: Path):
    touch(tmp_path, "sub/m.index", "m.index")
    assert resolve_path("sub\\m", str(tmp_path)) == str(tmp_path / "sub" / "m")


def test_a_backslash_that_belongs_to_the_name(tmp_path: Path):
    touch(tmp_path, "a\\m.index", "m.index")
    assert resolve_path("a\\m", str(tmp_path)) == str(tmp_path / "a\\m")


def test_what_is_found_nowhere_stays_as_stored(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "fastckpt"):
        assert latest(tmp_path, 'model_checkpoint_path: "/gone/m"') == "/gone/m"
        assert latest(tmp_path, 'model_checkpoint_path: "gone"') == str(tmp_path / "gone")
    assert caplog.records == []


def test_v1_files_and_patterns_are_found_beside_too(tmp_path: Path):
    touch(tmp_path, "v1", "s-00000-of-00002")
    assert resolve_path("/gone/v1", str(tmp_path)) == str(tmp_path / "v1")
    pattern = "s-?????-of-00002"
    assert resolve_path(f"/gone/{pattern}", str(tmp_path)) == str(tmp_path / pattern)


def test_brackets_are_taken_literally(tmp_path: Path):
    touch(tmp_path, "g[1].index")
    assert resolve_path("/gone/g[1]", str(tmp_path)) == str(tmp_path / "g[1]")


def test_a_save_to_a_directory(tmp_path: Path):
    touch(tmp_path, ".index")
    assert latest(tmp_path, 'model_checkpoint_path: "."') == f"{tmp_path}/"


def test_kept_paths_are_resolved_like_the_latest(tmp_path: Path):
    touch(tmp_path, "m-1.index", "m-2.index")
    text = "model_checkpoint_path: '/gone/m-2' all_model_checkpoint_paths: ['/gone/m-1', 'm-2']"
    (tmp_path / "checkpoint").write_text(text)
    state = read_state(tmp_path)
    assert state is not None
    assert state.all_model_checkpoint_paths == [str(tmp_path / "m-1"), str(tmp_path / "m-2")]


# --- real ones -----------------------------------------------------------------------------------


def test_every_state_file_of_the_corpus(corpus_dir: Path):
    found = 0
    for path in sorted(corpus_dir.rglob("checkpoint")):
        if not path.is_file():
            continue
        text = path.read_text()
        state = parse_state(text)
        quoted = [line.split('"')[1] for line in text.splitlines() if '"' in line]
        assert [state.model_checkpoint_path, *state.all_model_checkpoint_paths] == quoted
        assert len(state.all_model_checkpoint_timestamps) == text.count("all_model_checkpoint_t")
        assert read_state(path.parent) is not None
        found += 1
    assert found > 20


@pytest.mark.tf
def test_what_tensorflow_writes(tmp_path: Path):
    tf = pytest.importorskip("tensorflow")
    paths = [str(tmp_path / "modèle 1"), str(tmp_path / 'quote"\\back\n-2')]
    tf.compat.v1.train.update_checkpoint_state(
        str(tmp_path), paths[-1], paths, None, [1.25, 1e9], 0.1
    )
    assert read_state(tmp_path) == CheckpointState(paths[-1], paths, [1.25, 1e9], 0.1)
