"""Values in messages: the bytes that TensorFlow writes, and what it reads."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from fastckpt import dtypes
from fastckpt.graph.tensor_values import make_ndarray, make_tensor_proto

# What tf.make_tensor_proto has no encoder for: single values of these.
UNENCODED = {26, 27, 28}
STORED = [number for number in dtypes.NUMBERS if number not in (dtypes.RESOURCE, dtypes.VARIANT)]


def values_of(number: int, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    if number == dtypes.STRING:
        return np.array([b"s%d\0" % i for i in range(size)], object).reshape(shape)
    numbers = np.arange(size) - size // 2
    if dtypes.tf_name(number).startswith("complex"):
        numbers = numbers * (1 - 2j)
    return numbers.reshape(shape).astype(dtypes.numpy_dtype(number))


@pytest.mark.parametrize("number", STORED, ids=dtypes.tf_name)
def test_bytes_of_arrays(number: int) -> None:
    dtype = tf.dtypes.as_dtype(number)
    for shape in [(), (1,), (1, 1), (0,), (3, 0), (2,), (2, 3), (300,)]:
        if number in UNENCODED and np.prod(shape) <= 1:
            continue
        values = values_of(number, shape)
        expected = tf.make_tensor_proto(values, dtype)
        ours = make_tensor_proto(values, dtype)
        assert ours.SerializeToString() == expected.SerializeToString(), shape
        back = make_ndarray(expected)
        theirs = tf.make_ndarray(expected)
        plain = theirs.view(back.dtype) if theirs.dtype.fields else theirs
        assert back.dtype == plain.dtype
        assert back.shape == plain.shape
        assert back.tobytes() == plain.tobytes() or back.tolist() == plain.tolist()


@pytest.mark.parametrize("number", sorted(UNENCODED), ids=dtypes.tf_name)
def test_kernels_read_what_the_function_of_tensorflow_cannot_encode(number: int) -> None:
    values = values_of(number, ())
    read = tf.io.parse_tensor(
        make_tensor_proto(values + 1).SerializeToString(), tf.dtypes.as_dtype(number)
    )
    assert read.numpy() == values + 1


LITERALS = [
    (1.5, {}),
    (3, {}),
    (True, {}),
    (1 + 2j, {}),
    ("text", {}),
    (b"bytes\0", {}),
    ([b"a\0", "b"], {}),
    ([["a"], ["b"]], {}),
    ([1, 2], {}),
    ((1, 2), {}),
    ([1 << 40, 1], {}),
    ([1.0, 2], {}),
    ([], {}),
    ([[]], {}),
    ([np.float64(2)], {}),
    (np.float64(2), {}),
    (np.array(["a", "b"]), {}),
    (bytearray(b"ab"), {}),
    (memoryview(b"ab"), {}),
    ([300], {"dtype": tf.uint8}),
    ([-1], {"dtype": tf.uint64}),
    ([(1 << 64) - 1], {"dtype": tf.uint64}),
    ([1, 2], {"dtype": tf.float16}),
    ([1.5, 2], {"dtype": tf.bfloat16}),
    ([1.5, 2], {"dtype": tf.dtypes.experimental.float8_e5m2}),
    ([1, -2], {"dtype": tf.dtypes.experimental.int4}),
    ([1, 2], {"dtype": tf.complex64}),
    ([True, False], {"dtype": tf.bool}),
    (np.ones(2), {"dtype": tf.int32}),
    ([(21,), (22,)], {"dtype": tf.qint32}),
    ((7,), {"dtype": tf.quint8}),
    ([10, tf.compat.v1.Dimension(20)], {"dtype": tf.int32}),
    ([10.0, np.array(30.0)], {}),
    ([10.0, np.array(30.0)], {"dtype": tf.float32}),
    (np.array(["a", "b"]), {"dtype": tf.string}),
    ([1, 2, 3], {"shape": [2, 3]}),
    ([[1, 2], [3, 4]], {"dtype": tf.float32, "shape": [4]}),
    (["a", "b"], {"shape": [3]}),
    ("x", {"shape": [2]}),
    (1, {"shape": [2, 2]}),
    ([1, 2], {"shape": [0]}),
    ([1], {"shape": [2, 2], "allow_broadcast": True}),
    (np.ones((2, 3), "c8")[:, ::-1], {}),
    (np.asfortranarray(np.arange(6).reshape(2, 3)), {}),
    (np.array([1, 2], ml_dtypes.bfloat16), {}),
    (np.array([1.0, np.nan, -np.inf], np.float32)[:1], {}),
]


@pytest.mark.parametrize(("values", "options"), LITERALS, ids=repr)
def test_bytes_of_literals(values, options) -> None:
    expected = tf.make_tensor_proto(values, **options)
    assert make_tensor_proto(values, **options).SerializeToString() == expected.SerializeToString()


FIELDS = [
    {"dtype": 1, "float_val": [1, 2]},
    {"dtype": 1},
    {"dtype": 7},
    {"dtype": 7, "string_val": [b"a"]},
    {"dtype": 8, "scomplex_val": [1, 2, 3]},
    {"dtype": 10, "bool_val": [True]},
    {"dtype": 3, "int_val": [2**31 - 1]},
    {"dtype": 6, "int_val": [300]},
    {"dtype": 11, "int_val": [3]},
    {"dtype": 14, "half_val": [0x3F80]},
    {"dtype": 23, "uint64_val": [2**64 - 1]},
    {"dtype": 26, "float8_val": b"a"},
    {"dtype": 29, "tensor_content": b"\x0f\xf1\x07"},
    {"dtype": 29, "int_val": [-1, 8]},
    {"dtype": 30, "int_val": [15]},
    {"dtype": 31, "int_val": [-1, 1]},
    {"dtype": 1, "int_val": [5]},
]


@pytest.mark.parametrize("fields", FIELDS, ids=repr)
def test_values_that_kernels_read(fields) -> None:
    message = tensor_pb2.TensorProto(**fields)
    message.tensor_shape.dim.add(size=3)
    expected = tf.io.parse_tensor(message.SerializeToString(), tf.dtypes.as_dtype(fields["dtype"]))
    assert make_ndarray(message).tolist() == expected.numpy().tolist()


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.array([1]), {"dtype": 0}),
        (3, {"dtype": tf.qint8}),
        ([3], {"dtype": tf.qint8}),
        ([tf.compat.v1.Dimension(1)], {}),
        (["a", 1], {}),
        ([1], {"dtype": tf.string}),
        ("a", {"dtype": tf.float32}),
        ([True, 1], {"dtype": tf.bool}),
        (np.array([1, 2]), {"shape": [1]}),
        (np.array([[1], [2]]), {"shape": [1, 2], "verify_shape": True}),
    ],
    ids=repr,
)
def test_what_is_refused(values, options) -> None:
    with pytest.raises((TypeError, ValueError)) as expected:
        tf.make_tensor_proto(values, **options)
    with pytest.raises(expected.type) as found:
        make_tensor_proto(values, **options)
    if "Failed to convert" in str(expected.value):
        assert "Failed to convert elements" in str(found.value)


def test_a_message_is_given_back() -> None:
    ours = make_tensor_proto([1.0, 2.0])
    assert make_tensor_proto(ours) is ours
    theirs = tf.make_tensor_proto([1.0, 2.0])
    assert make_tensor_proto(theirs) == ours
