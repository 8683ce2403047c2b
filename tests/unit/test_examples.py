"""Programs of examples/ that need nothing but NumPy run as they stand, and do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Program -> what its output must hold.
PROGRAMS = {
    "average_last_five": ["average of 5:", "as NumPy has it: True"],
    "checkpoint_state": ["latest: log/model-3", "# Total number of params: 4", "new: log/model-4"],
    "freeze_and_run": ["('add', 'Add')", "Test/add:0"],
    "linear_fit": ["w = 2.02", "kept: 260 270 280 290"],
    "load_bert_weights": ["layer 0, query: (8, 8) float32 (8,)"],
    "look_into_meta": ["collections: ['trainable_variables', 'variables']", "[[1.0], [1.0]]"],
    "partial_restore": ["[1. 1. 1.] [0. 0. 0.] [2. 2. 2. 2. 2.]", "did you mean 'v2'?"],
    "rename_scopes": ["tower/norm/gamma -> encoder/norm/scale", "dropped"],
    "saved_model": ["tags: [['serve']]", "variables: {'w': [2.0, 3.0]}"],
    "saver_options": ["model-00000020.index", "sharded: checkpoint", "async: async/model-1"],
    "serve_while_training": ["kept: served/model-38 served/model-39"],
    "to_safetensors": ["equal: True", "'vocabulary': safetensors has no string"],
}
# They have tests of their own.
OTHERS = {"mpi_save", "multiprocessing_save", "torch_distributed_save"}


def run(program: Path, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs(repository: Path, tmp_path: Path, name: str) -> None:
    output = run(repository / "examples" / f"{name}.py", tmp_path)
    for text in PROGRAMS[name]:
        assert text in output, output


def test_a_second_run_goes_on(repository: Path, tmp_path: Path) -> None:
    program = repository / "examples" / "linear_fit.py"
    first = run(program, tmp_path)
    second = run(program, tmp_path)
    assert second.startswith("restored model/my-model-290: w = 2.02")
    assert second.splitlines()[-2:] == first.splitlines()[-2:]


def test_no_program_is_forgotten(repository: Path) -> None:
    names = {path.stem for path in (repository / "examples").glob("*.py")}
    plain = {name for name in names if not name.endswith("_tensorflow")}
    assert plain == PROGRAMS.keys() | OTHERS
    # What computes has a twin whose arithmetic is TensorFlow's.
    twins = {name.removesuffix("_tensorflow") for name in names - plain}
    assert twins == {
        "checkpoint_state", "freeze_and_run", "linear_fit", "look_into_meta", "partial_restore",
        "saved_model", "saver_options",
    }  # fmt: skip
