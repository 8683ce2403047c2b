"""Arrays of other libraries, and stored tensors, as ndarrays; no library is imported for it.

Libraries are told by what their objects have: a dtype with ``as_datatype_enum`` is TensorFlow's,
one that prints as ``torch.…`` is torch's, and all else speaks a protocol.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import InvalidArgumentError, UnsupportedError

# An array, and its DataType number where the array's own dtype does not tell it.
Found = tuple[NDArray[Any], int | None]

# torch dtypes that NumPy lacks -> the torch integer of the same width to view them as.
_TORCH_BITS = {
    "bfloat16": "int16",
    "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8",
    "float8_e5m2": "uint8",
    "float8_e5m2fnuz": "uint8",
}

# DLPack's device types whose memory the CPU reads: kDLCPU, pinned and managed host memory.
_HOST_DEVICES = frozenset({1, 3, 11, 13})

_ARRAY_ATTRIBUTES = ("__array__", "__array_interface__", "__array_struct__")

# What libraries raise when an object has no array.
_REFUSALS = (TypeError, ValueError, BufferError, RuntimeError, AttributeError)


def read_array(value: object) -> Found:
    """Find the array in an object, sharing its memory where the library allows it.

    Raises
    ------
    InvalidArgumentError
        Not array-like; masked.
    UnsupportedError
        On another device, sparse, or of a dtype that has no array.
    """
    if isinstance(value, np.ndarray):
        return _from_ndarray(value), None
    if isinstance(value, np.generic):
        return np.asarray(value), None
    if isinstance(value, StoredTensor):
        array = value.view() if value.can_view else value.read()
        return array, dtypes.number_of(value.tf_dtype)
    dtype = getattr(value, "dtype", None)
    if isinstance(getattr(dtype, "as_datatype_enum", None), int):
        return _from_tensorflow(value)
    if str(dtype).startswith("torch."):
        return _from_torch(value)
    return _from_protocol(value), None


def _from_ndarray(value: NDArray[Any]) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidArgumentError(
            "masked arrays cannot be stored, a checkpoint has no masks; fill the masked elements "
            "first: array.filled(value)"
        )
    return np.asarray(value)


def _from_tensorflow(value: Any) -> Found:
    number = value.dtype.as_datatype_enum
    kind = type(value).__name__
    if number in {dtypes.VARIANT, dtypes.RESOURCE}:
        raise UnsupportedError(f"a {kind} of {dtypes.tf_name(number)} has no value to store")
    # Ragged and sparse tensors, and indexed slices, keep theirs apart.
    if hasattr(value, "values"):
        raise UnsupportedError(
            f"a {kind} is more than one tensor; store its components, each under its own name"
        )
    try:
        array = value.numpy()
    except (AttributeError, NotImplementedError) as error:
        raise UnsupportedError(
            f"this {kind} belongs to a graph and has no value of its own; evaluate it first, "
            "as with session.run()"
        ) from error
    # A scalar string is bytes, which NumPy's own dtype would cut at trailing NULs.
    return np.asarray(array, dtype=object if number == dtypes.STRING else None), number


def _from_torch(tensor: Any) -> Found:
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.device.type != "cpu":
        raise UnsupportedError(
            f"the tensor is on device {tensor.device}; move it to the CPU first: tensor.cpu()"
        )
    if str(tensor.layout) != "torch.strided":
        raise UnsupportedError(
            f"the tensor has layout {tensor.layout}; make it dense first: tensor.to_dense()"
        )
    try:
        # Conjugation and negation may be pending: flags that the memory does not show.
        plain = tensor.detach().resolve_conj().resolve_neg()
        if name not in _TORCH_BITS:
            return np.asarray(plain.numpy()), None
        bits = getattr(sys.modules["torch"], _TORCH_BITS[name])
        return plain.view(bits).numpy(), dtypes.number_of(name)
    except _REFUSALS as error:
        raise UnsupportedError(
            f"torch gives no array for dtype {name}: {error}; convert it first: "
            "tensor.to(torch.float32)"
        ) from error


def _from_protocol(value: object) -> NDArray[Any]:
    try:
        array = _ask(value)
    except _REFUSALS as error:
        if _device_of(value) not in _HOST_DEVICES:
            raise UnsupportedError(
                f"the {type(value).__name__} is on another device; move it to the CPU first"
            ) from error
        raise InvalidArgumentError(
            f"the {type(value).__name__} gives no array: {error}; make an ndarray of it first"
        ) from error
    if array is None:
        raise InvalidArgumentError(
            f"{type(value).__name__} is not array-like; pass an array, a number, str, bytes, "
            "or lists of them"
        )
    return array


def _ask(value: object) -> NDArray[Any] | None:
    """Ask for an array by each protocol; None where an object speaks none."""
    # A class has the methods of its instances, without being able to answer.
    if isinstance(value, type):
        return None
    if any(hasattr(value, attribute) for attribute in _ARRAY_ATTRIBUTES):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    try:
        memory = memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return None
    array: NDArray[Any] = np.asarray(memory)
    # Format "c", single characters, stands for bytes: NumPy would drop those that are zero.
    return array.view(np.uint8) if array.dtype == "S1" else array


def _device_of(value: object) -> int:
    if not hasattr(value, "__dlpack_device__"):
        return 1
    return int(value.__dlpack_device__()[0])
