"""Files replaced at one stroke, from Python: content, directories, writers that take turns."""

import os
import threading

import pytest

from fastckpt.errors import CheckpointIOError, InvalidArgumentError
from fastckpt.storage.replace import replace_file


def test_new_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "checkpoint"
    replace_file(path, b"old content")
    replace_file(path, b"new", sync=False)
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["checkpoint"]


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace_file("state", b"x")
    assert (tmp_path / "state").read_bytes() == b"x"


def test_mistakes(tmp_path):
    for path in (tmp_path, ""):
        with pytest.raises(InvalidArgumentError):
            replace_file(path, b"x")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointIOError):
        replace_file(tmp_path / "file" / "below", b"x")
    assert os.listdir(tmp_path) == ["file"]


def test_writers_take_turns_and_readers_see_one_of_them(tmp_path):
    path = tmp_path / "checkpoint"
    contents = [bytes([65 + i]) * (1000 + i) for i in range(4)]
    replace_file(path, contents[0])
    seen, failures = set(), []

    def write(content):
        try:
            for _ in range(25):
                replace_file(path, content, sync=False)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=(c,)) for c in contents]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        seen.add(path.read_bytes())
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen <= set(contents)
    assert os.listdir(tmp_path) == ["checkpoint"]
