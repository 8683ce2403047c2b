"""The state file as it is written: its text, its paths, and what refuses to be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastckpt import protos
from fastckpt.errors import CheckpointError, CheckpointNotFoundError, InvalidArgumentError
from fastckpt.storage.state import CheckpointState, format_state, parse_state
from fastckpt.training.state_functions import get_checkpoint_state
from fastckpt.training.state_writing import (
    generate_checkpoint_state_proto,
    update_checkpoint_state,
    update_checkpoint_state_internal,
)

# Everything but surrogates, which UTF-8 has not.
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
NUMBERS = st.floats(allow_nan=False)


@given(TEXTS, st.lists(TEXTS), st.lists(NUMBERS), NUMBERS)
def test_text_is_that_of_protobuf(
    latest: str, kept: list[str], times: list[float], preserved: float
) -> None:
    from google.protobuf import text_format

    message: Any = protos.message_class("CheckpointState")(
        model_checkpoint_path=latest,
        all_model_checkpoint_paths=kept,
        all_model_checkpoint_timestamps=times,
        last_preserved_timestamp=preserved,
    )
    state = CheckpointState(latest, kept, times, preserved)
    text = format_state(state)
    assert text == text_format.MessageToString(message)
    assert parse_state(text, repair=False) == state


def test_every_character_is_printed_as_protobuf_does() -> None:
    from google.protobuf import text_format

    latest = "".join(map(chr, [*range(0x800), *range(0xFFF0, 0x10010), 0x10FFFF]))
    message: Any = protos.message_class("CheckpointState")(model_checkpoint_path=latest)
    assert format_state(CheckpointState(latest)) == text_format.MessageToString(message)


def test_the_whole_text(tmp_path: Path) -> None:
    update_checkpoint_state(tmp_path, "m-2", ["m-1", "m-2"], None, [1e9, 2e9], 5e8)
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "m-2"\n'
        'all_model_checkpoint_paths: "m-1"\n'
        'all_model_checkpoint_paths: "m-2"\n'
        "all_model_checkpoint_timestamps: 1000000000.0\n"
        "all_model_checkpoint_timestamps: 2000000000.0\n"
        "last_preserved_timestamp: 500000000.0\n"
    )
    assert os.listdir(tmp_path) == ["checkpoint"]


@pytest.mark.parametrize(
    ("directory", "path", "relative", "stored"),
    [
        ("d", "d/m", False, "m"),
        ("d", "m", False, "../m"),
        ("d", "/abs/m", False, "/abs/m"),
        ("d", "d/m", True, "m"),
        ("/abs", "/abs/m", False, "/abs/m"),
        ("/abs", "/abs/m", True, "m"),
        ("/abs", "m", True, "m"),
        ("", "m", False, "m"),
    ],
)
def test_path_rules(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    directory: str,
    path: str,
    relative: bool,
    stored: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    place, path = (x.replace("/abs", f"{tmp_path}/d") for x in (directory, path))
    update_checkpoint_state_internal(place, path, [path], save_relative_paths=relative)
    text = (tmp_path / place / "checkpoint").read_text()
    stored = stored.replace("/abs", f"{tmp_path}/d")
    assert text.splitlines() == [
        f'model_checkpoint_path: "{stored}"',
        f'all_model_checkpoint_paths: "{stored}"',
    ]


def test_the_latest_is_added_and_the_caller_keeps_its_list() -> None:
    kept = ["d/a"]
    state = generate_checkpoint_state_proto("d", "d/b", kept)
    assert state == CheckpointState("b", ["a", "b"])
    assert kept == ["d/a"]
    assert generate_checkpoint_state_proto("/d", "b", ("a",)).all_model_checkpoint_paths == [
        "a",
        "b",
    ]


WRONG: dict[str, tuple[type[Exception], Any]] = {
    "no directory": (TypeError, lambda: update_checkpoint_state(None, "m")),
    "bytes directory": (TypeError, lambda: update_checkpoint_state(b"d", "m")),
    "no path": (TypeError, lambda: update_checkpoint_state(".", None)),
    "number": (TypeError, lambda: update_checkpoint_state(".", 3)),
    "empty": (ValueError, lambda: update_checkpoint_state(".", "")),
    "number in list": (TypeError, lambda: update_checkpoint_state(".", "m", [3, "m"])),
    "text for list": (TypeError, lambda: update_checkpoint_state(".", "m", "m")),
    "no list": (
        TypeError,
        lambda: update_checkpoint_state_internal(".", "m", save_relative_paths=True),
    ),
    "times": (ValueError, lambda: update_checkpoint_state(".", "m", ["m"], None, [1, 2])),
    "time of text": (TypeError, lambda: update_checkpoint_state(".", "m", ["m"], None, ["1"])),
    "no time": (TypeError, lambda: update_checkpoint_state(".", "m", ["m"], None, [None])),
    "file name": (TypeError, lambda: update_checkpoint_state(".", "m", latest_filename=3)),
    "conflict": (
        RuntimeError,
        lambda: update_checkpoint_state(os.getcwd(), os.path.join(os.getcwd(), "checkpoint")),
    ),
    "missing": (CheckpointNotFoundError, lambda: update_checkpoint_state("missing", "m")),
    "not text": (ValueError, lambda: update_checkpoint_state(".", "m\udcff")),
    "directory": (InvalidArgumentError, lambda: update_checkpoint_state(".", "m", None, "taken")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "checkpoint").write_text("old")
    kind, call = WRONG[name]
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, CheckpointError)
    assert (tmp_path / "checkpoint").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "taken"]


def test_round_trip(tmp_path: Path) -> None:
    update_checkpoint_state(tmp_path, str(tmp_path / "è'\"\\"), latest_filename="latest")
    state = get_checkpoint_state(tmp_path, "latest")
    assert state is not None
    assert state.model_checkpoint_path == str(tmp_path / "è'\"\\")
