"""Values of tensors in messages: every encoding, and messages that claim too much."""

from __future__ import annotations

import numpy as np
import pytest

from fastckpt import dtypes
from fastckpt.errors import (
    DataLossError,
    InvalidArgumentError,
    LimitExceededError,
    UnsupportedError,
)
from fastckpt.graph.tensor_values import make_ndarray, make_tensor_proto
from fastckpt.protos import message_class

STORED = [number for number in dtypes.NUMBERS if number not in (dtypes.RESOURCE, dtypes.VARIANT)]


def proto(dtype: int, shape: list[int], **fields):
    message = message_class("TensorProto")(dtype=dtype, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def values_of(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Values that are all different where the type has enough of them."""
    size = int(np.prod(shape))
    if number == dtypes.STRING:
        return np.array([b"s%d\0" % i for i in range(size)], object).reshape(shape)
    return (np.arange(size) - size // 2).reshape(shape).astype(dtypes.numpy_dtype(number))


@pytest.mark.parametrize("number", STORED, ids=dtypes.tf_name)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (2, 3)], ids=str)
def test_round_trip(number: int, shape: tuple[int, ...]) -> None:
    values = values_of(number, shape)
    array = make_ndarray(make_tensor_proto(values, number))
    assert array.dtype == values.dtype
    assert array.shape == shape
    assert array.tolist() == values.tolist()
    assert not array.flags.writeable


def test_content_is_viewed_and_a_copy_is_owned() -> None:
    message = make_tensor_proto(np.arange(6.0))
    view = make_ndarray(message)
    assert view.base is not None
    owned = make_ndarray(message, copy=True)
    owned += 1
    assert owned.flags.owndata
    assert view.tolist() == [0, 1, 2, 3, 4, 5]


def test_one_value_stands_for_a_shape_without_its_memory() -> None:
    array = make_ndarray(proto(1, [1 << 20, 1 << 20], float_val=[2.5]))
    assert array.strides == (0, 0)
    assert array[7, -1] == 2.5
    with pytest.raises(LimitExceededError):
        make_ndarray(proto(1, [1 << 20, 1 << 20], float_val=[2.5]), copy=True)
    assert make_ndarray(proto(1, [2], float_val=[2.5]), copy=True).tolist() == [2.5, 2.5]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (proto(1, [4], float_val=[1, 2]), [1, 2, 2, 2]),
        (proto(1, [2]), [0, 0]),
        (proto(7, [2]), [b"", b""]),
        (proto(7, [3], string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (proto(8, [2], scomplex_val=[1, 2, 3]), [1 + 2j, 1 + 2j]),
        (proto(6, [1], int_val=[300]), [44]),
        (proto(10, [3], tensor_content=b"\2\1\0"), [True, True, False]),
        (proto(29, [2], tensor_content=b"\x0f\xf1"), [-1, 1]),
        (proto(29, [2], int_val=[-1, 8]), [-1, -8]),
        (proto(26, [1], float8_val=b"\x40"), [1.0]),
        (proto(14, [1], half_val=[0x3F80]), [1.0]),
        (proto(1, [2], int_val=[5]), [0, 0]),
    ],
)
def test_what_messages_mean(message, expected) -> None:
    assert make_ndarray(message).tolist() == expected


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (proto(1, [3], tensor_content=b"1234"), DataLossError),
        (proto(1, [3], tensor_content=b"12345"), DataLossError),
        (proto(7, [3], tensor_content=b"123"), DataLossError),
        (proto(1, [1], float_val=[1, 2]), DataLossError),
        (proto(1, [-1], float_val=[1]), DataLossError),
        (proto(1, [2, -1]), DataLossError),
        (proto(0, [1]), TypeError),
        (proto(20, [1]), UnsupportedError),
        (proto(21, [1]), TypeError),
        (proto(101, [1], float_val=[1]), TypeError),
        (proto(999, [1]), TypeError),
        (proto(1, [1 << 40], float_val=[1, 2]), LimitExceededError),
        (proto(7, [1 << 40], string_val=[b"", b"a"]), LimitExceededError),
        (proto(1, [1 << 62, 1 << 62]), LimitExceededError),
        (proto(1, [0, 1 << 62, 1 << 62]), LimitExceededError),
        (proto(1, [1] * 65), LimitExceededError),
    ],
)
def test_messages_that_no_array_fits(message, error: type[Exception]) -> None:
    with pytest.raises(error):
        make_ndarray(message)


def test_unknown_rank_has_no_array() -> None:
    message = proto(1, [], float_val=[1])
    message.tensor_shape.unknown_rank = True
    with pytest.raises(DataLossError, match="unknown rank"):
        make_ndarray(message)


@pytest.mark.parametrize(
    ("values", "options", "error"),
    [
        (None, {}, ValueError),
        (["a", 1], {}, TypeError),
        ([1, 2], {"dtype": "string"}, TypeError),
        ("a", {"dtype": "float32"}, TypeError),
        ([1.5], {"dtype": np.int32}, TypeError),
        ([True, 1], {"dtype": "bool"}, TypeError),
        ([[1], [2, 3]], {}, InvalidArgumentError),
        ([1 << 70], {"dtype": "int64"}, InvalidArgumentError),
        ([1, 2, 3], {"shape": [2]}, ValueError),
        (1, {"shape": [2, 2], "verify_shape": True}, TypeError),
        ([1, 2, 3], {"shape": [2, 2], "allow_broadcast": True}, TypeError),
        (1, {"verify_shape": True, "allow_broadcast": True}, ValueError),
        (object(), {}, TypeError),
        (np.zeros(2, "datetime64[D]"), {}, TypeError),
        (1, {"dtype": "resource"}, TypeError),
    ],
)
def test_values_that_no_message_holds(values, options, error: type[Exception]) -> None:
    with pytest.raises(error):
        make_tensor_proto(values, **options)


def test_lists_that_contain_themselves_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InvalidArgumentError, match="deep"):
        make_tensor_proto(endless)


def test_two_gibibytes_are_refused_before_they_are_copied() -> None:
    huge = np.broadcast_to(np.float32(0), (1 << 29,))
    with pytest.raises(LimitExceededError, match="larger than 2GB"):
        make_tensor_proto(huge)
