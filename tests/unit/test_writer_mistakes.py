"""Arguments that a save refuses: a typed error that says what to do, and nothing on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import CheckpointWriter
from fastckpt.errors import (
    CheckpointBusyError,
    CheckpointIOError,
    InvalidArgumentError,
    UnsupportedError,
)
from unit.writer_helpers import loaded, names_in

NOBODY = 65534
ONE: dict[str, Any] = {"w": np.ones(3)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(
    work: Callable[[], object], kind: type[fastckpt.CheckpointError], *words: str
) -> fastckpt.CheckpointError:
    with pytest.raises(fastckpt.CheckpointError) as caught:
        work()
    assert type(caught.value) is kind
    for word in words:
        assert word in str(caught.value)
    return caught.value


# --- prefixes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("", ["empty"]),
        ("a/", ["separator", "a/ckpt"]),
        ("dir", ["directory", "dir/ckpt"]),
        ("dir/.", ["directory"]),
        ("..", ["directory"]),
        ("link", ["directory"]),
        ("a.index", ["index file", "prefix 'a'"]),
        ("a.meta", ["meta file", "prefix 'a'"]),
        ("a.data-00000-of-00001", ["data file", "prefix 'a'"]),
        ("a\0b", ["NUL"]),
        ("a\ud800b", ["encoding"]),
        ("a" * 250, ["too long"]),
        ("a" * 300, ["too long"]),
        ("new/" + "a" * 250, ["too long"]),
        ("a" * 300 + "/m", ["too long"]),
        ("/".join(["a" * 200] * 25), ["too long"]),
        (b"m", ["str", "bytes"]),
        (7, ["str", "int"]),
    ],
    ids=lambda value: ascii(value)[:24] if isinstance(value, str) else None,
)
def test_prefixes(here: Path, prefix: Any, words: list[str]) -> None:
    (here / "dir").mkdir()
    (here / "link").symlink_to("dir")
    for work in (lambda: fastckpt.save(prefix, ONE), lambda: CheckpointWriter(prefix)):
        refused(work, InvalidArgumentError, *words)
    assert names_in(here) == ["dir", "link"]
    assert names_in(here / "dir") == []


def test_a_directory_of_that_name_is_allowed_where_it_is_meant(here: Path) -> None:
    (here / "dir").mkdir()
    for _ in range(2):
        with CheckpointWriter("dir", allow_directory=True) as writer:
            writer.add_all(ONE)
        assert loaded("dir") == {"w": [1, 1, 1]}
    assert names_in(here / "dir") == []
    for prefix in ("dir/", "dir/.", ".."):
        refused(
            lambda prefix=prefix: CheckpointWriter(prefix, allow_directory=True),
            InvalidArgumentError,
        )
    # Whoever passes a directory to `save` mostly wants the files inside, though there is one.
    refused(lambda: fastckpt.save("dir", ONE), InvalidArgumentError, "dir/ckpt")


@pytest.mark.parametrize("url", ["gs://bucket/m", "s3://b/m", "hdfs://h/m"])
def test_urls(here: Path, url: str) -> None:
    assert refused(lambda: fastckpt.save(url, ONE), UnsupportedError, "local").path == url
    assert names_in(here) == []


def test_a_url_of_a_local_file(here: Path) -> None:
    refused(lambda: fastckpt.save("file:///x/m", ONE), InvalidArgumentError, "path '/x/m'")
    assert names_in(here) == []


def test_the_longest_name_that_fits(here: Path) -> None:
    longest = "m" * (os.pathconf(here, "PC_NAME_MAX") - len(".data-00000-of-00001"))
    for _ in range(2):
        fastckpt.save(longest, ONE)
    assert loaded(longest) == {"w": [1, 1, 1]}
    refused(lambda: fastckpt.save(longest + "m", ONE), InvalidArgumentError, "too long")


def test_a_file_in_the_place_of_a_directory(here: Path) -> None:
    (here / "file").touch()
    error = refused(lambda: fastckpt.save("file/m", ONE), CheckpointIOError, "Not a directory")
    assert isinstance(error, OSError)
    assert error.filename == f"{here}/file"


@pytest.mark.parametrize("prefix", ["m", "sub/m"])
def test_a_directory_that_may_not_be_written(here: Path, prefix: str) -> None:
    here.chmod(0o555)
    # Root may write anywhere, and gives that up for a moment.
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        error = refused(
            lambda: fastckpt.save(here / prefix, ONE), CheckpointIOError, "Permission denied"
        )
    finally:
        if is_root:
            os.seteuid(0)
        here.chmod(0o755)
    assert isinstance(error, OSError)
    assert error.filename.startswith(str(here))
    assert names_in(here) == []


def test_a_directory_in_the_place_of_the_index(here: Path) -> None:
    (here / "m.index").mkdir()
    with pytest.raises(fastckpt.CheckpointError):
        fastckpt.save("m", ONE)
    assert names_in(here) == ["m.index"]


# --- another writer ------------------------------------------------------------------------------


def test_a_live_writer_in_this_process(here: Path) -> None:
    with CheckpointWriter("m") as writer:
        writer.add("w", 1)
        for spelling in ("m", f"{here}/m", "./m"):
            error = refused(lambda p=spelling: fastckpt.save(p, ONE), CheckpointBusyError, "busy")
            assert isinstance(error, OSError)
        fastckpt.save("other", ONE)
        fastckpt.save("m-1", ONE)
    assert loaded("m") == {"w": 1}
    fastckpt.save("m", ONE)
    assert loaded("m") == loaded("m-1") == loaded("other") == {"w": [1, 1, 1]}


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("num_shards", value) for value in (0, -1, 1.0, "2", (1 << 20) + 1, 1 << 70)),
        *(("alignment", value) for value in (0, -64, 3, 48, 1 << 21, 64.0)),
        *(("num_threads", value) for value in (0, -1, 1.5, "x")),
        *(("backend", value) for value in ("mmap", "", None)),
        *(("progress", value) for value in (3, "bar")),
    ],
)
def test_options(here: Path, option: str, value: object) -> None:
    options: dict[str, Any] = {option: value}
    refused(lambda: fastckpt.save("m", ONE, **options), InvalidArgumentError, option)
    assert names_in(here) == []


# --- tensors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensors", [None, [("w", 1)], {"w"}, "w", np.ones(2)])
def test_what_is_no_mapping(here: Path, tensors: Any) -> None:
    refused(lambda: fastckpt.save("m", tensors), InvalidArgumentError, "mapping")
    assert names_in(here) == []


VALUES: list[tuple[Any, type[fastckpt.CheckpointError], str]] = [
    (None, InvalidArgumentError, "array-like"),
    (object(), InvalidArgumentError, "array-like"),
    ({"a": 1}, InvalidArgumentError, "array-like"),
    (np.array([object()]), InvalidArgumentError, "numbers"),
    (np.array([b"x", 3], object), InvalidArgumentError, "never both"),
    (np.array([None]), InvalidArgumentError, "numbers"),
    ([[1], [1, 2]], InvalidArgumentError, "rectangular"),
    (np.zeros(2, "M8[s]"), UnsupportedError, "int64"),
    (np.zeros(2, "i4,f4"), UnsupportedError, "field"),
    (np.zeros(2, np.longdouble), UnsupportedError, "astype"),
    ((np.zeros(2, np.int8), "qint32"), InvalidArgumentError, "astype"),
    ((np.zeros(2, np.float32), "qint8"), InvalidArgumentError, "astype"),
    ((np.zeros(2, np.int8), "resource"), UnsupportedError, "resource"),
    ((np.zeros(2, np.int8), "int7"), InvalidArgumentError, "int7"),
    ((np.zeros(2), "string"), InvalidArgumentError, "string"),
]


@pytest.mark.parametrize(("value", "kind", "word"), VALUES)
def test_values(here: Path, value: Any, kind: type[fastckpt.CheckpointError], word: str) -> None:
    tensors = {"good": np.ones(2), "layer/bad": value}
    error = refused(lambda: fastckpt.save("m", tensors), kind, "layer/bad", word)
    assert error.key == "layer/bad"
    assert names_in(here) == []


@pytest.mark.parametrize("name", ["", 1, b"w", None, ("w", 1), "\ud800"])
def test_names(here: Path, name: Any) -> None:
    refused(lambda: fastckpt.save("m", {"good": 1, name: 2}), InvalidArgumentError, "name")
    refused(lambda: fastckpt.save("m", {name: np.ones(2)}), InvalidArgumentError, "name")
    assert names_in(here) == []


def write(*steps: Callable[[CheckpointWriter], object], **options: Any) -> Callable[[], None]:
    def work() -> None:
        with CheckpointWriter("m", **options) as writer:
            for step in steps:
                step(writer)

    return work


def test_names_are_used_once(here: Path) -> None:
    add = lambda w: w.add("w", 1)  # noqa: E731
    add_all = lambda w: w.add_all([("w", 2)])  # noqa: E731
    add_slice = lambda w: w.add_slice("w", [1], (2,), (0,))  # noqa: E731
    add_whole_slice = lambda w: w.add_slice("w", [1, 2], (2,), (0,))  # noqa: E731
    both = [
        (add, add), (add, add_all), (add_all, add), (add_all, add_all), (add, add_slice),
        (add_slice, add), (add_all, add_slice), (add_slice, add_all), (add, add_whole_slice),
        (add_whole_slice, add), (add_whole_slice, add_slice), (add_slice, add_whole_slice),
    ]  # fmt: skip
    for steps in both:
        refused(write(*steps), InvalidArgumentError, "'w'")
        assert names_in(here) == []
    refused(write(lambda w: w.add_all([("w", 1), ("w", 1)])), InvalidArgumentError, "'w'")
    assert names_in(here) == []


@pytest.mark.parametrize("shard", [-1, 2, 1 << 40, 0.5, "0"])
def test_shards(here: Path, shard: Any) -> None:
    refused(
        write(lambda w: w.add("w", 1, shard=shard), num_shards=2), InvalidArgumentError, "shard"
    )
    assert names_in(here) == []


# --- slices --------------------------------------------------------------------------------------

FULL = (4, 3)
ROWS = np.arange(6, dtype=np.int32).reshape(2, 3)


@pytest.mark.parametrize(
    ("slices", "word"),
    [
        ([(ROWS, FULL, (0, 0))], "6 of the 12"),
        ([(ROWS, FULL, (0, 0)), (ROWS[:1], FULL, (3, 0))], "9 of the 12"),
        ([(ROWS, FULL, (0, 0)), (ROWS, FULL, (1, 0))], "overlap"),
        ([(ROWS, FULL, (0, 0)), (ROWS, FULL, (0, 0))], "overlap"),
        ([(ROWS, FULL, (0, 0)), (ROWS, FULL, (0, None))], "overlap"),
        ([(ROWS, FULL, (3, 0))], "inside the shape"),
        ([(ROWS, FULL, (1 << 62, 0))], "inside the shape"),
        ([(ROWS[:0], FULL, (0, 0))], "not empty"),
        ([(ROWS, FULL, (-1, 0))], "start"),
        ([(ROWS, FULL, (1 << 63, 0))], "start"),
        ([(ROWS, FULL, (0.0, 0))], "start"),
        ([(ROWS, FULL, 0)], "start"),
        ([(ROWS, FULL, None)], "start"),
        ([(ROWS, FULL, (0,))], "lengths differ"),
        ([(ROWS, (12,), (0,))], "lengths differ"),
        ([(ROWS, FULL, (None, 0))], "start[0] is None"),
        ([(ROWS, 4, (0, 0))], "full_shape"),
        ([(ROWS, (4, -3), (0, 0))], "full_shape"),
        ([(ROWS, (4, 1 << 70), (0, 0))], "full_shape"),
        ([(ROWS, (4, 3.5), (0, 0))], "full_shape"),
        ([(ROWS, (1 << 40, 1 << 40), (0, 0))], "TensorFlow can hold"),
        ([(ROWS, FULL, (0, 0)), (ROWS, (5, 3), (2, 0))], "full shape"),
        ([(ROWS, FULL, (0, 0)), (ROWS.astype("i8"), FULL, (2, 0))], "dtype"),
        ([(np.int8(1), (), (0,))], "lengths differ"),
    ],
)
def test_slices(here: Path, slices: list[tuple[Any, Any, Any]], word: str) -> None:
    steps = [lambda w, part=part: w.add_slice("p/q", *part) for part in slices]
    error = refused(write(*steps), InvalidArgumentError, word)
    assert error.key == "p/q"
    assert "p/q" in str(error)
    assert names_in(here) == []
