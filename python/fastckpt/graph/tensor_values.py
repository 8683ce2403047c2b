"""Arrays as TensorProto messages, and back.

Which field holds the values follows ``tensor_util.py`` of TensorFlow 2.21, so that a message made
here has the bytes that TensorFlow would give it. What a message means where fields are short or
missing follows its kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.dtypes import STRING
from fastckpt.errors import DataLossError, InvalidArgumentError, LimitExceededError
from fastckpt.graph.value_literals import as_values, encode_strings
from fastckpt.graph.value_types import (
    as_number,
    field_of,
    has_content,
    is_sub_byte,
    value_dtype,
)
from fastckpt.protos import message_class

__all__ = ["make_ndarray", "make_tensor_proto", "put_array"]

Array = NDArray[Any]

# protobuf refuses messages of 2 GiB; TensorFlow refuses tensors of that size before.
_MAX_BYTES = (1 << 31) - 1

# What a message may make an array take beyond the bytes it holds: 16 MiB, and four times those.
_FREE_BYTES = 16 << 20
_FACTOR = 4

# NumPy's own bound on the number of dimensions.
_MAX_DIMENSIONS = 64


def make_tensor_proto(
    values: Any,
    dtype: object = None,
    shape: Iterable[int] | None = None,
    verify_shape: bool = False,  # noqa: FBT001, FBT002 - TensorFlow's signature
    allow_broadcast: bool = False,  # noqa: FBT001, FBT002
) -> Any:
    """Put values into a TensorProto, in TensorFlow's encoding.

    Parameters
    ----------
    values : array-like
        An array; Python numbers, ``str``, ``bytes`` and nested lists of them. Without `dtype`
        Python floats become float32, and ints int32 where they fit. A TensorProto is given back.
    dtype : str, int or dtype-like, optional
        TensorFlow type; arrays are cast to it.
    shape : iterable of int, optional
        Shape to record. Where it has more elements than `values`, the last value stands for the
        rest of them.
    verify_shape : bool
        Refuse values whose shape is not `shape`.
    allow_broadcast : bool
        Refuse values that are neither one element nor as many as `shape` has.

    Returns
    -------
    TensorProto
        Of the private pool. Two elements or more of most types lie in ``tensor_content``; single
        elements, and bool, complex, uint16, sub-byte and string tensors in the typed fields.

    Raises
    ------
    InvalidArgumentError
        Values that are ragged or ``None``, or too many for `shape`.
    WrongTypeError
        Values of another kind than `dtype`; a TypeError too.
    UnsupportedTypeError
        A resource or variant, which no array holds; a TypeError too.
    LimitExceededError
        The values take 2 GiB or more, which no message holds.

    Notes
    -----
    Copies the values. Source of the rule: ``make_tensor_proto`` of TensorFlow 2.21, checked
    byte by byte; one element of float8 types ending in ``fnuz``, which that cannot encode, is put
    where its kernels look for it.

    Examples
    --------
    >>> make_tensor_proto([1.0, 2.0]).tensor_content.hex()
    '0000803f00000040'
    """
    if allow_broadcast and verify_shape:
        raise InvalidArgumentError("allow_broadcast and verify_shape exclude each other")
    if getattr(getattr(values, "DESCRIPTOR", None), "name", None) == "TensorProto":
        return _adopt(values)
    wanted_shape = None if shape is None else tuple(int(size) for size in shape)
    number, array, strings = as_values(values, _number(dtype), wanted_shape)
    if wanted_shape is None:
        wanted_shape = array.shape
    else:
        _check_shape(array, wanted_shape, verify=verify_shape, broadcast=allow_broadcast)
    proto = message_class("TensorProto")()
    if number == STRING:
        items = array.ravel().tolist() if strings is None else strings
        _put_head(proto, number, wanted_shape)
        _put_strings(proto, items)
    else:
        put_array(proto, number, array, wanted_shape)
    return proto


def put_array(proto: Any, number: int, array: Array, shape: tuple[int, ...] | None = None) -> None:
    """Fill an empty TensorProto with an array whose dtype is that of the type `number`.

    See :func:`make_tensor_proto`; `shape` is that of the array unless given.
    """
    shape = array.shape if shape is None else shape
    _put_head(proto, number, shape)
    if number == STRING:
        _put_strings(proto, array.ravel().tolist())
    else:
        _put_numbers(proto, number, array, is_whole=array.size == math.prod(shape))


def make_ndarray(tensor: Any, *, copy: bool = False) -> Array:
    """Give the array that a TensorProto describes.

    Parameters
    ----------
    tensor : TensorProto
        Of the private pool or TensorFlow's own.
    copy : bool
        Give an array that is owned, writable and contiguous.

    Returns
    -------
    ndarray
        Read-only. Strings are an object array of ``bytes``, quantised types plain integers. One
        value that stands for a whole shape is a broadcast view: it takes the memory of one
        element, whatever its shape.

    Raises
    ------
    DataLossError
        The values do not fit the shape.
    UnsupportedTypeError
        A type that has no array, such as resource; a TypeError too.
    LimitExceededError
        The shape takes more than 16 MiB and four times the bytes of the message.

    Notes
    -----
    Missing values are zero or empty; a list that is shorter than the shape is continued with its
    last value, as TensorFlow's kernels do.

    Examples
    --------
    >>> make_ndarray(make_tensor_proto(7, shape=[2, 2]))
    array([[7, 7],
           [7, 7]], dtype=int32)
    """
    number = tensor.dtype
    dtype = value_dtype(number)
    shape = _shape_of(tensor)
    content = tensor.tensor_content
    if content:
        array = _from_content(content, number, dtype, shape)
    else:
        array = _extended(_from_field(tensor, number, dtype), dtype, shape)
    if copy:
        _check_bounded(math.prod(shape) * dtype.itemsize, array.nbytes if content else 0, shape)
        return np.array(array, order="C")
    array.flags.writeable = False
    return array


def _number(dtype: object) -> int | None:
    if dtype is None:
        return None
    if dtype == 0:
        raise WrongTypeError("dtype is DT_INVALID; leave it out, or name a type")
    return as_number(dtype)


def _adopt(proto: Any) -> Any:
    cls = message_class("TensorProto")
    return proto if isinstance(proto, cls) else cls.FromString(proto.SerializeToString())


def _check_shape(array: Array, shape: tuple[int, ...], *, verify: bool, broadcast: bool) -> None:
    size = math.prod(shape)
    is_single = array.shape in ((), (1,))
    if (verify and array.shape != shape) or (broadcast and not is_single and array.size != size):
        raise WrongTypeError(f"expected values of shape {shape}, got {array.shape}")
    if array.size > size and not broadcast:
        raise InvalidArgumentError(
            f"too many values: shape {shape} takes at most {size}, got {array.size}"
        )


# --- into a message ---------------------------------------------------------------------------


def _put_head(proto: Any, number: int, shape: tuple[int, ...]) -> None:
    proto.dtype = number
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)


def _put_strings(proto: Any, items: list[Any]) -> None:
    strings = encode_strings(items)
    _check_size(sum(map(len, strings)))
    proto.string_val.extend(strings)


def _put_numbers(proto: Any, number: int, array: Array, *, is_whole: bool) -> None:
    _check_size(array.nbytes)
    if is_whole and array.size > 1 and has_content(number):
        proto.tensor_content = np.ascontiguousarray(_little(array)).tobytes()
        return
    field = field_of(number)
    values = np.ascontiguousarray(array).reshape(-1)
    if field == "float8_val":
        proto.float8_val = values.tobytes()
    else:
        getattr(proto, field).extend(_plain(values, field, number).tolist())


def _plain(values: Array, field: str, number: int) -> Array:
    """Values as the field spells them: bits of halves, real beside imaginary parts, integers."""
    if field == "half_val":
        return values.view(np.uint16)
    if values.dtype.kind == "c":
        return values.view(values.real.dtype)
    return values.astype(np.int8) if is_sub_byte(number) else values


def _little(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _check_size(nbytes: int) -> None:
    if nbytes > _MAX_BYTES:
        raise LimitExceededError(
            f"cannot create a tensor proto whose content is larger than 2GB: {nbytes} bytes do "
            "not fit a message of 2 GiB; keep the tensor in a checkpoint"
        )


# --- out of a message -------------------------------------------------------------------------


def _shape_of(tensor: Any) -> tuple[int, ...]:
    if tensor.tensor_shape.unknown_rank:
        raise DataLossError("a tensor value has a shape of unknown rank")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if len(shape) > _MAX_DIMENSIONS:
        raise LimitExceededError(
            f"a tensor value has {len(shape)} dimensions; arrays have at most {_MAX_DIMENSIONS}"
        )
    if min(shape, default=0) < 0:
        raise DataLossError(f"a tensor value has the shape {list(shape)}; no size is negative")
    # Zeros aside: NumPy checks the product of the other sizes.
    if math.prod(filter(None, shape)) > np.iinfo(np.int64).max // 16:
        raise LimitExceededError(f"a tensor value claims the shape {list(shape)}")
    return shape


def _from_content(
    content: bytes, number: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    if dtype.hasobject or len(content) != math.prod(shape) * dtype.itemsize:
        raise DataLossError(
            f"a tensor value of {dtypes.tf_name(number)} and shape {list(shape)} holds "
            f"{len(content)} bytes of content"
        )
    return _normalised(np.frombuffer(content, np.uint8), number, dtype).reshape(shape)


def _normalised(raw: NDArray[np.uint8], number: int, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "b":
        return raw.astype(np.bool_)
    if is_sub_byte(number):
        return raw.view(np.int8).astype(dtype)
    array: Array = raw.view(dtype.newbyteorder("<"))
    return array.astype(dtype, copy=False)


def _from_field(tensor: Any, number: int, dtype: np.dtype[Any]) -> Array:
    field = field_of(number)
    stored = getattr(tensor, field)
    if field == "string_val":
        values = np.empty(len(stored), object)
        values[:] = list(stored)
        return values
    if field == "float8_val":
        return np.frombuffer(stored, np.uint8).view(dtype)
    if field == "half_val":
        return np.array(stored, np.int32).astype(np.uint16).view(dtype)
    if dtype.kind == "c":
        parts = np.array(stored, f"f{dtype.itemsize // 2}")
        return parts[: parts.size // 2 * 2].view(dtype)
    wide: Array = np.array(stored, _WIDE.get(field, dtype))
    return wide.astype(dtype, copy=False)


# Of the fields that hold narrower types too: what their numbers are read as, before they wrap.
_WIDE = {
    "int_val": np.int32,
    "int64_val": np.int64,
    "uint32_val": np.uint32,
    "uint64_val": np.uint64,
    "bool_val": np.bool_,
}


def _extended(values: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    size = math.prod(shape)
    if values.size > size:
        raise DataLossError(
            f"a tensor value of shape {list(shape)} holds {values.size} values, {size} at most"
        )
    if values.size <= 1:
        fill = values if values.size else np.full(1, b"" if dtype.hasobject else 0, dtype)
        return (
            fill.reshape(shape) if size == 1 else np.broadcast_to(fill.reshape(()), shape).view()
        )
    if values.size < size:
        _check_bounded(size * dtype.itemsize, values.nbytes, shape)
        longer = np.empty(size, dtype)
        longer[: values.size] = values
        longer[values.size :] = values[-1]
        values = longer
    return values.reshape(shape)


def _check_bounded(wanted: int, present: int, shape: tuple[int, ...]) -> None:
    if wanted > _FREE_BYTES + _FACTOR * present:
        raise LimitExceededError(
            f"a tensor value of {present} bytes claims the shape {list(shape)} of {wanted} bytes"
        )
