"""Meta graphs: read, changed, written; what was not changed is written as it was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastckpt import errors
from fastckpt.graph import MetaGraph, read_message
from fastckpt.graph.files import is_text
from unit import graph_files
from unit.graph_files import binary, field


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A meta graph whose maps are written in no order, with a field of the future and a NaN."""
    message = graph_files.meta_graph()
    message.graph_def.node[1].attr["value"].tensor.float_val[0] = float("nan")
    losses = message.collection_def.pop("losses").SerializeToString()
    entries = [field(4, field(1, key) + field(2, losses)) for key in (b"zz", b"losses", b"aa")]
    path = tmp_path / "m.meta"
    path.write_bytes(binary(message) + b"".join(entries) + field(30 & 15, b"future"))
    return path


def test_parts(path: Path) -> None:
    meta = MetaGraph.load(path)
    assert meta.tags == ["serve"]
    assert meta.meta_info.tensorflow_version == "2.21.0"
    assert [x.name for x in meta.graph_def.node] == ["x", "w", "y"]
    assert meta.saver_def.filename_tensor_name == "y:0"
    assert list(meta.collections) == ["aa", "losses", "zz"]
    assert [[x.name for x in items] for items in meta.collections.values()] == [["y:0"]] * 3
    assert meta.signatures == {}
    assert meta.graph is meta.graph
    assert repr(meta) == "<MetaGraph 3 nodes, 3 collections>"
    meta.meta_graph_def.ClearField("saver_def")
    assert meta.saver_def is None


def test_an_unchanged_file_copies_byte_for_byte(path: Path, tmp_path: Path) -> None:
    meta = MetaGraph.load(path)
    assert meta.collections  # looking changes nothing
    meta.save(tmp_path / "new" / "copy.meta")
    assert (tmp_path / "new" / "copy.meta").read_bytes() == path.read_bytes()
    text = b"# by hand\n" + meta.to_bytes(as_text=True)
    assert MetaGraph.from_bytes(text).to_bytes(as_text=True) == text
    assert MetaGraph.from_bytes(text).to_bytes() == text
    assert not is_text(MetaGraph.from_bytes(text).to_bytes(as_text=False))


def test_a_changed_file_keeps_the_rest(path: Path, tmp_path: Path) -> None:
    meta = MetaGraph.load(path)
    meta.meta_info.tags.append("more")
    meta.save(tmp_path / "changed.meta", sync=False)
    again = MetaGraph.load(tmp_path / "changed.meta")
    assert again.tags == ["serve", "more"]
    assert b"future" in again.to_bytes()
    again.meta_info.tags.pop()
    before = MetaGraph.load(path)
    assert binary(again.meta_graph_def) == binary(before.meta_graph_def)


def test_changed_copies(path: Path) -> None:
    meta = MetaGraph.load(path)
    meta.graph_def.node[0].device = "/gpu:0"
    meta.graph_def.node[2].attr["transpose_a"].b = False
    cleared, stripped = meta.clear_devices(), meta.strip_default_attrs()
    assert cleared.graph.get_operation_by_name("x").device == ""
    assert "transpose_a" not in stripped.graph_def.node[2].attr
    assert stripped.meta_info.stripped_default_attrs
    assert meta.graph.get_operation_by_name("x").device == "/device:GPU:0"
    assert "transpose_a" in meta.graph_def.node[2].attr
    for copy in (cleared, stripped):
        assert sorted(copy.collections) == ["aa", "losses", "zz"]
        assert b"future" in copy.to_bytes()


def test_what_is_no_meta_graph(tmp_path: Path) -> None:
    for wrong in (None, b"", "m.meta", graph_files.graph()):
        with pytest.raises(TypeError, match="must be a MetaGraphDef"):
            MetaGraph(wrong)
    with pytest.raises(errors.DataLossError, match="'given' is empty"):
        MetaGraph.from_bytes(b"", path="given")
    (tmp_path / "broken.meta").write_bytes(
        binary(graph_files.meta_graph(graph_files.graph('node { name: "a" op: "A" input: "b" }')))
    )
    meta = MetaGraph.load(tmp_path / "broken.meta")  # parts can be looked at
    assert meta.tags == ["serve"]
    with pytest.raises(errors.InvalidArgumentError, match="Unknown input node 'b'"):
        meta.graph  # noqa: B018


def test_corpus(corpus_dir: Path, tmp_path: Path) -> None:
    count = 0
    files = [p for p in corpus_dir.rglob("*") if p.suffix in {".meta", ".pb", ".pbtxt", ".cpb"}]
    for path in filter(Path.is_file, files):
        kinds = []
        for kind in ("MetaGraphDef", "GraphDef", "SavedModel"):
            try:
                message: Any = read_message(path, kind)
            except errors.CheckpointError:
                continue
            kinds.append(kind)
            if kind == "MetaGraphDef":
                assert MetaGraph.load(path).to_bytes() == path.read_bytes()
            assert message.ByteSize()
        is_none = "fingerprint" in path.name or "debug_info" in path.name or path.suffix == ".cpb"
        is_none |= path.parent.name.startswith(("Probabilistic", "t5x"))
        assert len(kinds) == (not is_none), path
        count += len(kinds)
    assert count >= 70
