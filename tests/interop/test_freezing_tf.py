"""Frozen graphs: TensorFlow's, node by node, and what they compute."""

from __future__ import annotations

import numpy as np
import pytest

from fastckpt.graph.freezing import convert_variables_to_constants, freeze
from interop.freezing_models import (
    MODELS,
    Case,
    GraphDef,
    assert_same_graph,
    build_case,
    run_frozen,
)


@pytest.fixture(scope="module", params=MODELS)
def case(request, tmp_path_factory) -> Case:
    return build_case(request.param, tmp_path_factory.mktemp("models"))


def without_shapes_of_loops(message):
    """A frozen graph, less what keeps TensorFlow from importing its own."""
    copy = GraphDef.FromString(message.SerializeToString())
    for node in [*copy.node, *(x for f in copy.library.function for x in f.node_def)]:
        if node.op.endswith("While") and "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
    return copy


def test_frozen_as_tensorflow_does(case: Case) -> None:
    converted = convert_variables_to_constants(case.prefix, case.graph_def, case.outputs)
    assert_same_graph(converted, case.frozen)
    frozen = freeze(f"{case.prefix}.meta", case.prefix, case.outputs)
    assert_same_graph(without_shapes_of_loops(frozen), without_shapes_of_loops(case.frozen))


def test_frozen_graphs_compute_the_same(case: Case) -> None:
    frozen = freeze(f"{case.prefix}.meta", outputs=[f"{x}:0" for x in case.outputs])
    for result, expected in zip(
        run_frozen(frozen, case.outputs, case.feeds), case.results, strict=True
    ):
        np.testing.assert_array_equal(result, expected)
