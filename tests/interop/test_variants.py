"""Variants that real TensorFlow stores come as raw records with their type names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
import oracle

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from interop.partitions import save_rows

pytestmark = pytest.mark.tf


def tensor_list(*values: float) -> Any:
    return tf.raw_ops.TensorListFromTensor(
        tensor=tf.constant(values), element_shape=tf.constant([], tf.int32)
    )


def assert_records(prefix: Path | str, names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Check that the records are those that the oracle finds, and give them."""
    expected = oracle.read_bundle(prefix)
    with fastckpt.open(prefix) as ckpt:
        variants = [handle.name for handle in ckpt.tensors() if handle.tf_dtype == "variant"]
        assert sorted(variants) == sorted(names)
        found = {name: ckpt[name] for name in names}
        assert ckpt.verify().ok
    for name, array in found.items():
        assert array.shape == expected[name].shape
        assert [item.data for item in array.ravel()] == expected[name].ravel().tolist()
    return found


def test_tensor_lists(tmp_path: Path) -> None:
    stacked = tf.stack([tensor_list(1.0, 2.0), tensor_list(), tensor_list(3.5)])
    rows = [("one", "", tensor_list(1.5)), ("three", "", stacked), ("w", "", tf.constant([1, 2]))]
    save_rows(tmp_path / "lists", rows)
    found = assert_records(tmp_path / "lists", ["one", "three"])
    assert found["one"].shape == ()
    assert found["three"].shape == (3,)
    for item in [found["one"][()], *found["three"]]:
        assert item.type_name == "tensorflow::TensorList"
    # The one element is there as float_val.
    assert np.float32(1.5).tobytes() in found["one"][()].data


def test_slices_of_variants(tmp_path: Path) -> None:
    lists = [tensor_list(float(i)) for i in range(4)]
    rows = [
        ("v", "4 0,1", tf.stack(lists[:1])),
        ("v", "4 1,3", tf.stack(lists[1:])),
    ]
    save_rows(tmp_path / "slices", rows)
    with fastckpt.open(tmp_path / "slices") as ckpt:
        found = ckpt["v"]
        assert found.shape == (4,)
        for i, item in enumerate(found):
            assert item.type_name == "tensorflow::TensorList"
            assert np.float32(i).tobytes() in item.data or i == 0
        assert [item.data for item in ckpt.tensor("v")[2:]] == [item.data for item in found[2:]]


def test_dataset_iterator(tmp_path: Path) -> None:
    dataset = tf.data.Dataset.range(10).shuffle(4, seed=1).batch(2)
    iterator = iter(dataset)
    next(iterator)
    checkpoint = tf.train.Checkpoint(iterator=iterator, step=tf.Variable(3))
    prefix = checkpoint.write(str(tmp_path / "iterator"))
    name = "iterator/.ATTRIBUTES/ITERATOR_STATE"
    found = assert_records(prefix, [name])
    assert {item.type_name for item in found[name].ravel()} == {"tensorflow::Iterator"}
    with fastckpt.open(prefix) as ckpt:
        assert ckpt["step/.ATTRIBUTES/VARIABLE_VALUE"] == 3
        assert set(ckpt.load()) == set(ckpt)


def test_tensor_array(tmp_path: Path) -> None:
    @tf.function
    def flow() -> Any:
        return tf.TensorArray(tf.float32, size=2, element_shape=[]).unstack([7.0, 8.0]).flow

    save_rows(tmp_path / "array", [("array", "", flow())])
    found = assert_records(tmp_path / "array", ["array"])
    assert found["array"][()].type_name == "tensorflow::TensorList"
    assert np.array([7, 8], np.float32)[:1].tobytes() in found["array"][()].data


def test_optional(tmp_path: Path) -> None:
    value = tf.raw_ops.OptionalFromValue(components=[tf.constant(1)])
    save_rows(tmp_path / "optional", [("o", "", value)])
    found = assert_records(tmp_path / "optional", ["o"])
    assert found["o"][()].type_name == "tensorflow::data::Optional"
