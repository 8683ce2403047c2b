"""SaverDefs and meta graphs of a Saver without TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastckpt import protos
from fastckpt.training.saver import Saver


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arrays() -> dict[str, Any]:
    return {"w": np.ones((2, 3), np.float32), "b": np.zeros(3)}


def meta_of(path: str) -> Any:
    return protos.message_class("MetaGraphDef").FromString(Path(path).read_bytes())


def test_the_saver_def_is_one_object() -> None:
    saver = Saver(arrays(), max_to_keep=3, keep_checkpoint_every_n_hours=0.5)
    proto = saver.saver_def
    assert proto is saver.as_saver_def()
    assert proto is saver.to_proto()
    assert str(proto).split() == [
        "filename_tensor_name:", '"save/Const:0"',
        "save_tensor_name:", '"save/control_dependency:0"',
        "restore_op_name:", '"save/restore_all"',
        "max_to_keep:", "3",
        "keep_checkpoint_every_n_hours:", "0.5",
        "version:", "V2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"sharded": True}, "save_tensor_name", "save/Identity:0"),
        ({"sharded": True, "write_version": 1}, "save_tensor_name", "save/ShardedFilespec:0"),
        ({"name": "mine"}, "restore_op_name", "mine/restore_all"),
        ({"max_to_keep": None}, "max_to_keep", 0),
        ({"write_version": 1}, "version", 1),
    ],
)
def test_its_fields(options: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(Saver(arrays(), **options).saver_def, field) == value


def test_changing_it_changes_what_is_kept() -> None:
    saver = Saver(arrays(), max_to_keep=5)
    saver.saver_def.max_to_keep = 1
    for step in range(3):
        saver.save("m", step)
    assert saver.last_checkpoints == ["m-2"]


def test_scopes() -> None:
    saver = Saver(arrays(), name="a/b")
    inner = saver.to_proto("a")
    assert inner is not saver.saver_def
    assert inner.restore_op_name == "b/restore_all"
    assert inner.filename_tensor_name == "b/Const:0"
    assert saver.to_proto("a/") is not None
    assert saver.to_proto("x") is None
    again = Saver.from_proto(inner, import_scope="c")
    assert again.saver_def is inner
    assert inner.restore_op_name == "c/b/restore_all"


def test_a_saver_of_a_saver_def_saves_its_variables() -> None:
    values = arrays()
    proto = Saver(values, max_to_keep=1, write_version=1).saver_def
    saver = Saver(values, saver_def=proto)
    for step in range(2):
        saver.save("m", step)
    assert sorted(os.listdir()) == ["checkpoint", "m-1", "m-1.meta"]
    values["w"][...] = 0
    saver.restore("m-1")
    assert values["w"].all()


def test_the_meta_graph_of_a_save() -> None:
    saver = Saver(arrays())
    saver.save("m")
    meta = meta_of("m.meta")
    assert meta.saver_def == saver.saver_def
    assert {"w", "b", "save/restore_all"} <= {node.name for node in meta.graph_def.node}
    assert len(meta.collection_def["variables"].bytes_list.value) == 2


def test_it_is_built_again_when_shapes_change() -> None:
    values = arrays()
    saver = Saver(values)
    saver.save("a")
    saver.save("b")
    assert Path("a.meta").read_bytes() == Path("b.meta").read_bytes()
    values["w"] = np.ones((5, 5), np.float32)
    saver.save("c")
    (node,) = (x for x in meta_of("c.meta").graph_def.node if x.name == "w")
    assert [dim.size for dim in node.attr["shape"].shape.dim] == [5, 5]


def test_types_that_no_variable_has_are_left_out() -> None:
    values = {**arrays(), "s": np.array([b"x"], object)}
    Saver(values).save("m")
    assert "w" in {node.name for node in meta_of("m.meta").graph_def.node}


@pytest.mark.parametrize("as_text", [False, True])
def test_export(as_text: bool) -> None:
    saver = Saver(arrays())
    message = saver.export_meta_graph(
        "new/m.meta", collection_list=["variables"], as_text=as_text, clear_devices=True
    )
    assert list(message.collection_def) == ["variables"]
    assert message.saver_def == saver.saver_def
    content = Path("new/m.meta").read_bytes()
    assert content.startswith(b"meta_info_def") == as_text
