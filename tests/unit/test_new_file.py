"""Files that appear whole: replacement, failures, two writers, what a dead one left."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

import fastckpt
from fastckpt.storage.new_file import new_file
from unit.writer_helpers import names_in


def write(path: Path, content: bytes, *, sync: bool = False) -> None:
    with new_file(path, sync=sync) as file:
        file.write(content)


@pytest.mark.parametrize("sync", [False, True])
def test_content_appears_at_the_end(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "new" / "file"
    with new_file(path, sync=sync) as file:
        file.write(b"a" * 3_000_000)
        assert not path.exists()
        file.write(b"b")
    assert path.read_bytes() == b"a" * 3_000_000 + b"b"
    assert names_in(path.parent) == ["file"]


def test_readers_keep_the_old_file(tmp_path: Path) -> None:
    write(tmp_path / "x", b"old")
    with open(tmp_path / "x", "rb") as reader:
        write(tmp_path / "x", b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "x").read_bytes() == b"new"


def interrupted(path: Path) -> None:
    with new_file(path) as file:
        file.write(b"new")
        raise KeyError


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "x", b"old")
    with pytest.raises(KeyError):
        interrupted(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names_in(tmp_path) == ["x"]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with new_file(tmp_path / "x") as file:
        file.write(b"first")
        with pytest.raises(fastckpt.CheckpointBusyError, match="another live writer"):
            write(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    write(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"second"


def test_what_a_dead_writer_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_bytes(b"left over, and longer")
    write(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert names_in(tmp_path) == ["x"]


def test_refusals(tmp_path: Path) -> None:
    for path in (tmp_path, f"{tmp_path}/x/", ""):
        with pytest.raises(fastckpt.InvalidArgumentError):
            write(path, b"")  # type: ignore[arg-type]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(fastckpt.CheckpointIOError, match="Not a directory"):
        write(tmp_path / "file" / "below", b"")


def test_what_stands_at_the_temporary_name_is_neither_followed_nor_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"others")
    os.mkfifo(tmp_path / "pipe.tmp")
    os.symlink(tmp_path / "file", tmp_path / "link.tmp")
    for name in ("pipe", "link"):
        write(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"
    assert (tmp_path / "file").read_bytes() == b"others"
    assert names_in(tmp_path) == ["file", "link", "pipe"]


def test_it_can_be_sought_in(tmp_path: Path) -> None:
    with new_file(tmp_path / "x") as file:
        file.write(b"0123456789")
        file.seek(2)
        file.write(b"ab")
        assert file.tell() == 4
        file.seek(0, os.SEEK_END)
        file.write(b"!")
    assert (tmp_path / "x").read_bytes() == b"01ab456789!"


def test_a_write_that_fails_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "x", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(fastckpt.CheckpointIOError, match="File too large"):
            write(tmp_path / "x", bytes(2 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names_in(tmp_path) == ["x"]
