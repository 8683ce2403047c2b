"""Models run with OpenVINO alone, as where no TensorFlow is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from fastckpt.graph import MetaGraph, freeze, run
from fastckpt.graph.engines import RefusedError
from fastckpt.protos import message_class
from interop.freezing_models import MODELS, build_case

# No rule for the operation Case; bfloat16, strings and complex numbers are not computed.
_REFUSED = {"cases", "dtypes"}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """All models, built by TensorFlow."""
    directory = tmp_path_factory.mktemp("openvino")
    return {name: build_case(name, directory) for name in MODELS}


@pytest.fixture
def no_tensorflow(monkeypatch) -> None:
    """Python's own way to say that a module is not there."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in _REFUSED])
def test_models(cases, no_tensorflow, name: str) -> None:
    case = cases[name]
    results = run(f"{case.prefix}.meta", case.outputs, case.feeds)
    for result, expected in zip(results, case.results, strict=True):
        assert result.shape == np.shape(expected)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_a_file_and_feeds_in_the_middle(cases, no_tensorflow, tmp_path: Path) -> None:
    case = cases["dense_ref"]
    path = tmp_path / "frozen.pb"
    path.write_bytes(freeze(f"{case.prefix}.meta", outputs=["y"]).SerializeToString())
    x = case.feeds["x"]
    found = run(path, {"y": "y:0", "hidden": ["MatMul:0", "x:0"], "w": "layer/kernel"}, {"x": x})
    np.testing.assert_allclose(found["hidden"][0], x @ found["w"], rtol=1e-5)
    np.testing.assert_array_equal(found["hidden"][1], x)
    again = run(path, "y", {"MatMul:0": found["hidden"][0]})
    np.testing.assert_allclose(again, found["y"], rtol=1e-6)
    one = MetaGraph.load(f"{case.prefix}.meta").run("y:0", {"x:0": x[:1].tolist()})
    np.testing.assert_allclose(one, case.results[0][:1], rtol=1e-5)


@pytest.mark.parametrize("name", ["cases"])
def test_what_openvino_refuses(cases, no_tensorflow, name: str) -> None:
    case = cases[name]
    with pytest.raises(RefusedError, match=r"Case.*TensorFlow knows more"):
        run(f"{case.prefix}.meta", case.outputs, case.feeds)


@pytest.mark.parametrize("name", sorted(_REFUSED))
def test_tensorflow_steps_in(cases, name: str) -> None:
    case = cases[name]
    results = run(f"{case.prefix}.meta", case.outputs, case.feeds)
    for result, expected in zip(results, case.results, strict=True):
        np.testing.assert_array_equal(result, expected)


def arithmetic(dtype: str):
    """A graph that adds and multiplies."""
    nodes = """
        node {{ name: "x" op: "Placeholder" attr {{ key: "dtype" value {{ type: {0} }} }}
            attr {{ key: "shape" value {{ shape {{ unknown_rank: true }} }} }} }}
        node {{ name: "y" op: "AddV2" input: "x" input: "x"
            attr {{ key: "T" value {{ type: {0} }} }} }}
        node {{ name: "z" op: "Mul" input: "y" input: "x"
            attr {{ key: "T" value {{ type: {0} }} }} }}
    """
    return text_format.Parse(nodes.format(dtype), message_class("GraphDef")())


WRONG = [
    ("DT_INT64", np.array([2**40, 3])),
    ("DT_UINT8", np.array([200, 1], np.uint8)),
    ("DT_INT16", np.array([300], np.int16)),
    ("DT_UINT32", np.array([2**31, 3], np.uint32)),
    ("DT_UINT64", np.array([2**63], np.uint64)),
    ("DT_BFLOAT16", np.array([1.0, 2.0])),
    ("DT_COMPLEX64", np.array([1j])),
]


@pytest.mark.parametrize(("dtype", "value"), WRONG)
def test_no_silently_wrong_results(monkeypatch, dtype: str, value: np.ndarray) -> None:
    graph_def = arithmetic(dtype)
    y, z = run(graph_def, ["y:0", "z:0"], {"x:0": value})
    x = value.astype(y.dtype)
    np.testing.assert_array_equal(y, x + x)
    np.testing.assert_array_equal(z, (x + x) * x)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(RefusedError, match=r"OpenVINO (has 32 bits|computes)"):
        run(graph_def, ["y:0", "z:0"], {"x:0": value})


def test_double_precision(monkeypatch, caplog) -> None:
    value = np.array([1 / 3])
    np.testing.assert_array_equal(run(arithmetic("DT_DOUBLE"), "y", {"x": value}), value * 2)
    assert not caplog.records
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    single = run(arithmetic("DT_DOUBLE"), "y", {"x": value})
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, value * 2, rtol=1e-6)
    assert "single precision" in caplog.text
