"""prune: what goes and what stays, the state file first, nothing that it does not explain."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import fastckpt
from fastckpt.checkpoint.legacy_writer import save_v1
from fastckpt.cli.pruning import apply, plan
from fastckpt.storage.state import parse_state
from unit.cli_helpers import invoke, on_terminal, plain
from unit.writer_helpers import names_in

HOUR = 3600.0


def run(
    folder: Path,
    steps: Sequence[int],
    *,
    hours: Sequence[float] | None = None,
    preserved: float = 0.0,
    stored: str = "m-{}",
) -> Path:
    """A directory of checkpoints with its state file; `hours`: when each was saved."""
    folder.mkdir(exist_ok=True)
    lines = [f'model_checkpoint_path: "{stored.format(steps[-1])}"']
    for step in steps:
        fastckpt.save(folder / f"m-{step}", {"x": [step]}, sync=False)
        (folder / f"m-{step}.meta").write_bytes(b"meta")
        lines.append(f'all_model_checkpoint_paths: "{stored.format(step)}"')
    times = [1e9 + hour * HOUR for hour in hours or ()]
    lines += [f"all_model_checkpoint_timestamps: {time}" for time in times]
    if preserved:
        lines.append(f"last_preserved_timestamp: {1e9 + preserved * HOUR}")
    (folder / "checkpoint").write_text("\n".join(lines) + "\n")
    return folder


def steps_in(folder: Path) -> list[int]:
    """The steps whose index is there; each has all of its files, or none."""
    found = sorted(int(x.stem.split("-")[1]) for x in folder.glob("m-*.index"))
    for suffix in (".meta", ".data-00000-of-00001"):
        assert sorted(x.name for x in folder.glob(f"m-*{suffix}")) == sorted(
            f"m-{step}{suffix}" for step in found
        )
    return found


def stated(folder: Path) -> list[str]:
    return parse_state((folder / "checkpoint").read_text()).all_model_checkpoint_paths


def test_a_dry_run_first(tmp_path: Path) -> None:
    run(tmp_path, [1, 2, 3])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = invoke("prune", tmp_path, "--keep", 1)
    assert result.exit_code == 0
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:4]] == [
        "delete", "delete", "keep",
    ]  # fmt: skip
    assert "dry run  2 checkpoints, " in result.stdout
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("stored", ["m-{}", "{folder}/m-{}", "/gone/m-{}"])
def test_old_ones_go(tmp_path: Path, stored: str) -> None:
    spelt = stored.replace("{folder}", str(tmp_path / "run"))
    folder = run(tmp_path / "run", [1, 2, 3, 4], stored=spelt)
    result = invoke("prune", folder, "--keep", 2, "--yes")
    assert result.exit_code == 0
    assert "deleted  2 checkpoints, " in result.stdout
    assert steps_in(folder) == [3, 4]
    # Spelt as before.
    assert stated(folder) == [spelt.format(3), spelt.format(4)]
    assert invoke("prune", folder, "--keep", 2).stdout.endswith("nothing to do\n")
    assert fastckpt.latest_checkpoint(str(folder)) == str(folder / "m-4")


def test_one_for_good_every_hours(tmp_path: Path) -> None:
    folder = run(tmp_path, [0, 1, 2, 3, 4, 5, 6], hours=[0, 1, 2, 3, 4, 5, 6], preserved=0.5)
    result = invoke("prune", folder, "--keep", 1, "--keep-every-hours", 2, "-y")
    assert steps_in(folder) == [3, 5, 6]
    assert "keep for good" in result.stdout
    state = parse_state((folder / "checkpoint").read_text())
    assert state.all_model_checkpoint_paths == ["m-6"]
    assert state.all_model_checkpoint_timestamps == [1e9 + 6 * HOUR]
    assert state.last_preserved_timestamp == 1e9 + 5 * HOUR
    # What stays for good is off the list, and safe from now on.
    invoke("prune", folder, "--keep", 1, "-y")
    assert steps_in(folder) == [3, 5, 6]


def test_without_timestamps_files_tell_the_time(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2, 3])
    for step in (1, 2, 3):
        for path in folder.glob(f"m-{step}.*"):
            os.utime(path, (1e9 + step * HOUR,) * 2)
    invoke("prune", folder, "--keep", 1, "--keep-every-hours", 1000, "-y")
    assert steps_in(folder) == [1, 3]


def test_the_latest_stays_wherever_it_is_listed(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2, 3])
    text = (folder / "checkpoint").read_text()
    (folder / "checkpoint").write_text(text.replace('path: "m-3"', 'path: "m-1"', 1))
    invoke("prune", folder, "--keep", 1, "-y")
    assert steps_in(folder) == [1]
    assert stated(folder) == ["m-1"]


def test_what_is_not_listed_stays(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2])
    fastckpt.save(folder / "m-20", {"x": [1]}, sync=False)
    (folder / "m-20.meta").write_bytes(b"meta")
    (folder / "m-1.notes").write_bytes(b"mine")
    invoke("prune", folder, "--keep", 1, "-y")
    assert steps_in(folder) == [2, 20]
    assert (folder / "m-1.notes").exists()


def test_what_lies_elsewhere_stays(tmp_path: Path) -> None:
    other = run(tmp_path / "other", [7])
    folder = run(tmp_path / "run", [1, 2])
    state = folder / "checkpoint"
    line = f'all_model_checkpoint_paths: "{other}/m-7"\n'
    state.write_text(state.read_text().replace("all_model", line + "all_model", 1))
    result = invoke("prune", folder, "--keep", 1, "-y")
    assert "elsewhere, left alone" in result.stdout
    assert (steps_in(folder), steps_in(other)) == ([2], [7])
    assert stated(folder) == [f"{other}/m-7", "m-2"]


def test_one_checkpoint_under_two_names(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", [1, 2])
    os.symlink(folder, tmp_path / "link")
    lines = ["m-2", str(tmp_path / "link" / "m-2"), "m-1", "m-2"]
    text = "".join(f'all_model_checkpoint_paths: "{line}"\n' for line in lines)
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "m-2"\n{text}')
    invoke("prune", folder, "--keep", 1, "-y")
    assert steps_in(folder) == [2]


def test_missing_ones_leave_the_list(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2, 3])
    fastckpt.remove_checkpoint(str(folder / "m-2"))
    result = invoke("prune", folder, "--keep", 2, "-y")
    assert "gone already" in result.stdout
    assert (steps_in(folder), stated(folder)) == ([1, 3], ["m-1", "m-3"])


def test_the_list_may_name_any_file(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2])
    (folder / "thesis").write_bytes(b"years of work")
    text = (folder / "checkpoint").read_text()
    text += 'all_model_checkpoint_paths: "thesis"\nall_model_checkpoint_paths: "checkpoint"\n'
    text += 'all_model_checkpoint_paths: "*"\nall_model_checkpoint_paths: "../thesis"\n'
    (folder / "checkpoint").write_text(text)
    invoke("prune", folder, "--keep", 1, "-y")
    assert (folder / "thesis").read_bytes() == b"years of work"
    assert (steps_in(folder), stated(folder)) == ([2], ["m-2"])


def test_v1(tmp_path: Path) -> None:
    for step in (1, 2):
        save_v1(tmp_path / f"m-{step}", {"x": [step]}, num_shards=step - 1 or None, sync=False)
    names = ["m-1", "m-2-?????-of-00001"]
    text = "".join(f'all_model_checkpoint_paths: "{name}"\n' for name in names)
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{names[1]}"\n{text}')
    invoke("prune", tmp_path, "--keep", 1, "-y")
    assert names_in(tmp_path) == ["checkpoint", "m-2-00000-of-00001"]


# --- trouble -------------------------------------------------------------------------------------


def test_a_busy_checkpoint_stays_and_is_told(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2, 3])
    with open(folder / "m-1.index.lock.tmp", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = invoke("prune", folder, "--keep", 1, "-y")
    assert result.exit_code == 2
    assert "m-1" in result.stderr
    assert "deleted  1 checkpoint," in result.stdout
    assert [x for x in names_in(folder) if x.endswith(".index")] == ["m-1.index", "m-3.index"]


def test_a_state_that_changes_meanwhile(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2, 3])
    made = plan(str(folder), keep=1)
    with open(folder / "checkpoint", "a") as state:
        state.write("last_preserved_timestamp: 1.0\n")
    with pytest.raises(fastckpt.CheckpointChangedError, match="nothing was deleted"):
        list(apply(made))
    assert steps_in(folder) == [1, 2, 3]


def test_the_state_file_is_written_before_anything_goes(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2, 3])
    for row, error in apply(plan(str(folder), keep=1)):
        assert error is None
        assert row.prefix.endswith(("m-1", "m-2"))
        assert stated(folder) == ["m-3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no state file"),
        (b"", "names no checkpoint"),
        (b'model_checkpoint_path: "m-9"\nall_model_checkpoint_paths: "m-1"\n', "is not there"),
        (b"<html>", "cannot be read"),
    ],
)
def test_states_that_explain_nothing(tmp_path: Path, content: bytes | None, message: str) -> None:
    folder = run(tmp_path, [1, 2])
    (folder / "checkpoint").unlink()
    if content is not None:
        (folder / "checkpoint").write_bytes(content)
    result = invoke("prune", folder, "--keep", 1, "--yes")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert steps_in(folder) == [1, 2]


@pytest.mark.parametrize(
    "args", [[], ["--keep", "0"], ["--keep", "1", "--keep-every-hours", "0"], ["--keep", "x"]]
)
def test_wrong_usage(tmp_path: Path, args: list[str]) -> None:
    assert invoke("prune", tmp_path, *args).exit_code == 2
    assert invoke("prune", tmp_path / "none", "--keep", "1").exit_code == 2


def test_json(tmp_path: Path) -> None:
    folder = run(tmp_path, [1, 2])
    found = json.loads(invoke("prune", folder, "--keep", 1, "--json").stdout)
    assert (found["applied"], found["total"]["deleted"], found["failures"]) == (False, 1, [])
    assert [(row["fate"], Path(row["prefix"]).name) for row in found["checkpoints"]] == [
        ("delete", "m-1"), ("keep", "m-2"),
    ]  # fmt: skip
    assert found["checkpoints"][0]["nbytes"] == sum(
        path.stat().st_size for path in folder.glob("m-1.*")
    )
    assert json.loads(invoke("prune", folder, "--keep", 1, "--json", "-y").stdout)["applied"]
    assert steps_in(folder) == [2]


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    folder = run(tmp_path / "a\x1b[2Jb", [1, 2])
    _, output = on_terminal("prune", folder, "--keep", "1")
    assert "\x1b" not in plain(output)
