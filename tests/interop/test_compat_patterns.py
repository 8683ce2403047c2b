"""Programs written against TensorFlow print and write the same with ``fastckpt.compat``."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from interop.compat_inputs import make_inputs

HERE = Path(__file__).parent
SCRIPTS = sorted(path.stem for path in (HERE.parent / "compat_scripts").glob("*.py"))
# What a save may name in its own way: the number of the shard total does not matter to readers.
INDEX = ".index"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all programs with both engines, in two processes each."""
    folder = tmp_path_factory.mktemp("patterns")
    inputs = folder / "inputs"
    inputs.mkdir()
    make_inputs(inputs)
    for engine, mode in itertools.product(("tensorflow", "fastckpt"), ("eager", "graph")):
        command = [sys.executable, str(HERE / "run_compat_patterns.py"), engine, mode]
        done = subprocess.run(
            [*command, str(inputs), str(folder / engine)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        with (folder / f"{engine}.log").open("a") as log:
            log.write(done.stderr)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_there_are_twenty_and_more() -> None:
    assert len(SCRIPTS) >= 20


@pytest.mark.parametrize("script", SCRIPTS)
def test_prints_the_same(outputs: Path, script: str) -> None:
    theirs = (outputs / "tensorflow" / script / "stdout.txt").read_text()
    ours = (outputs / "fastckpt" / script / "stdout.txt").read_text()
    assert "failed:" not in theirs, (outputs / "tensorflow.log").read_text()[-3000:]
    assert ours == theirs, (outputs / "fastckpt.log").read_text()[-3000:]


@pytest.mark.parametrize("script", SCRIPTS)
def test_writes_the_same(outputs: Path, script: str) -> None:
    theirs, ours = outputs / "tensorflow" / script, outputs / "fastckpt" / script
    assert listed(ours) == listed(theirs)
    for path in listed(theirs):
        compare(ours / path, theirs / path)


def listed(folder: Path) -> list[str]:
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if ".data-" not in path)


def compare(ours: Path, theirs: Path) -> None:
    if ours.read_bytes() == theirs.read_bytes():
        return  # an index has the checksums of all tensors
    if ours.suffix == INDEX:
        same_arrays(fastckpt.load(ours), fastckpt.load(theirs))
        # TensorFlow reads what was written in its name.
        assert tf.train.list_variables(str(ours.with_suffix(""))) == tf.train.list_variables(
            str(theirs.with_suffix(""))
        )
    elif ours.suffix == ".npz":
        same_arrays(dict(np.load(ours)), dict(np.load(theirs)))
    elif ours.suffix == ".pb":
        assert graph_def(ours) == graph_def(theirs)
    elif ours.suffix != ".meta" and ours.name != "stdout.txt":
        assert ours.read_text() == theirs.read_text()


def same_arrays(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype, name
        np.testing.assert_array_equal(ours[name], array)


def graph_def(path: Path) -> tf.compat.v1.GraphDef:
    return tf.compat.v1.GraphDef.FromString(path.read_bytes())
