"""``fastckpt freeze``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fastckpt.graph import extract_sub_graph, read_message, write_graph
from fastckpt.protos import message_class
from unit.cli_helpers import invoke
from unit.graph_makers import copies, graph_def, names, node, ops, ref, saved

GRAPH = ref("w", 2) + copies("w", name="w/read") + ref("v", 2) + node("y", "AddN", "w/read", "v")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A plain graph, a meta graph and a checkpoint; the prefix."""
    prefix = saved(tmp_path, w=[1, 2], v=[3, 4])
    source = graph_def(GRAPH + 'node { name: "x" op: "Placeholder" device: "/gpu:0" }')
    write_graph(source, tmp_path, "graph.pbtxt")
    meta_graph = message_class("MetaGraphDef")(graph_def=source)
    signature = meta_graph.signature_def["predict"]
    signature.outputs["sum"].name = "y:0"
    write_graph(meta_graph, tmp_path, "model.ckpt.meta", as_text=False)
    return prefix


def test_a_meta_graph_beside_its_checkpoint(model: str, tmp_path: Path) -> None:
    result = invoke("freeze", f"{model}.meta", "-o", tmp_path / "out.pb")
    assert result.exit_code == 0
    assert "4 nodes" in result.stdout
    assert "inputs: none\n  outputs: y\n" in result.stdout
    assert ops(read_message(tmp_path / "out.pb", "GraphDef")) == {
        "w": "Const", "w/read": "Identity", "v": "Const", "y": "AddN",
    }  # fmt: skip


def test_a_plain_graph_and_its_options(model: str, tmp_path: Path) -> None:
    result = invoke(
        "freeze", tmp_path / "graph.pbtxt", model, "--output-node-names", "y:0, x",
        "--keep", "v", "--clear-devices", "--text", "--json", "-o", tmp_path / "new" / "out",
    )  # fmt: skip
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    content = (tmp_path / "new" / "out").read_bytes()
    assert content.startswith(b"node {")
    assert told == {
        "path": str(tmp_path / "new" / "out"), "nbytes": len(content), "nodes": 5,
        "functions": 0, "constants": 1, "inputs": ["x"], "outputs": ["y", "x"],
    }  # fmt: skip
    frozen = read_message(tmp_path / "new" / "out", "GraphDef")
    assert ops(frozen)["v"] == "VariableV2"
    assert not any(x.device for x in frozen.node)
    invoke("freeze", f"{model}.meta", "--only", "w", "-o", tmp_path / "out")
    assert names(extract_sub_graph(tmp_path / "out", ["v"])) == ["v"]
    assert ops(read_message(tmp_path / "out", "GraphDef"))["v"] == "VariableV2"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["graph.pbtxt", "--output-node-names", "y"], 2, "no checkpoint was given"),
        (["graph.pbtxt", "model.ckpt"], 2, "the graph has no signature"),
        (["model.ckpt.meta", "--output-node-names", "zz"], 2, "zz is not in graph"),
        (["model.ckpt.meta", "--output-node-names", ","], 2, "at least one node"),
        (["no such file"], 2, "does not exist"),
        (["model.ckpt.index"], 2, "index of a checkpoint"),
    ],
)
def test_mistakes(
    model: str, tmp_path: Path, monkeypatch, arguments: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("freeze", *arguments, "-o", "out.pb")
    assert result.exit_code == code
    assert says in result.stderr
    assert not (tmp_path / "out.pb").exists()


def test_damage_leaves_what_was_there(model: str, tmp_path: Path) -> None:
    out = tmp_path / "out.pb"
    out.write_bytes(b"before")
    (shard,) = tmp_path.glob("*.data*")
    shard.write_bytes(np.zeros(4, np.float32).tobytes())
    result = invoke("freeze", f"{model}.meta", "-o", out)
    assert result.exit_code == 1
    assert out.read_bytes() == b"before"
