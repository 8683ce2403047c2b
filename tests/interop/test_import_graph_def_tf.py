"""import_graph_def beside TensorFlow's: names, inputs, elements, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format

from fastckpt.errors import CheckpointError
from fastckpt.graph import Graph
from fastckpt.graph.importing_graphs import import_graph_def
from interop.graph_corpus import GraphDef, corpus_graphs

# Larger graphs take TensorFlow seconds and show nothing else.
_MAX_NODES = 800

SMALL = """
    node { name: "a" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "s/b" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "c" op: "NoOp" }
    node {
        name: "add" op: "AddV2" input: "a" input: "s/b:0" input: "^c"
        attr { key: "T" value { type: DT_FLOAT } }
        attr { key: "_class" value { list { s: "loc:@a" } } }
    }
    node {
        name: "two" op: "Split" input: "dim" input: "add"
        attr { key: "T" value { type: DT_FLOAT } } attr { key: "num_split" value { i: 2 } }
    }
    node {
        name: "dim" op: "Const" attr { key: "dtype" value { type: DT_INT32 } }
        attr { key: "value" value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 0 } } }
    }
    node {
        name: "neg" op: "Neg" input: "two:1" attr { key: "T" value { type: DT_FLOAT } }
    }
"""


def small() -> GraphDef:
    return text_format.Parse(SMALL, GraphDef())


def described(graph: Any) -> list[tuple[Any, ...]]:
    """All operations in order, with all that import decides."""
    return [
        (
            op.name,
            op.type,
            [x.name for x in op.inputs],
            sorted(x.name for x in op.control_inputs),
            [x.dtype.as_datatype_enum for x in op.outputs],
            op.colocation_groups() if "_class" in op.node_def.attr else [],
        )
        for op in graph.get_operations()
    ]


def nodes_of(graph: Any) -> dict[str, GraphDef]:
    """Nodes as a GraphDef has them, less recorded shapes, which TensorFlow drops."""
    nodes = {}
    message = GraphDef.FromString(graph.as_graph_def().SerializeToString())
    for node in message.node:
        if "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
        # Loops and control inputs come in another order out of a graph of TensorFlow.
        node.device = ""
        node.ClearField("experimental_type")
        node.input[:] = sorted(node.input) if "^" in "".join(node.input) else node.input
        nodes[node.name] = node
    return nodes


def test_corpus(corpus_dir: Path) -> None:
    compared = 0
    for label, graph_def in corpus_graphs(corpus_dir):
        if len(graph_def.node) > _MAX_NODES:
            continue
        graph = tf.Graph()
        with graph.as_default():
            try:
                for name in ("", None, None):
                    tf.import_graph_def(graph_def, name=name)
            except Exception:  # noqa: BLE001 - operations that TensorFlow lacks
                continue
        ours = Graph()
        for name in ("", None, None):
            import_graph_def(graph_def, name=name, graph=ours)
        assert described(ours) == described(graph), label
        assert nodes_of(ours) == nodes_of(graph), label
        compared += 1
    assert compared >= 30


STEPS: dict[str, list[dict[str, Any]]] = {
    "twice without a scope": [{"name": ""}, {"name": ""}, {"name": ""}],
    "scopes": [{}, {"name": "import"}, {"name": "IMPORT"}, {"name": "import_1"}, {"name": "s"}],
    "one scope again": [{"name": "q/"}, {"name": "q/"}, {"name": "q"}],
    "scope of a node": [{"name": ""}, {"name": "a"}, {"name": "A"}, {"name": "add/"}],
    "node of a scope": [{"name": "a"}, {"name": ""}],
    "scopes in scopes": [{"name": "x/y"}, {"name": "x/y"}, {"name": "x"}],
    "elements": [
        {"return_elements": ["add", "two:1", b"neg", "two:0", "a:0"]},
        {"return_elements": [], "name": ""},
        {"return_elements": ["add"], "name": ""},
        {"return_elements": ["add:0", "add"], "name": ""},
    ],
    "mapped": [
        {"name": ""},
        {"input_map": {"a": "neg:0", "s/b:0": "two:1"}, "return_elements": ["add:0", "a:0"]},
        {"input_map": {"^c": "neg:0", "two:1": "add:0"}, "name": "m"},
        {"input_map": {b"a:0": "neg:0"}, "name": "", "return_elements": ["a", "a:0"]},
        {"input_map": {"two:0": "add:0"}, "name": "unused but there"[:6]},
    ],
    "mapped to values": [{"input_map": {"a": [1.5, 2.5], "s/b": [2.0, 1.0]}, "name": "v"}],
    "mapped to controls": [
        {"name": ""},
        {"input_map": {"^c": "neg:0"}, "name": ""},
    ],
}


def run(function: Any, known: Any, steps: list[dict[str, Any]], **extra: Any) -> list[Any]:
    """Import the small graph as often as there are steps; give names of what comes back."""
    found = []
    for step in steps:
        given = dict(step)
        if "input_map" in step:
            given["input_map"] = {
                key: known.get_tensor_by_name(value) if isinstance(value, str) else value
                for key, value in step["input_map"].items()
            }
        elements = function(small(), **given, **extra)
        found.append(elements and [x.name for x in elements])
    return found


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str) -> None:
    theirs = tf.Graph()
    with theirs.as_default():
        expected = run(tf.import_graph_def, theirs, STEPS[name])
    ours = Graph()
    assert run(import_graph_def, ours, STEPS[name], graph=ours) == expected
    assert described(ours) == described(theirs)
    assert nodes_of(ours) == nodes_of(theirs)


def bad(text: str) -> dict[str, Any]:
    return {"graph_def": text_format.Parse(text, GraphDef())}


NEG = 'op: "Neg" attr { key: "T" value { type: DT_FLOAT } }'
MISTAKES: dict[str, dict[str, Any]] = {
    "no graph": {"graph_def": 3},
    "another message": {"graph_def": GraphDef().versions},
    "map is no dict": {"input_map": ["a:0"]},
    "map of numbers": {"input_map": {1: "neg:0"}},
    "elements are no names": {"return_elements": [3]},
    "elements are one name": {"return_elements": "neg"},
    "no such node": {"return_elements": ["zz"]},
    "no such tensor": {"return_elements": ["zz:0"]},
    "no such output": {"return_elements": ["a:9"]},
    "no name of a tensor": {"return_elements": ["a:b"]},
    "too many colons": {"return_elements": ["a:0:1"]},
    "mapped node is not there": {"input_map": {"zz": 1.0}, "name": "v"},
    "mapped output is not there": {"input_map": {"a:5": 1.0}, "name": "v"},
    "value without a scope": {"input_map": {"a": 1.0}, "name": ""},
    "bad scope": {"name": "_x"},
    "bad letters": {"name": "x y"},
    "unknown input": bad('node { name: "n" input: "zz" ' + NEG + "}"),
    "no such output of an input": bad(
        'node { name: "a" op: "NoOp" } node { name: "n" input: "n2:7" ' + NEG + "}"
        'node { name: "n2" input: "p" ' + NEG + "} "
        'node { name: "p" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }'
    ),
    "a circle": bad(
        'node { name: "n" input: "m" ' + NEG + '} node { name: "m" input: "n" ' + NEG + "}"
    ),
    "one name twice": bad('node { name: "n" op: "NoOp" } node { name: "n" op: "NoOp" }'),
}


P = 'node { name: "p" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } } '
T = 'attr { key: "T" value { type: DT_FLOAT } }'
MISTAKES |= {
    "another type": bad(P.replace("FLOAT", "HALF") + 'node { name: "n" input: "p" ' + NEG + "}"),
    "no variable": bad(P + 'node { name: "n" op: "Assign" input: "p" input: "p" ' + T + "}"),
    "too many inputs": bad(P + 'node { name: "n" input: "p" input: "p" ' + NEG + "}"),
    "too few inputs": bad('node { name: "n" ' + NEG + "}"),
    "inputs of what takes none": bad(P + 'node { name: "n" op: "NoOp" input: "p" }'),
    "an output by name": bad(P + 'node { name: "n" input: "p:b" ' + NEG + "}"),
    "an output of an output": bad(P + 'node { name: "n" input: "p:b:0" ' + NEG + "}"),
    "a control output": bad(P + 'node { name: "n" op: "NoOp" input: "^p:0" }'),
    "no such control input": bad('node { name: "n" op: "NoOp" input: "^p" }'),
    "control first": bad(P + 'node { name: "n" input: "^p" input: "p" ' + NEG + "}"),
    "beside nothing": bad(
        'node { name: "n" op: "NoOp" attr { key: "_class" value { list { s: "loc:@zz" } } } }'
    ),
    "bad name": bad('node { name: "n!" op: "NoOp" }'),
    "no name": bad('node { op: "NoOp" }'),
    "old producer": bad("versions { producer: -1 }"),
    "new consumer": bad("versions { min_consumer: 1000000 }"),
    "bad consumer": bad("versions { producer: 2474 bad_consumers: 2474 }"),
    "mapped to another type": {
        **bad(P.replace("FLOAT", "INT32") + 'node { name: "n" input: "p" ' + NEG + "}"),
        "input_map": {"p": 5},
        "name": "v",
    },
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str) -> None:
    given = {"graph_def": small(), **MISTAKES[name]}
    with tf.Graph().as_default(), pytest.raises(Exception) as expected:
        tf.import_graph_def(**given)
    ours = Graph(small())
    before = described(ours)
    with pytest.raises(CheckpointError) as found:
        import_graph_def(**given, graph=ours)
    assert isinstance(found.value, expected.type)
    assert str(found.value).startswith(str(expected.value)[:38])
    assert described(ours) == before


@pytest.mark.parametrize("producer", [0, 12, 1000, 2474, 9999])
def test_versions(producer: int) -> None:
    graph_def = small()
    graph_def.versions.producer = producer
    graph_def.versions.min_consumer = producer % 13
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def)
        first = graph.graph_def_versions
        graph_def.versions.producer = 500
        tf.import_graph_def(graph_def)
    graph_def.versions.producer = producer
    ours = import_graph_def(graph_def)
    assert str(ours.graph_def_versions) == str(first)
    graph_def.versions.producer = 500
    import_graph_def(graph_def, graph=ours)
    assert str(ours.graph_def_versions) == str(graph.graph_def_versions)


def test_functions() -> None:
    with tf.Graph().as_default() as graph:
        tf.function(lambda x: x * 2.0, autograph=False)(tf.constant([1.0]))
    graph_def = graph.as_graph_def()
    (function,) = graph_def.library.function
    ours = Graph()
    import_graph_def(graph_def, graph=ours)
    import_graph_def(graph_def, graph=ours)
    assert [x.signature.name for x in ours.as_graph_def().library.function] == [
        function.signature.name
    ]
    function.node_def[0].name = "other"
    with pytest.raises(ValueError, match="different function with the same name"):
        import_graph_def(graph_def, graph=ours)


def test_the_given_graph_is_not_changed_and_objects_stay() -> None:
    graph_def = small()
    graph = import_graph_def(graph_def, name="")
    add = graph.get_operation_by_name("add")
    (again,) = import_graph_def(graph_def, {"a": add.outputs[0]}, ["add"], name="")
    assert graph_def == small()
    assert again.graph is graph
    assert graph.get_operation_by_name("add") is add
    assert [x.name for x in add.outputs[0].consumers()] == ["two", "add_1"]
