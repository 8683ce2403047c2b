"""What rename, drop, average and convert write, as real TensorFlow reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from fastckpt.tools.convert import convert
from fastckpt.tools.surgery import average, drop, keep, rename
from interop import partitions, zoo
from interop.stock import Row, assert_restores

v1 = tf.compat.v1


def read(prefix: Path | str) -> dict[str, Any]:
    """All tensors of a checkpoint, by TensorFlow's reader."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every dtype, strings and awkward names, written by TensorFlow in two shards."""
    prefix = tmp_path_factory.mktemp("zoo") / "m"
    zoo.write(prefix, {**zoo.dtype_tensors(), **zoo.string_tensors(), **zoo.named_tensors()}, 2)
    return prefix


def as_rows(prefix: Path | str) -> dict[str, Row]:
    with fastckpt.open(prefix) as checkpoint:
        return {x.name: Row(x.name, x.read(), x.tf_dtype) for x in checkpoint.tensors()}


def test_all_dtypes_under_other_names(everything: Path, tmp_path: Path) -> None:
    done = rename(everything, tmp_path / "out", "=scope/", sync=False)
    assert len(done.renamed) == done.tensors
    rows = {f"scope/{name}": row for name, row in as_rows(everything).items()}
    assert_restores(tmp_path / "out", rows)


def test_what_is_kept(everything: Path, tmp_path: Path) -> None:
    drop(everything, tmp_path / "out", ["string", "q*"], sync=False)
    rows = {
        name: row
        for name, row in as_rows(everything).items()
        if not name.startswith(("string/", "q"))
    }
    assert_restores(tmp_path / "out", rows)
    keep(tmp_path / "out", tmp_path / "out", "bfloat16", sync=False)
    assert_restores(tmp_path / "out", {n: r for n, r in rows.items() if n.startswith("bfloat16/")})


def test_slices_that_tensorflow_cannot_join_are_still_found_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(10, 4)).astype(np.float16)
    specs = ["10 4 0,3:-", "10 4 3,7:0,4"]
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "in"),
        tensor_names=["p", "p"],
        shape_and_slices=specs,
        tensors=[values[:3], values[3:]],
    )
    rename(tmp_path / "in", tmp_path / "out", "p=q", sync=False)
    average([tmp_path / "out"] * 2, tmp_path / "mean", sync=False)
    for prefix in ("out", "mean"):
        parts = tf.raw_ops.RestoreV2(
            prefix=str(tmp_path / prefix),
            tensor_names=["q", "q"],
            shape_and_slices=specs,
            dtypes=[tf.float16] * 2,
        )
        partitions.assert_same(np.concatenate([part.numpy() for part in parts]), values)


def test_a_saver_restores_by_the_new_names(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("old"):
            v1.get_variable("w", initializer=np.float32([1, 2]), use_resource=True)
        v1.get_variable("step", initializer=np.int64(3), use_resource=True)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "old"), write_meta_graph=False)
    rename(tmp_path / "old", tmp_path / "new", "old/=fresh/deep/", sync=False)
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("fresh/deep"):
            weights = v1.get_variable("w", shape=[2], use_resource=True)
        step = v1.get_variable("step", shape=[], dtype=tf.int64, use_resource=True)
        v1.train.Saver().restore(session, str(tmp_path / "new"))
        assert session.run([weights, step])[0].tolist() == [1, 2]
        assert session.run(step) == 3


def test_the_average_with_its_meta_graph(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        weights = v1.get_variable("w", shape=[3], use_resource=True)
        step = v1.get_variable("step", initializer=np.int64(0), use_resource=True)
        saver = v1.train.Saver()
        prefixes = []
        for i in range(3):
            session.run([weights.assign([i, 2.0 * i, -i]), step.assign(i)])
            prefixes.append(saver.save(session, str(tmp_path / "m"), global_step=i))
    done = average(prefixes, tmp_path / "average", sync=False)
    assert (done.averaged, done.taken) == (("w",), ("step",))
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.import_meta_graph(str(tmp_path / "average.meta"))
        saver.restore(session, str(tmp_path / "average"))
        found = session.run({x.op.name: x for x in v1.global_variables()})
    assert found["w"].tolist() == [1.0, 2.0, -1.0]
    assert found["step"] == 2


# --- tf.train.Checkpoint -------------------------------------------------------------------------


class Model(tf.Module):
    """Two variables, and an optimizer with slots for them."""

    def __init__(self, *, is_new: bool = False) -> None:
        super().__init__()
        self.w = tf.Variable([0.0, 0.0] if is_new else [1.0, 2.0])
        self.b = tf.Variable(0.0 if is_new else 5.0)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> str:
    prefix: str = tf.train.Checkpoint(model=Model()).save(
        str(tmp_path_factory.mktemp("objects") / "ck")
    )
    return prefix


W = "model/w/.ATTRIBUTES/VARIABLE_VALUE"


def test_an_object_graph_that_follows_is_restored(objects: str, tmp_path: Path) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="keep that ending"):
        rename(objects, tmp_path / "out", {W: "weights"}, object_graph="update")
    rename(objects, tmp_path / "out", "model/=a/new/", object_graph="update", sync=False)
    assert W.replace("model/", "a/new/") in read(tmp_path / "out")
    model = Model(is_new=True)
    status = tf.train.Checkpoint(model=model).read(str(tmp_path / "out"))
    status.assert_existing_objects_matched()
    assert (model.w.numpy().tolist(), model.b.numpy()) == ([1, 2], 5)


def test_an_object_graph_that_is_kept_is_not(objects: str, tmp_path: Path) -> None:
    rename(objects, tmp_path / "out", {W: "weights"}, object_graph="keep", sync=False)
    with pytest.raises(tf.errors.OpError, match=r"model/w/\.ATTRIBUTES"):
        tf.train.Checkpoint(model=Model(is_new=True)).read(str(tmp_path / "out"))


def test_a_dropped_attribute_leaves_its_object_alone(objects: str, tmp_path: Path) -> None:
    drop(objects, tmp_path / "out", W, object_graph="update", sync=False)
    model = Model(is_new=True)
    tf.train.Checkpoint(model=model).read(str(tmp_path / "out")).expect_partial()
    assert (model.w.numpy().tolist(), model.b.numpy()) == ([0, 0], 5)


def test_without_the_graph_names_remain(objects: str, tmp_path: Path) -> None:
    rename(objects, tmp_path / "out", {W: "weights"}, object_graph="drop", sync=False)
    assert read(tmp_path / "out")["weights"].tolist() == [1, 2]


# --- conversions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.npz", "m.safetensors"])
def test_back_from_a_file(everything: Path, tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"as_bytes": True} if name == "m.npz" else {}
    done = convert(everything, tmp_path / name, skip_unsupported=True, sync=False, **options)
    convert(tmp_path / name, tmp_path / "back", sync=False)
    skipped = {item.name for item in done.skipped}
    rows = {name: row for name, row in as_rows(everything).items() if name not in skipped}
    assert len(rows) == done.tensors > 100
    assert_restores(tmp_path / "back", rows)


def test_an_object_graph_comes_back_from_safetensors(objects: str, tmp_path: Path) -> None:
    convert(objects, tmp_path / "m.safetensors", sync=False)
    convert(tmp_path / "m.safetensors", tmp_path / "back", sync=False)
    model = Model(is_new=True)
    tf.train.Checkpoint(model=model).read(str(tmp_path / "back")).assert_existing_objects_matched()
    assert model.w.numpy().tolist() == [1, 2]


def test_a_v1_file_becomes_one_of_v2(tmp_path: Path) -> None:
    tf.raw_ops.Save(filename=str(tmp_path / "old"), tensor_names=["w"], data=[np.float32([1.5])])
    convert(tmp_path / "old", tmp_path / "new", sync=False)
    assert read(tmp_path / "new")["w"].tolist() == [1.5]
