"""Files of ``fastckpt.compat`` behave as those of TensorFlow do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from fastckpt.compat import gfile
from interop.differential import outcome

MODES = ["r", "w", "a", "r+", "w+", "a+", "rb", "wb", "rb+"]
TEXT = "eins\nzwei\n\ndreiß"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(kind: Any, name: str, mode: str) -> list[Any]:
    """Use a file in every way; give what came of it."""
    file = kind(name, mode)
    steps: list[Callable[[], Any]] = [
        lambda: file.write("vier\n"),
        lambda: file.write(b"acht\n"),
        file.flush,
        file.size,
        lambda: file.read(3),
        file.tell,
        file.read,
        lambda: file.seek(2),
        file.readline,
        file.readlines,
        lambda: file.seek(-3, 2),
        file.tell,
        lambda: list(file),
        lambda: file.seek(1),
        lambda: file.seek(2, 1),
        lambda: next(file),
        lambda: file.seek(-1),
        lambda: file.seek(-100, 2),
        lambda: file.seek(1000),
        lambda: file.seek(0, 3),
        file.seekable,
        file.close,
        file.close,
        lambda: file.read(4),
        lambda: file.write("!"),
        file.close,
    ]
    return [_told(outcome(step)) for step in steps]


def _told(found: Any) -> Any:
    if found.error is None:
        return found.value
    kinds = (tf.errors.PermissionDeniedError, PermissionError)
    if isinstance(found.error, kinds) or getattr(found.error, "errno", 0) == 13:
        return "not open for this"
    return type(found.error).__name__.replace("DataLossError", "OutOfRangeError")


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_file_in_every_way(mode: str, exists: bool) -> None:
    found, contents = [], []
    for side, kind in (("theirs", tf.io.gfile.GFile), ("ours", gfile.GFile)):
        if exists:
            Path(side).write_bytes(TEXT.encode())
        found.append(everything(kind, side, mode))
        contents.append(Path(side).read_bytes() if Path(side).exists() else None)
    ours = [x if x != "CheckpointNotFoundError" else "NotFoundError" for x in found[1]]
    assert ours == found[0]
    assert contents[0] == contents[1]


def test_ends_of_lines() -> None:
    """TensorFlow drops carriage returns of lines, in binary modes too, where they stay here."""
    Path("m").write_bytes(b"a\r\nb\rc\n\r\nd\r")
    theirs = tf.io.gfile.GFile("m")
    assert gfile.GFile("m").readlines() == theirs.readlines() == ["a\n", "bc\n", "\n", "d"]
    assert gfile.GFile("m").read() == tf.io.gfile.GFile("m").read()
    assert gfile.GFile("m", "rb").readline() == b"a\r\n"
    assert tf.io.gfile.GFile("m", "rb").readline() == b"a\n"


@pytest.mark.parametrize("in_order", [True, False])
def test_walking_by_the_old_names(in_order: bool) -> None:
    os.makedirs("top/b/c")
    Path("top/b/file").touch()
    theirs = list(tf.compat.v1.gfile.Walk("top", in_order=in_order))
    assert list(gfile.old_walk("top", in_order=in_order)) == theirs
    assert list(gfile.old_walk("none")) == list(tf.compat.v1.gfile.Walk("none")) == []


def test_files_that_were_forgotten() -> None:
    gfile.GFile("m", "w").write("text")
    assert Path("m").read_text() == "text"
    with pytest.raises(ValueError, match="mode"):
        gfile.GFile("m", "x")
