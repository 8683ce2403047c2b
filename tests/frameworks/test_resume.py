"""Training with torch and with JAX, killed and started again."""

from __future__ import annotations

from pathlib import Path

import pytest

import linear_fit


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_killed_training_resumes(framework: str, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    wanted = linear_fit.run(framework, straight, 16)
    starts = linear_fit.run_killed(framework, killed, 16, kill_after=9)
    assert starts[0] == 0
    assert len(starts) >= 2
    assert linear_fit.run(framework, killed, 16) == wanted
