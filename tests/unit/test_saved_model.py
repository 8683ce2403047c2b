"""SavedModels: opening, what is in them, and what is said of directories that are none."""

import logging
import os
import random

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import (
    CheckpointError,
    CheckpointIOError,
    CheckpointNotFoundError,
    DataLossError,
    InvalidArgumentError,
    UnsupportedError,
)
from fastckpt.graph import MetaGraph, SavedModel, make_tensor_proto, write_message
from fastckpt.protos import message_class
from unit.saved_model_helpers import B, W, export, message

SPARSE = {
    "values_tensor_name": "v:0", "indices_tensor_name": "i:0", "dense_shape_tensor_name": "s:0",
}  # fmt: skip


@pytest.fixture
def model(tmp_path):
    return export(tmp_path / "model")


def test_what_is_in_a_model(model):
    with SavedModel.load(model) as loaded:
        assert loaded.path == model
        assert loaded.tags == [["serve"]]
        assert [m.DESCRIPTOR.name for m in loaded.meta_graphs] == ["MetaGraphDef"]
        meta_graph = loaded.meta_graph("serve")
        assert isinstance(meta_graph, MetaGraph)
        assert meta_graph.graph.get_tensor_by_name("w:0").shape == (2, 3)
        signature = loaded.signatures["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        assert signature.inputs == {}
        found = signature.outputs["weights"]
        assert (found.name, found.dtype, found.shape) == ("w/read:0", "float32", (2, 3))
        assert loaded.assets == {}
        assert loaded.init_op_of() is None
        assert loaded.fingerprint is None
        assert loaded.has_variables
        np.testing.assert_array_equal(loaded.variables["w"], W)
        np.testing.assert_array_equal(loaded.variables["b"], B)
        variables = loaded.variables
        assert loaded.variables is variables
    with pytest.raises(fastckpt.ClosedError):
        variables["w"]
    assert repr(loaded) == f"<SavedModel {model!r}, tags [['serve']]>"


def test_paths(model, tmp_path, monkeypatch):
    path = os.path.join(model, "saved_model.pb")
    assert SavedModel.load(path).path == model
    monkeypatch.chdir(model)
    assert SavedModel.load("saved_model.pb").path == "."
    assert SavedModel.load(tmp_path / "model").path == model


def test_versions(tmp_path, caplog):
    for version in ("9", "10", "temp-11", "11"):
        export(tmp_path / version)
    (tmp_path / "11" / "saved_model.pb").unlink()
    with caplog.at_level(logging.INFO, "fastckpt"):
        assert SavedModel.load(tmp_path).path == str(tmp_path / "10")
    assert "holds versions" in caplog.text


def test_an_estimators_directory(tmp_path):
    """The directory of a training job names what is below; its export opens."""
    fastckpt.save(tmp_path / "model.ckpt-1", {"w": W})
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1"\n')
    with pytest.raises(CheckpointNotFoundError, match=r"open it with fastckpt.open\("):
        SavedModel.load(tmp_path)
    for version in ("1554227547", "1554227548"):
        export(tmp_path / "export" / "estimate" / version)
    newest = str(tmp_path / "export" / "estimate" / "1554227548")
    assert SavedModel.load(tmp_path / "export" / "estimate").path == newest
    for above in (tmp_path, tmp_path / "export"):
        with pytest.raises(CheckpointNotFoundError, match="SavedModels below: pass") as caught:
            SavedModel.load(above)
        assert repr(newest) in str(caught.value)


def test_no_model(tmp_path, model):
    text = "SavedModel file does not exist at: "
    cases = [
        (tmp_path / "modl", "did you mean '.*model'"),
        (tmp_path / "q", "no such directory"),
        (os.path.join(model, "variables"), "open it with fastckpt.open"),
    ]
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("x")
    cases += [(tmp_path / "empty", "it is empty"), (tmp_path / "other", "'notes.txt'")]
    for path, hint in cases:
        with pytest.raises(OSError, match=hint) as caught:
            SavedModel.load(path)
        assert str(caught.value).startswith(f"{text}{path}/{{saved_model.pbtxt|saved_model.pb}}")
        assert isinstance(caught.value, CheckpointNotFoundError)


def test_other_files(tmp_path, model):
    (tmp_path / "chunks").mkdir()
    (tmp_path / "chunks" / "saved_model.cpb").write_bytes(b"riegeli")
    with pytest.raises(UnsupportedError, match="chunks") as caught:
        SavedModel.load(tmp_path / "chunks")
    assert isinstance(caught.value, OSError)
    content = (tmp_path / "model" / "saved_model.pb").read_bytes()
    for damaged, expected in (
        (b"", DataLossError),
        (content[:-100], DataLossError),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            CheckpointIOError,
        ),
        (message().SerializeToString(), InvalidArgumentError),
    ):
        (tmp_path / "model" / "saved_model.pb").write_bytes(damaged)
        with pytest.raises(expected):
            SavedModel.load(model)


def test_tags(tmp_path):
    proto = message_class("SavedModel")(saved_model_schema_version=1)
    for tags in (["serve"], ["serve", "gpu"], []):
        meta_graph = proto.meta_graphs.add()
        meta_graph.meta_info_def.tags.extend(tags)
        meta_graph.signature_def[f"{len(tags)} tags"].SetInParent()
    write_message(tmp_path / "saved_model.pbtxt", proto, as_text=True)
    model = SavedModel.load(tmp_path)
    assert model.tags == [["serve"], ["gpu", "serve"], []]
    for tags, expected in (
        (None, 1), ("serve", 1), ("serve,gpu", 2), (["gpu", "serve"], 2), ([], 0), ((), 0),
    ):  # fmt: skip
        assert list(model.signatures_of(tags)) == [f"{expected} tags"]
    assert list(model.signatures) == ["1 tags"]
    with pytest.raises(RuntimeError, match=r"with available tags \[\['serve'\]") as caught:
        model.meta_graph(["nope"])
    assert isinstance(caught.value, InvalidArgumentError)
    assert not model.has_variables
    with pytest.raises(CheckpointNotFoundError, match="has no variables"):
        model.variables  # noqa: B018


def test_signatures_of_all_kinds(tmp_path):
    meta_graph = message_class("MetaGraphDef")()
    signature = meta_graph.signature_def["all"]
    signature.inputs["sparse"].coo_sparse.CopyFrom(message_class("TensorInfo.CooSparse")(**SPARSE))
    signature.inputs["sparse"].dtype = 1
    composite = signature.inputs["ragged"].composite_tensor
    composite.components.add(name="r:0", dtype=9)
    signature.inputs["ragged"].tensor_shape.unknown_rank = True
    signature.inputs["sized"].name = "x:0"
    for size in (-1, 3):
        signature.inputs["sized"].tensor_shape.dim.add(size=size)
    signature.defaults["sized"].CopyFrom(make_tensor_proto([[1.0, 2.0, 3.0]]))
    for name in ("__saved_model_init_op", "__saved_model_train_op"):
        meta_graph.signature_def[name].outputs[name].name = f"op{name}"
    model = SavedModel("nowhere", message_class("SavedModel")(meta_graphs=[meta_graph]))
    assert list(model.signatures) == ["all"]
    found = model.signatures["all"]
    assert list(found.inputs) == ["ragged", "sized", "sparse"]
    assert [part.name for part in found.inputs["sparse"].components] == ["v:0", "i:0", "s:0"]
    assert [part.dtype.name for part in found.inputs["sparse"].components] == [
        *("float32", "int64", "int64")
    ]
    assert found.inputs["ragged"].components[0].name == "r:0"
    assert found.inputs["ragged"].shape.rank is None
    assert found.inputs["sized"].shape == (None, 3)
    assert found.defaults["sized"].tolist() == [[1.0, 2.0, 3.0]]
    assert model.init_op_of() == "op__saved_model_init_op"


def test_assets_and_init_ops_of_old(tmp_path):
    meta_graph = message_class("MetaGraphDef")()
    asset = message_class("AssetFileDef")(filename="vocab.txt", tensor_info={"name": "Const:0"})
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value.add()
    packed.type_url = "type.googleapis.com/tensorflow.AssetFileDef"
    packed.value = asset.SerializeToString()
    meta_graph.collection_def["legacy_init_op"].node_list.value.append("group_deps")
    model = SavedModel("d", message_class("SavedModel")(meta_graphs=[meta_graph]))
    assert model.assets == {"Const:0": "d/assets/vocab.txt"}
    assert model.init_op_of() == "group_deps"
    meta_graph.collection_def["saved_model_main_op"].node_list.value.append("main")
    meta_graph.asset_file_def.add(filename="new.txt").tensor_info.name = "Const_1:0"
    model = SavedModel("d", message_class("SavedModel")(meta_graphs=[meta_graph]))
    assert model.assets == {"Const_1:0": "d/assets/new.txt"}
    assert model.init_op_of() == "main"


def test_a_damaged_asset_list_is_an_error():
    meta_graph = message_class("MetaGraphDef")()
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value.add()
    packed.value = b"\xff\xff"
    model = SavedModel("d", message_class("SavedModel")(meta_graphs=[meta_graph]))
    with pytest.raises(DataLossError, match="saved_model_assets"):
        model.assets  # noqa: B018


def damaged_copies(content, count):
    """Copies with wrong letters, wrong bytes, and bytes missing or doubled."""
    rng = random.Random(5)
    letters = [i for i, byte in enumerate(content) if chr(byte).isalnum()]
    for number in range(count):
        copy = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            if number % 4:
                copy[rng.choice(letters)] = rng.choice(b"abXW01:/_^.")
            else:
                at = rng.randrange(len(copy))
                copy[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        yield bytes(copy)


def test_damaged_models_raise_our_errors_alone(tmp_path):
    graph = message()
    graph.collection_def["legacy_init_op"].node_list.value.append("w/Assign")
    directory = export(tmp_path / "model", graph, as_text=False)
    path = tmp_path / "model" / "saved_model.pb"
    outcomes = set()
    for number, content in enumerate(damaged_copies(path.read_bytes(), 300)):
        path.write_bytes(content)
        try:
            model = SavedModel.load(directory)
            for tags in model.tags:
                model.signatures_of(tags), model.assets_of(tags), model.init_op_of(tags)
                export(tmp_path / "out" / str(number), model.meta_graph(tags), sync=False)
            outcomes.add("exported")
        except CheckpointError as error:
            outcomes.add(type(error).__name__)
    assert outcomes >= {"exported", "BrokenBinaryError", "InvalidArgumentError"}


def test_the_fingerprint(model):
    proto = message_class("FingerprintDef")(saved_model_checksum=7, uuid="u")
    write_message(os.path.join(model, "fingerprint.pb"), proto)
    assert SavedModel.load(model).fingerprint == proto
