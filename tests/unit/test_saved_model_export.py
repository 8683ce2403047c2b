"""Writing SavedModels: what is written, in which order, and what is refused before."""

import os

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import (
    CheckpointIOError,
    CheckpointNotFoundError,
    InvalidArgumentError,
    TensorNotFoundError,
    UnsupportedError,
)
from fastckpt.graph import (
    MetaGraph,
    SavedModel,
    SaverSpec,
    VariableSpec,
    build_meta_graph,
    make_tensor_proto,
)
from fastckpt.protos import message_class
from unit.saved_model_helpers import ARRAYS, SIGNATURES, B, W, export, message


def files_in(directory):
    return sorted(
        os.path.relpath(os.path.join(folder, name), directory)
        for folder, _, names in os.walk(directory)
        for name in names
    )


VARIABLES = ["variables/variables.data-00000-of-00001", "variables/variables.index"]


@pytest.fixture
def checkpoint(tmp_path):
    return fastckpt.save(tmp_path / "ckpt" / "model.ckpt-1", ARRAYS)


def with_asset():
    graph = message()
    node = graph.graph_def.node.add(name="vocab", op="Const")
    node.attr["dtype"].type = 7
    node.attr["value"].tensor.CopyFrom(make_tensor_proto("vocab.txt"))
    return graph


def test_sources_of_graph_and_values(tmp_path, checkpoint):
    """Paths, messages and open objects give the same model."""
    meta = f"{checkpoint}.meta"
    MetaGraph(message()).save(meta)
    with fastckpt.open(checkpoint) as opened:
        cases = [
            (message(), ARRAYS), (MetaGraph(message()), checkpoint), (meta, None),
            (checkpoint, None), (message(), opened), (meta, ARRAYS),
        ]  # fmt: skip
        contents = set()
        for number, (graph, values) in enumerate(cases):
            directory = tmp_path / "out" / str(number)
            export(directory, graph, values)
            assert files_in(directory) == ["saved_model.pb", *VARIABLES]
            contents.add((directory / "saved_model.pb").read_bytes())
            with SavedModel.load(directory) as model:
                assert {k: v.tolist() for k, v in model.variables.items()} == {
                    "b": B.tolist(), "w": W.tolist()
                }  # fmt: skip
        assert len(contents) == 1
        assert opened["w"].tolist() == W.tolist()


def test_only_what_the_graph_restores(tmp_path, checkpoint):
    more = fastckpt.save(tmp_path / "more", {**ARRAYS, "w/Adam": W, "other": [b"x"]})
    directory = export(tmp_path / "out", message(), more)
    with SavedModel.load(directory) as model:
        assert list(model.variables) == ["b", "w"]


@pytest.mark.parametrize("saver", [SaverSpec(), SaverSpec(sharded=True, version=1), None])
def test_partitioned_variables(tmp_path, saver):
    with fastckpt.CheckpointWriter(tmp_path / "m") as writer:
        writer.add_slice("p", W[:1], W.shape, (0, 0))
        writer.add_slice("p", W[1:], W.shape, (1, 0))
    specs = [
        VariableSpec("p/part_0", 1, (1, 3), None, "p", (2, 3), (0, 0)),
        VariableSpec("p/part_1", 1, (1, 3), None, "p", (2, 3), (1, 0)),
    ]
    graph = build_meta_graph(specs, saver=saver)
    for number, values in enumerate((tmp_path / "m", {"p": W})):
        directory = export(tmp_path / "out" / str(number), graph, values, signatures=None)
        with SavedModel.load(directory) as model:
            np.testing.assert_array_equal(model.variables["p"], W)


def test_values_by_other_names(tmp_path):
    """Arrays by the name of the variable, Python numbers, and an object-based checkpoint."""
    specs = [VariableSpec("w", 1, (2, 3), "kernel"), VariableSpec("n", 3, (), "count")]
    graph = build_meta_graph(specs)
    directory = export(tmp_path / "out", graph, {"w": W.tolist(), "n": 7}, signatures=None)
    with SavedModel.load(directory) as model:
        assert model.variables["kernel"].tolist() == W.tolist()
        assert (model.variables["count"].tolist(), model.variables["count"].dtype) == (7, "int32")
    objects = message_class("TrackableObjectGraph")()
    objects.nodes.add().children.add(node_id=1, local_name="layer")
    objects.nodes.add().attributes.add(
        name="VARIABLE_VALUE", full_name="w", checkpoint_key="layer/.ATTRIBUTES/VARIABLE_VALUE"
    )
    prefix = fastckpt.save(
        tmp_path / "objects",
        {
            "layer/.ATTRIBUTES/VARIABLE_VALUE": W,
            "_CHECKPOINTABLE_OBJECT_GRAPH": objects.SerializeToString(),
        },
    )
    graph = build_meta_graph([VariableSpec("w", 1, (2, 3))])
    directory = export(tmp_path / "by_name", graph, prefix, signatures=None)
    with SavedModel.load(directory) as model:
        assert {k: v.tolist() for k, v in model.variables.items()} == {"w": W.tolist()}


def test_a_graph_without_variables(tmp_path):
    graph = message_class("GraphDef")()
    node = graph.node.add(name="c", op="Const")
    node.attr["dtype"].type = 1
    node.attr["value"].tensor.CopyFrom(make_tensor_proto(W))
    signatures = {"s": {"outputs": {"c": "c"}}}
    directory = export(tmp_path / "out", graph, None, signatures=signatures)
    assert files_in(directory) == ["saved_model.pb"]
    assert SavedModel.load(directory).signatures["s"].outputs["c"].shape == (2, 3)


def test_forms_of_signatures(tmp_path, checkpoint):
    given = message_class("SignatureDef")(method_name="m")
    first = export(tmp_path / "a")
    signatures = {
        "given": given,
        "again": SavedModel.load(first).signatures["serving_default"],
        "info": {"outputs": {"w": SavedModel.load(first).meta_graph()
                             .signatures["serving_default"].outputs["weights"]}},
        "method": {"outputs": {"w": MetaGraph(message()).graph.get_tensor_by_name("w:0")},
                   "method_name": "x"},
    }  # fmt: skip
    model = SavedModel.load(export(tmp_path / "b", first, None, signatures=signatures))
    found = model.signatures
    assert sorted(found) == ["again", "given", "info", "method", "serving_default"]
    assert found["given"].method_name == "m"
    assert found["again"]._replace(name="x") == found["serving_default"]._replace(name="x")
    assert found["info"].outputs["w"] == found["serving_default"].outputs["weights"]
    assert found["method"].outputs["w"].dtype == "float32"
    assert found["method"].method_name == "x"


def test_tags_and_text(tmp_path):
    directory = export(tmp_path / "out", tags="train,gpu", as_text=True)
    assert files_in(directory) == ["saved_model.pbtxt", *VARIABLES]
    model = SavedModel.load(directory)
    assert model.tags == [["gpu", "train"]]
    again = export(tmp_path / "again", directory, None, signatures=None)
    assert SavedModel.load(again).tags == model.tags
    assert SavedModel.load(again).signatures == model.signatures


def test_assets(tmp_path):
    files = [tmp_path / "one" / "vocab.txt", tmp_path / "two" / "vocab.txt"]
    for number, file in enumerate(files):
        file.parent.mkdir()
        file.write_text(f"words {number}")
    assets = {"vocab": files[0]}
    directory = export(tmp_path / "out", with_asset(), assets=assets)
    assert SavedModel.load(directory).assets == {"vocab:0": f"{directory}/assets/vocab.txt"}
    # Those of a model that is copied come along, and may be replaced or added to.
    copied = export(tmp_path / "copied", directory, None)
    assert (tmp_path / "copied" / "assets" / "vocab.txt").read_text() == "words 0"
    other = export(tmp_path / "other", SavedModel.load(copied), None, assets={
        "vocab:0": files[1], "save/Const": files[0],
    })  # fmt: skip
    assert (tmp_path / "other" / "assets" / "vocab.txt").read_text() == "words 1"
    assert (tmp_path / "other" / "assets" / "vocab.txt_1").read_text() == "words 0"
    assert sorted(SavedModel.load(other).assets) == ["save/Const:0", "vocab:0"]
    for assets, words in (
        ({"nope": files[0]}, "names no tensor"),
        ({"w": files[0]}, "must name a string tensor"),
        ({"vocab": 3}, "must be str, bytes or os.PathLike"),
        ([files[0]], "assets must be a dict"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            export(tmp_path / "none", with_asset(), assets=assets)
    with pytest.raises(CheckpointNotFoundError, match="no such file for an asset"):
        export(tmp_path / "none", with_asset(), assets={"vocab": tmp_path / "nothing"})
    with pytest.raises(InvalidArgumentError, match="needs the asset 'vocab"):
        export(tmp_path / "none", SavedModel.load(directory).meta_graph())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("filename", ["../evil", "/evil", "a/../../evil", ""])
def test_assets_stay_inside(tmp_path, filename):
    graph = with_asset()
    graph.asset_file_def.add(filename=filename).tensor_info.name = "vocab:0"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidArgumentError, match="outside of the directory"):
        export(tmp_path / "out" / "deep", graph, assets={"vocab:0": tmp_path / "file"})
    assert files_in(tmp_path) == ["file"]


def test_init_ops(tmp_path):
    graph = message()
    graph.collection_def["legacy_init_op"].node_list.value.append("w/Assign")
    kept = SavedModel.load(export(tmp_path / "kept", graph))
    assert kept.init_op_of() == "w/Assign"
    given = SavedModel.load(export(tmp_path / "given", graph, init_op="save/restore_all"))
    assert given.init_op_of() == "save/restore_all"
    assert list(given.signatures) == ["serving_default"]
    for wrong in ("nope", "w:0", 3):
        with pytest.raises(InvalidArgumentError, match="init_op"):
            export(tmp_path / "none", graph, init_op=wrong)


def test_a_directory_that_is_in_use(tmp_path):
    directory = export(tmp_path / "out")
    before = files_in(directory)
    with pytest.raises(AssertionError, match="already exists, and isn't empty"):
        export(directory, values={"w": W + 1, "b": B})
    (tmp_path / "out" / "fingerprint.pb").write_bytes(b"")
    export(directory, values={"w": W + 1, "b": B}, overwrite=True, as_text=True)
    with SavedModel.load(directory) as model:
        np.testing.assert_array_equal(model.variables["w"], W + 1)
    assert "saved_model.pbtxt" in files_in(directory)
    assert {"saved_model.pb", "fingerprint.pb"}.isdisjoint(files_in(directory))
    assert before[0] == "saved_model.pb"
    (tmp_path / "empty").mkdir()
    export(tmp_path / "empty")
    for path in (tmp_path / "empty" / "saved_model.pb", "", "a\0b"):
        with pytest.raises(InvalidArgumentError):
            export(path)
    with pytest.raises(UnsupportedError, match="is a URL"):
        export("gs://bucket/model")
    with pytest.raises(TypeError):
        export(3)


def test_the_graph_comes_last(tmp_path, monkeypatch):
    """What fails before leaves no SavedModel, and an old one as it was until the very end."""
    target = tmp_path / "out"
    (target / "assets").mkdir(parents=True)
    (target / "assets" / "vocab.txt").mkdir()
    (tmp_path / "vocab.txt").write_text("x")
    with pytest.raises((InvalidArgumentError, CheckpointIOError)):
        export(target, with_asset(), assets={"vocab": tmp_path / "vocab.txt"}, overwrite=True)
    assert files_in(target) == VARIABLES
    with pytest.raises(CheckpointNotFoundError):
        SavedModel.load(target)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"values": {"w": W}}, TensorNotFoundError, "restores 1 tensor that the checkpoint lacks"),
        ({"values": {"w": W.T, "b": B}}, InvalidArgumentError, r"'w' is \[2, 3\].*is \[3, 2\]"),
        (
            {"values": {"w": W.astype("f8"), "b": B}}, InvalidArgumentError,
            "'w' is float32, but its value 'w' is float64",
        ),
        ({"values": None}, InvalidArgumentError, "no checkpoint was given"),
        ({"values": 3}, TypeError, "checkpoint must be a path"),
        ({"values": "none"}, CheckpointNotFoundError, "none"),
        ({"meta_graph": 3}, TypeError, "must be a meta graph"),
        ({"meta_graph": "none"}, CheckpointNotFoundError, "does not exist"),
        ({"meta_graph": message().graph_def}, InvalidArgumentError, "neither a saver"),
        ({"signatures": {"s": {"outputs": {"y": "u:0"}}}}, InvalidArgumentError, "outputs 'y'"),
        ({"signatures": {"s": {"outputs": {"y": "w:1"}}}}, InvalidArgumentError, "no tensor"),
        ({"signatures": {"s": {"outputs": {"y": 3}}}}, TypeError, "must be the name of a tensor"),
        ({"signatures": {"s": {"outputs": ["w"]}}}, TypeError, "outputs must be a dict"),
        ({"signatures": {"s": {"output": {}}}}, TypeError, "signature 's' must be"),
        ({"signatures": ["s"]}, TypeError, "signatures must be a dict"),
        ({"signatures": {"__saved_model_init_op": {}}}, InvalidArgumentError, "is reserved"),
        ({"tags": [3]}, TypeError, "tags must be"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, monkeypatch, options, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=f"(?s){words}"):
        export("out", options.pop("meta_graph", None), **options)
    assert files_in(tmp_path) == []


def test_near_names_are_offered(tmp_path):
    with pytest.raises(InvalidArgumentError, match="did you mean 'w/read:0'"):
        export(tmp_path / "out", signatures={"s": {"outputs": {"y": "w/Read:0"}}})


def test_a_broken_saver(tmp_path):
    graph = message()
    graph.saver_def.restore_op_name = "nope"
    with pytest.raises(InvalidArgumentError, match="saver of the meta graph is broken"):
        export(tmp_path / "out", graph)


def test_signatures_take_the_place_of_objects(tmp_path):
    graph = message()
    graph.object_graph_def.nodes.add()
    kept = export(tmp_path / "kept", graph, signatures=None)
    assert SavedModel.load(kept).meta_graphs[0].HasField("object_graph_def")
    replaced = export(tmp_path / "replaced", graph, signatures=SIGNATURES)
    assert not SavedModel.load(replaced).meta_graphs[0].HasField("object_graph_def")
