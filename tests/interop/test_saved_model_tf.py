"""SavedModels: what stock TensorFlow finds in those of the corpus, and how it takes ours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.graph import SavedModel, export_meta_graph, freeze

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

tf1 = tf.compat.v1
pytestmark = pytest.mark.tf

# Of the corpus: too damaged for TensorFlow as well, and in chunks.
UNREADABLE = {"Probabilistic-Safety-Certified-D--GP_phi"}
X = np.array([[1.0, 2.0]], np.float32)


def models_of(corpus: Path) -> list[Path]:
    found = sorted({path.parent for path in corpus.glob("*/saved_model.pb*")})
    assert len(found) > 40
    return [path for path in found if path.name not in UNREADABLE]


@functools.cache
def parsed(path: Path) -> Any:
    return loader_impl.parse_saved_model(str(path))


def assert_signatures(found: dict[str, Any], meta_graph: Any, where: str) -> None:
    """Compare names, dtypes and shapes of dense tensors, and the parts of the others."""
    named = {name for name in meta_graph.signature_def if not name.startswith("__saved_model_")}
    assert set(found) == named, where
    for name, signature in found.items():
        proto = meta_graph.signature_def[name]
        assert signature.method_name == proto.method_name
        for ours, theirs in (
            (signature.inputs, proto.inputs),
            (signature.outputs, proto.outputs),
        ):
            assert list(ours) == sorted(theirs), where
            for key, info in theirs.items():
                assert ours[key].name == info.name
                dtype = ours[key].dtype
                assert (0 if dtype is None else int(dtype)) == info.dtype
                shape = tf.TensorShape(info.tensor_shape)
                assert ours[key].shape.dims == (None if shape.rank is None else shape.as_list())
                if info.WhichOneof("encoding") == "coo_sparse":
                    assert [part.name for part in ours[key].components] == [
                        info.coo_sparse.values_tensor_name,
                        info.coo_sparse.indices_tensor_name,
                        info.coo_sparse.dense_shape_tensor_name,
                    ]


def test_the_corpus_as_tensorflow_finds_it(corpus_dir: Path) -> None:
    with_assets = with_variables = 0
    for path in models_of(corpus_dir):
        expected = parsed(path)
        with SavedModel.load(path) as model:
            assert model.tags == [sorted(m.meta_info_def.tags) for m in expected.meta_graphs]
            for meta_graph in expected.meta_graphs:
                tags = list(meta_graph.meta_info_def.tags)
                assert_signatures(model.signatures_of(tags), meta_graph, path.name)
                assets = loader_impl.get_asset_tensors(str(path), meta_graph)
                assert model.assets_of(tags) == {
                    key: value.decode() for key, value in assets.items()
                }
                with_assets += bool(assets)
                assert model.meta_graph(tags).meta_graph_def.SerializeToString(
                    deterministic=True
                ) == meta_graph.SerializeToString(deterministic=True)
            prefix = str(path / "variables" / "variables")
            assert model.has_variables == Path(f"{prefix}.index").exists()
            if model.has_variables:
                with_variables += 1
                shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
                assert {t.name: list(t.shape) for t in model.variables.tensors()} == shapes
    assert with_assets > 5
    assert with_variables > 20


def test_unreadable_ones_are_errors_for_both(corpus_dir: Path) -> None:
    for name in UNREADABLE:
        for load in (SavedModel.load, parsed):
            with pytest.raises(OSError, match=r"saved_model\.pb"):
                load(corpus_dir / name)
    (chunked,) = corpus_dir.glob("*/saved_model.cpb")
    for load in (SavedModel.load, parsed):
        with pytest.raises(OSError, match="SavedModel"):
            load(chunked.parent)


def inputs_for(function: Any) -> dict[str, Any]:
    """Small inputs of the shapes that a signature wants."""
    rng = np.random.default_rng(0)
    found = {}
    for key, spec in function.structured_input_signature[1].items():
        known = [] if spec.shape.rank is None else spec.shape.as_list()
        shape = [2 if size is None else size for size in known]
        if spec.dtype == tf.string:
            found[key] = tf.constant(np.full(shape, b"a", object))
        else:
            found[key] = tf.cast(tf.constant(rng.integers(0, 3, shape)), spec.dtype)
    return found


# Models of the corpus that this TensorFlow loads and calls, of both versions.
CALLED = (
    "hub--tensorflow_hub-saved_model_v2_mini@27db71",
    "machinelearning-testdata--soft.ML.TensorFlow.TestModels-mnist_lr_model",
    "moonlight--data-glyphs_nn_model_20180808",
    "tensor--predictor-test_export_dir@27cc5f",
    "tensorflow--internal-SimpleWhileLoop",
    "tensorflow--tensorrt-tf_variablev2_saved_model",
    "tensorflow-onnx--tests-assign@66161e",
    "tfjs--test_objects-model_multi_output",
)


@pytest.mark.parametrize("name", CALLED)
def test_copies_of_the_corpus_compute_the_same(
    corpus_dir: Path, tmp_path: Path, name: str
) -> None:
    source = corpus_dir / name
    directory = SavedModel.export(tmp_path / "copy", source)
    first, second = tf.saved_model.load(str(source)), tf.saved_model.load(directory)
    called = 0
    for key, function in first.signatures.items():
        inputs = inputs_for(function)
        try:
            expected = function(**inputs)
        except tf.errors.InvalidArgumentError:
            continue
        found = second.signatures[key](**inputs)
        assert set(found) == set(expected)
        for output, value in expected.items():
            np.testing.assert_array_equal(found[output].numpy(), value.numpy())
        called += 1
    assert called


@pytest.fixture(scope="module", params=["ref", "resource"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A checkpoint of a TensorFlow 1 program with its .meta: a product and a lookup table."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "words.txt").write_text("zero\none\ntwo\n")
    resource = request.param == "resource"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 2], name="x")
        w = tf1.get_variable("w", [2, 3], use_resource=resource)
        part = tf1.fixed_size_partitioner(2)
        p = tf1.get_variable("p", [5, 3], use_resource=resource, partitioner=part)
        y = tf.identity(tf.matmul(x, w) + tf.reduce_sum(p.as_tensor(), 0), name="y")
        path = tf.constant(str(folder / "words.txt"), name="vocabulary")
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            1,
        )  # fmt: skip
        word = tf1.placeholder(tf.string, [None], name="word")
        tf.identity(table.lookup(word), name="number")
        tf1.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(y))
        tf.group(tf1.tables_initializer(), name="init_tables")
        session.run([tf1.global_variables_initializer(), "init_tables"])
        prefix = tf1.train.Saver().save(session, str(folder / "model.ckpt"), global_step=3)
        expected = session.run(y, {x: X})
    return prefix, expected, folder / "words.txt"


SIGNATURES = {
    "serving_default": {"inputs": {"x": "x:0"}, "outputs": {"y": "y:0"}},
    "lookup": {"inputs": {"word": "word"}, "outputs": {"number": "number"}},
}


def test_exported_models_load_and_compute(trained: Any, tmp_path: Path) -> None:
    prefix, expected, words = trained
    directory = SavedModel.export(
        tmp_path / "1", prefix, signatures=SIGNATURES, assets={"vocabulary": words},
        init_op="init_tables",
    )  # fmt: skip
    words.rename(words.with_suffix(".gone"))
    try:
        assert loader_impl.maybe_saved_model_directory(directory)
        check_with_a_session(directory, expected)
        check_with_functions(directory, expected)
    finally:
        words.with_suffix(".gone").rename(words)


def check_with_a_session(directory: str, expected: np.ndarray[Any, Any]) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], directory)
        signature = meta_graph.signature_def["serving_default"]
        found = session.run(signature.outputs["y"].name, {signature.inputs["x"].name: X})
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert signature.inputs["x"] == tf1.saved_model.utils.build_tensor_info(
            session.graph.get_tensor_by_name("x:0")
        )
        assert session.run("number:0", {"word:0": ["two", "one"]}).tolist() == [2, 1]
        with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
            tf1.saved_model.load(session, ["other"], directory)


def check_with_functions(directory: str, expected: np.ndarray[Any, Any]) -> None:
    loaded = tf.saved_model.load(directory)
    assert tf.saved_model.contains_saved_model(directory)
    found = loaded.signatures["serving_default"](tf.constant(X))
    np.testing.assert_allclose(found["y"].numpy(), expected, rtol=1e-6)
    number = loaded.signatures["lookup"](word=tf.constant(["zero", "two"]))["number"]
    assert number.numpy().tolist() == [0, 2]


def test_arrays_and_a_built_graph(tmp_path: Path) -> None:
    """No TensorFlow graph at all: the values of variables are what the model gives."""
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.int64(4)}
    message = export_meta_graph(source=arrays)
    directory = SavedModel.export(
        tmp_path / "model", message, arrays, tags=["serve", "cpu"],
        signatures={"values": {"inputs": {}, "outputs": {"w": "w/read", "n": "n/read"}}},
    )  # fmt: skip
    found = tf.saved_model.load(directory, tags=["cpu", "serve"]).signatures["values"]()
    np.testing.assert_array_equal(found["w"].numpy(), arrays["w"])
    assert found["n"].numpy() == 4


def test_frozen_graphs_and_text(trained: Any, tmp_path: Path) -> None:
    prefix, expected, _ = trained
    frozen = freeze(f"{prefix}.meta", prefix, ["y"])
    signatures = {"serving_default": SIGNATURES["serving_default"]}
    directory = SavedModel.export(tmp_path / "m", frozen, signatures=signatures, as_text=True)
    found = tf.saved_model.load(directory).signatures["serving_default"](x=tf.constant(X))
    np.testing.assert_allclose(found["y"].numpy(), expected, rtol=1e-6)


def test_a_model_of_tensorflow_2_gets_new_signatures(tmp_path: Path) -> None:
    class Scale(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable([2.0, 3.0])

        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return x * self.factor

    module = Scale()
    source = str(tmp_path / "source")
    tf.saved_model.save(module, source, signatures=module.__call__.get_concrete_function())
    model = SavedModel.load(source)
    assert model.fingerprint.saved_model_checksum
    default = model.signatures["serving_default"]
    assert default.inputs["x"].shape == (2,)
    directory = SavedModel.export(tmp_path / "copy", model, signatures={"again": default})
    x = tf.constant([1.0, 1.0])
    loaded = tf.saved_model.load(directory)
    for name in ("again", "serving_default"):
        assert loaded.signatures[name](x)["output_0"].numpy().tolist() == [2.0, 3.0]
    plain = SavedModel.export(tmp_path / "plain", model)
    assert tf.saved_model.load(plain)(x).numpy().tolist() == [2.0, 3.0]


def test_our_errors_are_tensorflows(tmp_path: Path) -> None:
    directory = SavedModel.export(tmp_path / "m", export_meta_graph(source={"w": 1.0}), {"w": 1.0})
    missing = str(tmp_path / "nowhere")
    for load in (SavedModel.load, tf.saved_model.load, loader_impl.parse_saved_model):
        with pytest.raises(OSError, match=r"SavedModel file does not exist at: .*nowhere/"):
            load(missing)
    with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
        tf.saved_model.load(directory, tags=["a"])
    with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
        SavedModel.load(directory).meta_graph("a")
    with pytest.raises(AssertionError, match="already exists, and isn't empty"):
        tf1.saved_model.Builder(directory)
    with pytest.raises(AssertionError, match="already exists, and isn't empty"):
        SavedModel.export(directory, export_meta_graph(source={"w": 1.0}), {"w": 1.0})
    assert fastckpt.load(directory)["w"].tolist() == 1.0
