"""The programs of examples/ whose arithmetic is TensorFlow's run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = {
    "checkpoint_state": ["latest: log/model-3", "TensorFlow finds: log/model-4"],
    "freeze_and_run": ["the same as TensorFlow's: True", "Test/add:0 [[6.0], [21.0]]"],
    "linear_fit": ["w = 2.02", "kept: 260 270 280 290", "stock TensorFlow reads w = 2.02"],
    "look_into_meta": ["w: [[2.0], [3.0]]", "as TensorFlow has it: True"],
    "partial_restore": ["[0. 0. 0.] [-1. -1. -1. -1. -1.]", "InvalidArgumentError: "],
    "saved_model": ["TensorFlow calls it: [[5.0]]", "factor/.ATTRIBUTES/VARIABLE_VALUE 3.0"],
    "saver_options": ["all: ['all/model-3', 'all/model-4']", "async: 6.0", "stock: 4 stock/model"],
}


@pytest.fixture(scope="module")
def outputs(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("run_examples.py"),
            repository / "examples",
            folder,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs(outputs: Path, name: str) -> None:
    output = (outputs / f"{name}_tensorflow.txt").read_text()
    for text in PROGRAMS[name]:
        assert text in output, output


def test_no_program_is_forgotten(outputs: Path) -> None:
    assert {p.stem for p in outputs.glob("*.txt")} == {f"{name}_tensorflow" for name in PROGRAMS}
