"""Training that is killed and started again ends where it would have ended anyway."""

from __future__ import annotations

from pathlib import Path

import pytest

import linear_fit


@pytest.mark.parametrize("framework", ["numpy", "variable"])
def test_killed_training_resumes(framework: str, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    wanted = linear_fit.run(framework, straight, 24)
    starts = linear_fit.run_killed(framework, killed, 24, kill_after=9)
    assert len(starts) >= 3
    assert starts[0] == 0
    assert linear_fit.run(framework, killed, 24) == wanted
    assert wanted[0] == pytest.approx(3, abs=1.5)
    for directory in (straight, killed):
        assert len(list(directory.glob("my-model-*.index"))) >= 4
        assert not list(directory.glob("*tmp*"))
