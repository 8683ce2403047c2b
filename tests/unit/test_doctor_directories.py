"""doctor on directories: state files, what saves left, SavedModels, what is below."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastckpt.checkpoint.legacy_writer import save_v1
from fastckpt.tools.doctor import diagnose
from unit.doctor_helpers import codes, save, state, the

# --- left-overs ----------------------------------------------------------------------------------


def test_what_dead_saves_left(tmp_path: Path) -> None:
    save(tmp_path / "m", 2)
    for name in ("m.index.tmp", "m.data-00000.tmp", "m.index.tempstate123", "other.index.tmp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "m.data-00000-of-00007").write_bytes(b"x")
    (tmp_path / "m_temp").mkdir()
    (tmp_path / "m_temp" / "part-00000-of-00002.index").write_bytes(b"x")
    found = diagnose(tmp_path / "m")
    assert found.ok
    assert codes(found) == ["left-over-data", "parts"]
    os.rename(tmp_path / "m_temp", tmp_path / "elsewhere")
    found = diagnose(tmp_path / "m")
    assert codes(found) == ["left-over-data", "temporaries"]
    assert "other.index.tmp" not in the(found, "temporaries").what
    state(tmp_path, "m")
    assert codes(diagnose(tmp_path)) == ["left-over-data", "temporaries", "temporaries"]


def test_a_save_under_way(tmp_path: Path) -> None:
    save(tmp_path / "m")
    (tmp_path / "m.index.tmp").write_bytes(b"x")
    with open(tmp_path / "m.index.lock.tmp", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert codes(diagnose(tmp_path / "m")) == ["save-under-way"]
    assert codes(diagnose(tmp_path / "m")) == ["temporaries"]


# --- directories ---------------------------------------------------------------------------------


def test_an_empty_directory(tmp_path: Path) -> None:
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (None, ["empty-directory"])


def test_no_state_file(tmp_path: Path) -> None:
    for step in (9, 10):
        save(tmp_path / f"m-{step}")
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (str(tmp_path / "m-10"), ["no-state"])
    assert "write the state file anew" in (the(found, "no-state").fix or "")
    assert "update_checkpoint_state" in (the(found, "no-state").command or "")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"model_checkpoint_path: ", b"<html>"])
def test_a_broken_state_file(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "m-1")
    (tmp_path / "checkpoint").write_bytes(content)
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (str(tmp_path / "m-1"), ["state"])


def test_the_latest_is_gone(tmp_path: Path) -> None:
    save(tmp_path / "m-1")
    state(tmp_path, "m-1", "m-2", "m-3")
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (
        str(tmp_path / "m-1"), ["latest-is-gone", "listed-is-gone"],
    )  # fmt: skip
    assert (the(found, "latest-is-gone").command or "").endswith(f" {tmp_path}/m-1")


def test_a_moved_directory(tmp_path: Path) -> None:
    save(tmp_path / "m-1")
    state(tmp_path, "/old/place/m-1")
    found = diagnose(tmp_path)
    assert (found.ok, codes(found)) == (True, ["moved"])
    assert "TensorFlow does not" in the(found, "moved").what


def test_checkpoints_that_nothing_lists(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path / f"m-{step}")
    state(tmp_path, "m-2")
    assert "'m-1'" in the(diagnose(tmp_path), "unlisted").what


def test_others_in_the_directory_are_looked_at(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path / f"m-{step}")
    state(tmp_path, "m-1", "m-2")
    (tmp_path / "m-1.data-00000-of-00001").unlink()
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (str(tmp_path / "m-2"), ["missing-shards"])


def test_saved_models(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12")
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (None, ["no-variables"])
    (tmp_path / "variables").mkdir()
    save(tmp_path / "variables" / "variables")
    found = diagnose(tmp_path)
    assert (found.ok, codes(found)) == (True, ["saved-model"])


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["run/m.index"], "below", "run/m"),
        (["run/checkpoint"], "below", "run"),
        (["x.txt"], "nothing-there", "pass a directory"),
        (["model.h5"], "other-format", "h5py"),
    ],
)
def test_other_directories(tmp_path: Path, names: list[str], code: str, words: str) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x89HDF\r\n\x1a\n" if name.endswith("h5") else b"zzz")
    found = diagnose(tmp_path)
    assert (found.prefix, codes(found)) == (None, [code])
    assert words in (the(found, code).fix or "")


def test_a_v1_file_alone(tmp_path: Path) -> None:
    save_v1(tmp_path / "model.ckpt", {"a": [1.0]}, sync=False)
    assert f"pass '{tmp_path}/model.ckpt'" in (the(diagnose(tmp_path), "no-state").fix or "")


def test_the_command_writes_the_state_file(tmp_path: Path) -> None:
    folder = tmp_path / "it's $HOME"
    folder.mkdir()
    save(folder / "m-1")
    command = the(diagnose(folder), "no-state").command or ""
    python = Path(sys.executable)
    subprocess.run(command.replace("python", str(python), 1), shell=True, check=True)
    found = diagnose(folder)
    assert (found.ok, found.prefix) == (True, str(folder / "m-1"))


def test_the_latest_has_lost_its_index(tmp_path: Path) -> None:
    save(tmp_path / "m-1").with_name("m-1.index").unlink()
    state(tmp_path, "m-1")
    finding = the(diagnose(tmp_path), "no-index")
    assert "the index 'm-1.index' is missing" in finding.what
    save(tmp_path / "other").with_name("other.data-00000-of-00001").unlink()
    finding = the(diagnose(tmp_path / "m-1"), "no-index")
    assert "an index without data, 'other.index'" in (finding.fix or "")


def test_a_directory_of_a_near_name(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    found = the(diagnose(tmp_path / "trainnig"), "nothing-there")
    assert found.fix == f"did you mean '{tmp_path}/training'?"
