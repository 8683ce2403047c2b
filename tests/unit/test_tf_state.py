"""State functions and waiting by TensorFlow's names, without TensorFlow."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastckpt
from fastckpt.training import waiting

# --- the state file ------------------------------------------------------------------------------


def write_state(directory: Path, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    (directory / "checkpoint").write_bytes(data)


def test_state_gives_what_is_stored(tmp_path: Path) -> None:
    write_state(
        tmp_path,
        'model_checkpoint_path: "/gone/b"\nall_model_checkpoint_paths: "a"\r\n'
        'all_model_checkpoint_paths: "/gone/b"\nall_model_checkpoint_timestamps: [1, 2.5]\n',
    )
    (tmp_path / "b.index").touch()
    state = fastckpt.get_checkpoint_state(tmp_path)
    assert state is not None
    assert state.model_checkpoint_path == "/gone/b"
    assert state.all_model_checkpoint_paths == [f"{tmp_path}/a", "/gone/b"]
    assert state.all_model_checkpoint_timestamps == [1.0, 2.5]
    assert state.last_preserved_timestamp == 0.0


@pytest.mark.parametrize(
    "text", [b"garbage", b'model_checkpoint_path: "m" more: 1', b"\xef\xbb\xbf"]
)
def test_an_unusable_state_is_none_with_warnings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    write_state(tmp_path, text)
    assert fastckpt.get_checkpoint_state(tmp_path) is None
    assert [x.levelno for x in caplog.records] == [logging.WARNING] * 2
    assert caplog.records[1].getMessage() == f"{tmp_path}/checkpoint: Checkpoint ignored"
    caplog.clear()
    assert fastckpt.latest_checkpoint(tmp_path) is None
    assert not [x for x in caplog.records if x.levelno > logging.WARNING]


def test_a_directory_in_place_of_the_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoint").mkdir()
    assert fastckpt.get_checkpoint_state(tmp_path) is None
    assert len(caplog.records) == 2


@pytest.mark.parametrize("text", [b"", b"\n", b'model_checkpoint_path: ""'])
def test_a_state_that_names_nothing(tmp_path: Path, text: bytes) -> None:
    write_state(tmp_path, text)
    for function in (fastckpt.get_checkpoint_state, fastckpt.latest_checkpoint):
        with pytest.raises(ValueError, match="Invalid checkpoint state loaded from") as caught:
            function(tmp_path)
        assert isinstance(caught.value, fastckpt.DataLossError)


def test_a_state_that_is_not_text(tmp_path: Path) -> None:
    write_state(tmp_path, b'model_checkpoint_path: "\xff"')
    with pytest.raises(UnicodeDecodeError, match="byte 24 is not UTF-8") as caught:
        fastckpt.latest_checkpoint(tmp_path)
    assert isinstance(caught.value, fastckpt.DataLossError)
    assert (caught.value.start, caught.value.offset) == (24, 24)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        # As TensorFlow's parser has it: real escapes count, others stay.
        (r"D:\train\gone", "D:\train\\gone"),
        (r"D:\gone\x", None),
        (r"C:\\Users\\m", r"C:\Users\m"),
        (r"\q\\\w\?", r"\q\\w\?"),
    ],
)
def test_backslashes(tmp_path: Path, text: str, path: str | None) -> None:
    write_state(tmp_path, f'model_checkpoint_path: "{text}"')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = fastckpt.get_checkpoint_state(tmp_path)
    assert (state and state.model_checkpoint_path) == (path and f"{tmp_path}/{path}")


def test_a_moved_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_state(tmp_path, r'model_checkpoint_path: "C:\runs\m"')
    with caplog.at_level(logging.INFO, "fastckpt"):
        assert fastckpt.latest_checkpoint(tmp_path) is None
        assert caplog.records[-1].levelno == logging.ERROR
        (tmp_path / "m.index").touch()
        assert fastckpt.latest_checkpoint(tmp_path) == str(tmp_path / "m")
        assert "is gone; using" in caplog.records[-1].getMessage()


def test_the_named_checkpoint_wins_over_one_beside(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("m.index", "sub/m.index"):
        (tmp_path / name).touch()
    write_state(tmp_path, 'model_checkpoint_path: "sub/m"')
    assert fastckpt.latest_checkpoint(tmp_path) == f"{tmp_path}/sub/m"


def test_times_of_files_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.index").touch()
    os.utime(tmp_path / "m.index", (5.75, 5.75))
    assert fastckpt.get_checkpoint_mtimes([str(tmp_path / "m"), "gone"]) == [5.0]
    monkeypatch.setattr("fastckpt.storage.matching.matching_files", lambda path: [path + "-gone"])
    assert fastckpt.get_checkpoint_mtimes([str(tmp_path / "m")]) == []


# --- waiting -------------------------------------------------------------------------------------


class FakeClock:
    """A clock that only sleeping moves, and what happens at certain times."""

    def __init__(self, events: dict[float, Callable[[], object]] | None = None) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.events = events or {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        for due in [x for x in self.events if x <= self.now]:
            self.events.pop(due)()


def appear(directory: Path, name: str) -> None:
    """Write a checkpoint and the state file as a saver does: the latter by a rename."""
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.index").touch()
    (directory / "new").write_text(f'model_checkpoint_path: "{name}"')
    os.replace(directory / "new", directory / "checkpoint")


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """`a` appears below `run` after 3.5 seconds, `b` after 10."""
    fake = FakeClock(
        {103.5: lambda: appear(tmp_path / "run", "a"), 110: lambda: appear(tmp_path / "run", "b")}
    )
    monkeypatch.setattr(waiting, "time", fake)
    return fake


def test_wait(tmp_path: Path, clock: FakeClock) -> None:
    a, b = (str(tmp_path / "run" / name) for name in "ab")
    wait = fastckpt.wait_for_new_checkpoint
    assert wait(tmp_path / "run") == a
    assert clock.slept == [1] * 4
    assert wait(tmp_path / "run") == a
    assert wait(tmp_path / "run", a, 0.5, 2) is None
    assert clock.slept == [1] * 4 + [0.5] * 4
    assert wait(tmp_path / "run", a, timeout=None) == b


@pytest.mark.parametrize(("timeout", "pauses"), [(0, 0), (0.9, 0), (1, 1), (2.5, 2)])
def test_a_pause_never_outlasts_the_timeout(
    tmp_path: Path, clock: FakeClock, timeout: float, pauses: int
) -> None:
    assert fastckpt.wait_for_new_checkpoint(tmp_path / "none", timeout=timeout) is None
    assert len(clock.slept) == pauses


def test_iterator(tmp_path: Path, clock: FakeClock) -> None:
    found = [(Path(x).name, clock.now) for x in fastckpt.checkpoints_iterator(
        tmp_path / "run", timeout=7
    )]  # fmt: skip
    assert found == [("a", 104), ("b", 110)]
    assert clock.now == 117


def test_iterator_keeps_its_interval(tmp_path: Path, clock: FakeClock) -> None:
    found = []
    for path in fastckpt.checkpoints_iterator(tmp_path / "run", min_interval_secs=9, timeout=4):
        found.append((Path(path).name, clock.now))
        clock.now += 2  # work that takes its time
    assert found == [("a", 104), ("b", 113)]


def test_timeout_fn_is_asked_after_every_round(tmp_path: Path, clock: FakeClock) -> None:
    asked: list[float] = []

    def stop() -> bool:
        asked.append(clock.now)
        return clock.now >= 112

    found = [
        (Path(x).name, clock.now)
        for x in fastckpt.checkpoints_iterator(tmp_path / "run", timeout=3, timeout_fn=stop)
    ]
    assert found == [("a", 104), ("b", 110)]
    assert asked == [103, 104, 107, 110, 113]


def test_a_writer_in_another_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = time
    handed_out, given = threading.Semaphore(1), []

    class Hasty:
        monotonic = staticmethod(real.monotonic)

        @staticmethod
        def sleep(seconds: float) -> None:
            real.sleep(min(seconds, 0.001))

    def write() -> None:
        for step in range(10):
            handed_out.acquire()
            appear(tmp_path / "run", f"m-{step}")

    monkeypatch.setattr(waiting, "time", Hasty)
    writer = threading.Thread(target=write)
    writer.start()
    for path in fastckpt.checkpoints_iterator(tmp_path / "run"):
        given.append(Path(path).name)
        handed_out.release()
        if len(given) == 10:
            break
    writer.join()
    assert given == [f"m-{step}" for step in range(10)]
