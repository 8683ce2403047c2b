"""GraphDefs: parts of them, training nodes, devices, files; broken ones as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastckpt.errors import CheckpointError, DataLossError
from fastckpt.graph import (
    Graph,
    clear_devices,
    extract_sub_graph,
    read_message,
    remove_training_nodes,
    strip_default_attrs,
    write_graph,
)
from fastckpt.protos import message_class
from unit.graph_makers import copies, graph_def, names, node

CHAIN = (
    copies("x", name="y") + copies("y:0", "^c", name="z") + node("x", "NoOp") + node("c", "NoOp")
)


def test_what_outputs_need_in_the_order_of_the_graph() -> None:
    source = graph_def(CHAIN + node("unused", "NoOp") + "versions { producer: 7 }")
    found = extract_sub_graph(source, ["z"])
    assert names(found) == ["y", "z", "x", "c"]
    assert found.versions.producer == 7
    assert names(extract_sub_graph(source, ["y", "y"])) == ["y", "x"]
    assert names(extract_sub_graph(source, [])) == []


def test_colocation_keeps_nodes_that_are_there() -> None:
    place = 'attr { key: "_class" value { list { s: "loc:@a" s: "loc:@gone" } } }'
    source = graph_def(node("a", "NoOp") + node("b", "NoOp", attrs=place))
    assert names(extract_sub_graph(source, ["b"])) == ["a", "b"]


@pytest.mark.parametrize("loop", [["a"], ["b", "a"], ["c", "b", "a"]])
def test_circles_end(loop: list[str]) -> None:
    pairs = zip(loop, loop[1:] + loop[:1], strict=True)
    source = graph_def("".join(copies(before, name=name) for before, name in pairs))
    assert sorted(names(extract_sub_graph(source, ["a"]))) == sorted(loop)
    reader = graph_def("".join(map(str, [copies("a", name="r", op="Neg")])))
    source.node.extend(reader.node)
    with pytest.raises(DataLossError, match="circle"):
        remove_training_nodes(source)


def test_a_chain_of_any_length() -> None:
    source = message_class("GraphDef")()
    source.node.add(name="n0", op="Placeholder")
    for i in range(1, 5000):
        source.node.add(name=f"n{i}", op="Identity", input=[f"n{i - 1}"])
    source.node.add(name="end", op="Neg", input=["n4999"])
    assert len(extract_sub_graph(source, ["end"]).node) == 5001
    short = remove_training_nodes(source)
    assert [(x.name, list(x.input)) for x in short.node] == [("n0", []), ("end", ["n0"])]


def test_training_nodes() -> None:
    source = graph_def(
        node("x", "Placeholder")
        + copies("x", name="check", op="CheckNumerics")
        + copies("check", "^check", name="same")
        + copies("same", name="stop", op="StopGradient")
        + copies("stop:0", name="beside")
        + node(
            "y",
            "Neg",
            "beside",
            attrs='attr { key: "_class" value { list { s: "loc:@beside" } } }',
        )
        + node("z", "Neg", "check", "stop", "^waited")
        + copies("x", name="waited")
        + copies("z", name="out")
    )
    found = remove_training_nodes(source, protected_nodes=["out"])
    assert {x.name: list(x.input) for x in found.node} == {
        "x": [],
        "beside": ["x"],
        "y": ["beside"],
        "z": ["x", "x", "^waited"],
        "waited": ["x"],
        "out": ["z"],
    }
    assert "out" not in names(remove_training_nodes(source))


def test_devices_are_cleared_in_a_copy() -> None:
    source = graph_def('node { name: "a" op: "NoOp" device: "/gpu:0" }')
    assert clear_devices(source).node[0].device == ""
    assert source.node[0].device == "/gpu:0"


def test_default_attributes() -> None:
    attrs = (
        'attr { key: "transpose_a" value { b: false } } attr { key: "_own" value { i: 1 } }'
        'attr { key: "transpose_b" value { b: true } } attr { key: "T" value { type: DT_FLOAT } }'
    )
    source = graph_def(node("m", "MatMul", attrs=attrs) + node("u", "NoSuchOp", attrs=attrs))
    stripped = strip_default_attrs(source)
    assert sorted(stripped.node[0].attr) == ["T", "_own", "transpose_b"]
    assert stripped.node[1] == source.node[1]
    # A function may have the name of an operation.
    source.library.function.add().signature.name = "MatMul"
    assert strip_default_attrs(source).node[0] == source.node[0]
    meta_graph = message_class("MetaGraphDef")(graph_def=source)
    assert strip_default_attrs(meta_graph).meta_info_def.stripped_default_attrs


@pytest.mark.parametrize("as_text", [True, False])
def test_sources_and_files(tmp_path: Path, as_text: bool) -> None:
    source = graph_def(CHAIN)
    path = write_graph(source, tmp_path / "a" / "b", "g", as_text)
    assert path == str(tmp_path / "a" / "b" / "g")
    assert Path(path).read_bytes().startswith(b"node {" if as_text else b"\n")
    for given in (path, Path(path), Path(path).read_bytes(), Graph.load(path)):
        assert names(extract_sub_graph(given, ["y"])) == ["y", "x"]
    assert write_graph(Graph(source), tmp_path, "again", as_text) == str(tmp_path / "again")
    assert read_message(tmp_path / "again", "GraphDef") == source
    assert write_graph(message_class("SaverDef")(), tmp_path, "empty", as_text)


@pytest.mark.parametrize(
    ("call", "builtin"),
    [
        (lambda: extract_sub_graph(graph_def(CHAIN), "z"), TypeError),
        (lambda: extract_sub_graph(3, ["z"]), TypeError),
        (lambda: extract_sub_graph(graph_def(CHAIN), ["z:0"]), AssertionError),
        (lambda: extract_sub_graph(graph_def(CHAIN), ["zz"]), KeyError),
        (lambda: extract_sub_graph(graph_def(copies("gone")), ["y"]), KeyError),
        (lambda: extract_sub_graph(b"\xff\xff", ["y"]), ValueError),
        (lambda: extract_sub_graph("no such file", ["y"]), OSError),
        (lambda: remove_training_nodes([]), TypeError),
        (lambda: clear_devices(None), TypeError),
        (lambda: write_graph(3, "d", "n"), AttributeError),
        (lambda: write_graph(graph_def(CHAIN), None, "n"), AttributeError),  # type: ignore[arg-type]
        (lambda: write_graph(graph_def(CHAIN), "", ""), ValueError),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch, call, builtin: type[Exception]) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as found:
        call()
    assert isinstance(found.value, builtin)


def test_a_name_of_a_tensor_is_explained() -> None:
    with pytest.raises(
        CheckpointError, match="y:0 is not in graph; pass the name of the node, 'y'"
    ):
        extract_sub_graph(graph_def(CHAIN), ["y:0"])
    with pytest.raises(CheckpointError, match="input from 'gone'"):
        extract_sub_graph(graph_def(copies("gone")), ["y"])
