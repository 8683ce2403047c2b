"""Training through a real TensorFlow session, killed and started again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import linear_fit

tf1 = tf.compat.v1


@pytest.mark.parametrize("framework", ["ref", "resource"])
def test_killed_training_resumes(framework: str, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    wanted = linear_fit.run(framework, straight, 16)
    starts = linear_fit.run_killed(framework, killed, 16, kill_after=9)
    assert starts[0] == 0
    assert len(starts) >= 2
    assert linear_fit.run(framework, killed, 16) == wanted
    # And stock TensorFlow, which knows nothing of the program, goes on from the same files.
    prefix = tf.train.latest_checkpoint(str(killed))
    assert prefix == str(killed / "my-model-16")
    with tf.Graph().as_default(), tf1.Session() as session:
        saver = tf1.train.import_meta_graph(f"{prefix}.meta")
        saver.restore(session, prefix)
        found = session.run(tf1.global_variables())
        assert [float(np.sum(value)) for value in found] == wanted
