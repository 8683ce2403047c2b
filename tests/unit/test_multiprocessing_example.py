"""The example of several processes that write one checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastckpt


@pytest.mark.parametrize("num_processes", [1, 3])
def test_it_runs(repository: Path, tmp_path: Path, num_processes: int) -> None:
    prefix = tmp_path / "models" / "ckpt-1"
    program = repository / "examples" / "multiprocessing_save.py"
    done = subprocess.run(
        [sys.executable, program, prefix, "--processes", str(num_processes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{num_processes + 1} tensors in {num_processes} shards" in done.stdout
    assert "[16.0, 17.0, 18.0]" in done.stdout
    with fastckpt.open(prefix, verify="eager") as checkpoint:
        table = checkpoint["table"]
        assert table.shape == (100_000, 16)
        np.testing.assert_array_equal(table.ravel(), np.arange(1_600_000, dtype=np.float32))
        assert checkpoint[f"worker{num_processes - 1}/steps"] == 999 + num_processes
    assert [path.name for path in tmp_path.iterdir()] == ["models"]
    assert not (tmp_path / "models" / "ckpt-1_temp").exists()


@pytest.mark.parametrize(
    ("program", "module"), [("mpi_save.py", "mpi4py"), ("torch_distributed_save.py", "torch")]
)
def test_the_others_say_what_they_need(repository: Path, program: str, module: str) -> None:
    """Where the library they need is missing; elsewhere that one may be too."""
    code = (
        f"import runpy, sys; sys.modules[{module!r}] = None; "
        f"runpy.run_path({str(repository / 'examples' / program)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr
