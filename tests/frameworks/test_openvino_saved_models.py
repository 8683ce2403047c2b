"""SavedModels of TensorFlow 2, run with OpenVINO alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from fastckpt.graph import SavedModel, run
from interop.test_freezing_saved_model_tf import Lookup, Model, keras_model

GIVEN = {
    "module": np.float32([[1, 2, 3], [-4, 5, 6]]),
    "lookup": np.array([1, 7, 7]),
    "keras": np.random.default_rng(5).standard_normal([2, 8, 8, 1]).astype(np.float32),
}


@pytest.mark.parametrize(("name", "make"), [
    ("module", Model), ("lookup", Lookup), ("keras", keras_model),
])  # fmt: skip
def test_signatures(tmp_path: Path, monkeypatch, name: str, make) -> None:
    model, path = make(), str(tmp_path / name)
    if name == "keras":
        model.export(path, verbose=False)
    else:
        tf.saved_model.save(model, path)
    expected = model(tf.constant(GIVEN[name]))
    expected = expected if isinstance(expected, dict) else {"output_0": expected}
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    signature = SavedModel.load(path).signatures["serving_default"]
    (given,) = signature.inputs.values()
    fetches = {key: output.name for key, output in signature.outputs.items()}
    found = run(path, fetches, {given.name: GIVEN[name]})
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value.numpy(), rtol=1e-4, atol=1e-5)
