"""What computes frozen graphs: OpenVINO, or TensorFlow, whichever is installed."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.errors import UnsupportedError
from fastckpt.graph.engine_limits import precision_loss, wrong_results

__all__ = ["EngineMissingError", "RefusedError", "compute"]

Array = NDArray[Any]

_log = logging.getLogger("fastckpt")

_INSTALL = 'pip install "tf-fastckpt[run]"'


class EngineMissingError(UnsupportedError, ImportError):
    """Nothing is installed that computes graphs."""


class RefusedError(UnsupportedError):
    """An engine does not know operations of the graph, or has no such dtype."""


def compute(graph_def: Any, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
    """Compute tensors of a frozen graph.

    Parameters
    ----------
    graph_def : GraphDef
        Without variables; each placeholder is fed.
    feeds : mapping of str to ndarray
        Values of placeholders, by their names.
    fetches : sequence of str
        Names of nodes that nothing else takes from; their first outputs are computed.

    Raises
    ------
    EngineMissingError
        Neither OpenVINO nor TensorFlow is installed; an ImportError too.
    RefusedError
        No engine that is installed computes this graph; the message says why.
    """
    engines = [engine for module, engine in _ENGINES.items() if _is_installed(module)]
    if not engines:
        raise EngineMissingError(
            f"no engine that computes graphs is installed; install OpenVINO: {_INSTALL}"
        )
    loss = precision_loss(graph_def)
    if loss is not None:
        # TensorFlow first: it loses nothing.
        engines.reverse()
        if engines[0] is _by_openvino:
            _log.warning("OpenVINO %s; install TensorFlow for exact results", loss)
    refusals = []
    for engine in engines:
        try:
            return engine(graph_def, feeds, fetches)
        except RefusedError as error:
            refusals.append(error)
    reasons = "; ".join(map(str, refusals))
    hint = (
        "" if len(engines) == len(_ENGINES) else "; TensorFlow knows more, where it is installed"
    )
    raise RefusedError(f"the graph cannot be computed here: {reasons}{hint}")


def _by_openvino(
    graph_def: Any, feeds: Mapping[str, Array], fetches: Sequence[str]
) -> list[Array]:
    import openvino

    reason = wrong_results(graph_def, feeds)
    if reason is not None:
        raise RefusedError(f"OpenVINO {reason}")
    core = openvino.Core()
    # Its frontend reads files only; the weights stay mapped until the model is compiled.
    with tempfile.TemporaryDirectory(prefix="fastckpt-") as directory:
        path = os.path.join(directory, "graph.pb")
        with open(path, "wb") as file:
            file.write(graph_def.SerializeToString())
        try:
            model = core.read_model(path)
            compiled = core.compile_model(model, "CPU", _OPENVINO_OPTIONS)
        except RuntimeError as error:
            raise RefusedError(f"OpenVINO refuses it: {_reason(error)}") from None
    try:
        results = compiled({f"{name}:0": value for name, value in feeds.items()})
        return [np.array(results[compiled.output(f"{name}:0")]) for name in fetches]
    except RuntimeError as error:
        raise RefusedError(f"OpenVINO fails: {_reason(error)}") from None


# Without these the CPU may compute in bfloat16.
_OPENVINO_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line.startswith("--")] or [x for x in lines if x][-1:]
    return "; ".join(line.lstrip("- ") for line in told)


def _by_tensorflow(
    graph_def: Any, feeds: Mapping[str, Array], fetches: Sequence[str]
) -> list[Array]:
    import tensorflow as tf

    theirs = tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString())
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(theirs, name="")
            with tf.compat.v1.Session(graph=graph) as session:
                named = {f"{name}:0": value for name, value in feeds.items()}
                found = session.run([f"{name}:0" for name in fetches], named)
        except (ValueError, tf.errors.OpError) as error:
            raise RefusedError(f"TensorFlow refuses it: {error}") from None
    return [np.asarray(value) for value in found]


def _is_installed(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    # A stand-in for TensorFlow comes from no file, and computes nothing.
    return spec is not None and spec.origin is not None


_ENGINES = {"openvino": _by_openvino, "tensorflow": _by_tensorflow}
