"""TensorFlow's own objects as inputs of a save, and the rules that follow what it stores."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oracle
from fastckpt import dtypes
from fastckpt.checkpoint.inputs import Input, check_name, prepare
from fastckpt.errors import UnsupportedError

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

pytestmark = pytest.mark.tf

PLAIN = [n for n in dtypes.NUMBERS if n not in {dtypes.STRING, dtypes.RESOURCE, dtypes.VARIANT}]


def stored_by_tensorflow(folder: Path, name: Any, tensor: Any) -> bytes:
    """Save one tensor with the op and give the bytes of its shard."""
    prefix = str(folder / "tf")
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=[name], shape_and_slices=[""], tensors=[tensor])
    return Path(f"{prefix}.data-00000-of-00001").read_bytes()


def content(result: Input) -> bytes:
    assert result.array is not None
    return result.array.tobytes()


def restored_by_tensorflow(folder: Path, result: Input) -> Any:
    """Store what `prepare` gave with the oracle, and read it with TensorFlow."""
    raw = oracle.Raw(result.number, result.shape, content(result))
    oracle.write_bundle(folder / "ours", {"x": raw})
    return tf.raw_ops.RestoreV2(
        prefix=str(folder / "ours"), tensor_names=["x"], shape_and_slices=[""],
        dtypes=[result.number],
    )[0]  # fmt: skip


@pytest.mark.parametrize("number", PLAIN)
def test_eager_tensors_of_every_dtype(tmp_path: Path, number: int) -> None:
    bits = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtypes.numpy_dtype(number))
    name = dtypes.tf_name(number)
    if name.startswith("q"):
        tensor = tf.bitcast(tf.constant(bits), tf.as_dtype(name))
    else:
        tensor = tf.constant(bits)
    assert tensor.dtype.as_datatype_enum == number
    for value in (tensor, (tensor, name), (bits, tensor.dtype)):
        result = prepare("x", value)
        assert (result.number, result.shape) == (number, (2, 3))
        assert content(result) == stored_by_tensorflow(tmp_path, "x", tensor)
    back = restored_by_tensorflow(tmp_path, prepare("x", tensor))
    assert back.dtype == tensor.dtype
    assert back.numpy().tobytes() == bits.tobytes()


@pytest.mark.parametrize(
    "value", [b"a\0", [b"x\0", b""], [["é"], ["b"]], np.empty((0, 2), object)]
)
def test_strings(tmp_path: Path, value: Any) -> None:
    tensor = tf.constant(value, tf.string)
    for source in (tensor, value):
        result = prepare("s", source)
        assert (result.number, result.shape) == (dtypes.STRING, tuple(tensor.shape))
        assert result.elements is not None
        data, _ = oracle.tensor.encode_strings(result.elements)
        assert data == stored_by_tensorflow(tmp_path, "s", tensor)


def test_variables(tmp_path: Path) -> None:
    variable = tf.Variable([[1.0, 2.0]], dtype=tf.bfloat16)
    result = prepare("v", variable)
    assert (result.number, result.shape) == (14, (1, 2))
    assert content(result) == stored_by_tensorflow(tmp_path, "v", variable.read_value())
    assert prepare("v", tf.Variable(b"a\0")).elements == [b"a\0"]


def test_graph_variables_and_tensors_have_no_value() -> None:
    with tf.Graph().as_default():
        values = [
            tf.constant(1.0),
            tf.compat.v1.get_variable("a", [1]),
            tf.compat.v1.get_variable("b", [1], use_resource=False),
        ]
        for value in values:
            with pytest.raises(UnsupportedError, match=r"session\.run"):
                prepare("v", value)


def test_what_is_more_or_less_than_a_tensor() -> None:
    variant = tf.raw_ops.TensorListFromTensor(
        tensor=tf.constant([1.0]), element_shape=tf.constant([], tf.int32)
    )
    for value, words in (
        (tf.ragged.constant([[1], [2, 3]]), "RaggedTensor is more than one tensor"),
        (tf.sparse.from_dense([[1, 0]]), "SparseTensor is more than one tensor"),
        (tf.IndexedSlices(tf.ones([1, 2]), tf.constant([0])), "IndexedSlices is more than one"),
        (variant, "variant has no value"),
        (tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[]), "resource has no value"),
    ):
        with pytest.raises(UnsupportedError, match=words) as caught:
            prepare("x", value)
        assert caught.value.key == "x"


@pytest.mark.parametrize(
    "name",
    ["a\0b", "\0abc", "\0", "a/", "/", " ", "a\nb", "a\udcff\udcfe", "n" * 100_000],
    ids=lambda name: repr(name)[:12],
)
def test_tensorflow_stores_and_restores_the_names_that_are_allowed(
    tmp_path: Path, name: str
) -> None:
    key = check_name(name)
    stored_by_tensorflow(tmp_path, key, tf.constant([1.0, 2.0]))
    (back,) = tf.raw_ops.RestoreV2(
        prefix=str(tmp_path / "tf"), tensor_names=[key], shape_and_slices=[""],
        dtypes=[tf.float32],
    )  # fmt: skip
    assert back.numpy().tolist() == [1.0, 2.0]


def test_tensorflow_aborts_on_the_empty_name(tmp_path: Path) -> None:
    """Why `check_name` refuses it."""
    code = f"""
        import tensorflow as tf
        tf.raw_ops.SaveV2(prefix={str(tmp_path / "x")!r}, tensor_names=[""],
                          shape_and_slices=[""], tensors=[tf.constant(1.0)])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode < 0
    assert "kHeaderEntryKey" in done.stderr


@pytest.mark.parametrize("name", ["bool", "int4", "uint4", "int2", "uint2", "float4_e2m1fn"])
def test_tensorflow_stores_memory_as_it_is(tmp_path: Path, name: str) -> None:
    """Bytes that no value of the type has reach the file unchanged, as they do from `prepare`."""
    odd = np.array([0x00, 0xFE, 0x02, 0x13], np.uint8)
    values = odd.view(dtypes.numpy_dtype(dtypes.number_of(name)))
    assert stored_by_tensorflow(tmp_path, "x", tf.constant(values)) == odd.tobytes()
    assert content(prepare("x", values)) == odd.tobytes()
