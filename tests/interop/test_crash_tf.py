"""Stock TensorFlow, too, reads the old checkpoint or the new one after a crash, never a mix."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fastckpt.tools.crashtest.cuts import moments, trace_save
from fastckpt.tools.crashtest.pictures import Scratch
from fastckpt.tools.crashtest.saver import Saver
from fastckpt.tools.crashtest.scene import Case, save, tensors
from fastckpt.tools.crashtest.verdict import read
from faults.crash_helpers import fast_folder

__all__ = ["fast_folder"]

READER = Path(__file__).with_name("run_crash_reader.py")

CASES = [Case(num_shards, overwrite) for num_shards in (1, 4) for overwrite in (False, True)]
CUTS = 12


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the values of both checkpoints."""
    path = tmp_path_factory.mktemp("expected") / "expected.npz"
    arrays = {}
    for generation in ("old", "new"):
        for name, value in tensors(generation).items():
            arrays[f"{generation}:{name}"] = np.asarray(value)
    np.savez(path, **arrays)
    return path


def read_by_tensorflow(expected: Path, prefixes: list[str]) -> list[str]:
    """What TensorFlow finds at each prefix, in one process."""
    done = subprocess.run(
        [sys.executable, str(READER), str(expected)],
        input=json.dumps(prefixes),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def cut_cases(folder: Path) -> Iterator[tuple[str, str]]:
    """Prefixes after a sample of power cuts, and what this library finds there."""
    for case in CASES:
        scratch_folder = folder / f"scratch-{case.num_shards}-{case.before}"
        scratch_folder.mkdir()
        scratch = Scratch(scratch_folder)
        every = list(moments(trace := trace_save(case), 2))
        with_index = [m for m in every if any(p.endswith(".index") for p, _ in m.picture.files)]
        choice = random.Random(2)
        sample = [*choice.sample(with_index, min(CUTS, len(with_index))), every[0]]
        for i, moment in enumerate(sample):
            # Its disk has gone on to the end of the trace meanwhile, and what it holds has grown.
            scratch.show(moment.picture, moment.disk)
            kept = folder / f"cut-{case.num_shards}-{case.before}-{i}"
            shutil.copytree(scratch.stage, kept)
            yield case.prefix(kept), read(case.prefix(kept))
        assert len(trace.records) > 20


def killed_cases(folder: Path) -> Iterator[tuple[str, str]]:
    """Prefixes after saves that were killed around the commit, and what is found there."""
    case = Case(4, overwrite=True)
    with Saver() as saver:
        for n in range(30, 46, 2):
            kept = folder / f"killed-{n}"
            case.prepare(kept)
            assert saver.save(case.prefix(kept), 4, kill_before=n).status == "killed"
            yield case.prefix(kept), read(case.prefix(kept))


def test_tensorflow_finds_what_this_library_finds(expected: Path, fast_folder: Path) -> None:
    found = dict(cut_cases(fast_folder)) | dict(killed_cases(fast_folder))
    assert set(found.values()) == {"absent", "old", "new"}
    assert min(Counter(found.values()).values()) >= 2
    by_tensorflow = read_by_tensorflow(expected, list(found))
    assert dict(zip(found, by_tensorflow, strict=True)) == found


def test_a_mix_would_be_found(expected: Path, fast_folder: Path) -> None:
    old, new = str(fast_folder / "old" / "ckpt"), str(fast_folder / "new" / "ckpt")
    save(old, "old", 1, sync=False)
    save(new, "new", 1, sync=False)
    shutil.copyfile(f"{old}.data-00000-of-00001", f"{new}.data-00000-of-00001")
    (answer,) = read_by_tensorflow(expected, [new])
    assert answer.startswith("error: ")
