"""What a save accepts as a tensor, turned into what the core writes.

The core takes an array in memory, or the list of a tensor's strings or variant records, and the
DataType number to record. Here every other thing a caller may pass becomes one of these, without
copying array memory; lists.py reads Python scalars and lists, array_likes.py other libraries'
arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt._core import is_slice_key
from fastckpt.checkpoint import lists
from fastckpt.checkpoint.array_likes import read_array
from fastckpt.checkpoint.assembly import VariantRecord
from fastckpt.dtypes import STRING, VARIANT
from fastckpt.errors import CheckpointError, InvalidArgumentError, UnsupportedError

__all__ = ["NATIVE_NUMBERS", "Input", "check_name", "prepare"]


class Input(NamedTuple):
    """One tensor, ready for the core. Of `array`, `elements` and `records` one is not None.

    Attributes
    ----------
    number : int
        DataType number of TensorFlow.
    shape : tuple of int
        Full shape.
    array : ndarray or None
        The memory of a tensor of plain values: any strides (negative and zero ones too), any
        alignment, either byte order, possibly read-only. Bool and ml_dtypes arrays come as
        unsigned integers of the same width, since their own dtypes cannot be relied on to export
        a buffer.
    elements : list of bytes or None
        The elements of a string tensor in row-major order.
    records : list of bytes or None
        The elements of a variant tensor in row-major order, each a serialised
        VariantTensorDataProto.
    """

    number: int
    shape: tuple[int, ...]
    array: NDArray[Any] | None
    elements: list[bytes] | None
    records: list[bytes] | None


_TF_NAMES = frozenset({dtypes.tf_name(number) for number in dtypes.NUMBERS} | {
    "float", "double", "half",
})  # fmt: skip

# dtypes whose arrays go to the core as they are; one lookup decides the common case.
NATIVE_NUMBERS: dict[np.dtype[Any], int] = {
    np.dtype(name): dtypes.number_of(name)
    for name in (
        "float32", "float64", "float16", "int8", "int16", "int32", "int64",
        "uint8", "uint16", "uint32", "uint64", "complex64", "complex128",
    )
}  # fmt: skip

# Bound once: with millions of small arrays, looking these up shows.
_NDARRAY = np.ndarray
_new_tuple = tuple.__new__

# Arrays of these go to the core as unsigned integers: bool, and what ml_dtypes provides.
_VIEWED = frozenset({10, 14} | set(range(24, 34)))

_PYTHON_TYPES = (bool, int, float, complex, str, bytes)

# Kinds of NumPy dtypes whose elements are str, bytes or other Python objects.
_OBJECT_KINDS = frozenset("SUTO")


def prepare(name: str, value: object, dtype: object = None) -> Input:
    """Turn what a caller wants to store as a tensor into what the core writes.

    Parameters
    ----------
    name : str
        Name of the tensor, for messages.
    value : array-like
        An ndarray of any layout and byte order; NumPy scalars; Python numbers, ``str``, ``bytes``
        and nested lists of them; handles of an open checkpoint (`StoredTensor`), which keep their
        stored type; TensorFlow's eager tensors and variables; torch tensors on the CPU; whatever
        has ``__array__``, exports a buffer or speaks DLPack. ``bytes`` is one string,
        ``bytearray`` an array of uint8. A tuple ``(value, dtype)`` is a value with its dtype. What
        was prepared before is given back.
    dtype : str or dtype-like, optional
        TensorFlow type to record, such as ``"qint8"``, which no NumPy dtype tells. The elements
        of an array must be stored the same way already (int8 for qint8): nothing is cast. Python
        numbers and lists are converted, and must fit.

    Returns
    -------
    Input

    Raises
    ------
    InvalidArgumentError
        Not array-like, ragged, masked, elements that are neither numbers nor text, values that
        do not fit `dtype`.
    UnsupportedError
        A dtype that no checkpoint holds; a tensor on another device.

    Notes
    -----
    Python numbers get the dtype that ``numpy.asarray`` gives them: a float is float64 and an int
    is int64, where TensorFlow would take float32 and int32. Text becomes UTF-8. NumPy's ``S`` and
    ``U`` arrays do not keep trailing NULs; lists and object arrays do. A tuple of two strings is
    two elements, unless the second is TensorFlow's name of a dtype; a list never is a pair.

    Arrays are not copied: their memory is what the core reads. Strings are collected in a list.
    """
    if type(value) is _NDARRAY and dtype is None:
        number = NATIVE_NUMBERS.get(value.dtype)
        if number is not None:
            # Calling Input would take as long as all the rest.
            return _new_tuple(Input, (number, value.shape, value, None, None))
    if type(value) is Input:
        return value
    try:
        return _prepare(value, dtype)
    except CheckpointError as error:
        # Errors of reading a stored tensor say where already.
        if error.key is not None or error.path is not None:
            raise
        raise type(error)(f"tensor {name!r}: {error}", key=name) from error.__cause__


def check_name(name: object) -> bytes:
    """Encode the name of a tensor as the key of its entry.

    Parameters
    ----------
    name : str
        Any text that is not empty: TensorFlow stores and restores names with NULs, slashes and
        line breaks. Bytes that are not UTF-8 are given as names of an open checkpoint show them
        (``surrogateescape``).

    Raises
    ------
    InvalidArgumentError
        Not a str, empty, not encodable, or the key of a slice of a partitioned tensor.
    """
    if not isinstance(name, str):
        hint = "; decode it" if isinstance(name, bytes) else ""
        raise InvalidArgumentError(
            f"the name of a tensor must be a str, not {type(name).__name__} ({name!r}){hint}"
        )
    if not name:
        raise InvalidArgumentError(
            "the name of a tensor must not be empty: the empty key holds the header of the index",
            key=name,
        )
    try:
        key = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"the name {name!r} is not valid Unicode: it holds a lone surrogate", key=name
        ) from error
    if key[0] == 0 and is_slice_key(key):
        raise InvalidArgumentError(
            f"the name {name!r} is the key of a slice of a partitioned tensor; "
            "store slices with add_slice()",
            key=name,
        )
    return key


def _prepare(value: object, dtype: object) -> Input:
    if dtype is None and isinstance(value, tuple) and _is_pair(value):
        value, dtype = value
    wanted = None if dtype is None else _wanted_number(dtype)
    if lists.is_literal(value):
        return _from_literal(value, wanted)
    array, number = read_array(value)
    return _from_array(array, number, wanted)


def _is_pair(value: tuple[Any, ...]) -> bool:
    """Whether a tuple is a value and its dtype."""
    if len(value) != 2:
        return False
    first, second = value
    if isinstance(second, str):
        # After anything but text, a second str can only be meant as a dtype, known or not.
        return second in _TF_NAMES or not isinstance(first, str | bytes)
    if isinstance(second, type):
        return issubclass(second, np.generic) or second in _PYTHON_TYPES
    return isinstance(second, np.dtype) or hasattr(second, "as_datatype_enum")


def _wanted_number(dtype: object) -> int:
    number = getattr(dtype, "as_datatype_enum", None)
    if not isinstance(number, int):
        # NumPy takes any class at all for a dtype of objects.
        if isinstance(dtype, type) and not (
            issubclass(dtype, np.generic) or dtype in _PYTHON_TYPES
        ):
            raise InvalidArgumentError(f"not a dtype: {dtype!r}")
        number = _quantised_number(dtype) or dtypes.number_of(dtype)
    dtypes.numpy_dtype(number)  # raises for what no array holds
    return number


def _quantised_number(dtype: object) -> int | None:
    """Read NumPy dtypes of one field, such as ``[("qint8", "i1")]``: TensorFlow's own form."""
    names = dtype.names if isinstance(dtype, np.dtype) else None
    if names is None or len(names) != 1 or names[0] not in _TF_NAMES:
        return None
    number = dtypes.number_of(names[0])
    return number if dtype == np.dtype([(names[0], dtypes.numpy_dtype(number))]) else None


def _from_literal(value: object, wanted: int | None) -> Input:
    if wanted in {STRING, VARIANT} or lists.holds_objects(value):
        return _from_objects(*lists.leaves(value), wanted)
    array = lists.as_numbers(value)
    if wanted is not None:
        array = lists.fit(array, wanted)
    return _from_array(array, None, wanted)


def _from_array(array: NDArray[Any], number: int | None, wanted: int | None) -> Input:
    """Describe an array that is of DataType `number`, or of what its own dtype says."""
    if array.dtype.kind in _OBJECT_KINDS:
        items = array.ravel().tolist()
        return _from_objects(items, array.shape, number if wanted is None else wanted)
    quantised = _quantised_number(array.dtype)
    if quantised is not None and array.dtype.names:
        array, number = array[array.dtype.names[0]], quantised
    if number is None:
        number = _number_of_array(array.dtype)
    if wanted is not None:
        _check_same_storage(number, wanted)
        number = wanted
    if number in _VIEWED:
        order = array.dtype.byteorder
        array = array.view(np.dtype(f"u{array.itemsize}").newbyteorder(order))
    return Input(number, array.shape, array, None, None)


def _from_objects(items: list[Any], shape: tuple[int, ...], wanted: int | None) -> Input:
    if wanted == VARIANT or (wanted is None and items and type(items[0]) is VariantRecord):
        return Input(VARIANT, shape, None, None, lists.as_records(items, shape))
    elements = lists.as_strings(items, shape)
    if wanted not in {None, STRING}:
        raise InvalidArgumentError(
            f"text cannot be stored as {dtypes.tf_name(wanted or 0)}; convert it to numbers first"
        )
    return Input(STRING, shape, None, elements, None)


def _number_of_array(dtype: np.dtype[Any]) -> int:
    try:
        return dtypes.number_of(dtype)
    except UnsupportedError:
        raise UnsupportedError(
            f"dtype {dtype} cannot be stored, no DataType of TensorFlow matches it; "
            f"{_next_step(dtype)}"
        ) from None


def _next_step(dtype: np.dtype[Any]) -> str:
    if dtype.names:
        return "store each field as a tensor of its own: array['field']"
    if dtype.kind in "mM":
        return 'store the numbers behind it: array.view("int64")'
    if dtype.kind == "V" and dtype.isbuiltin != 2:
        return 'store the bytes: array.view("uint8")'
    wide = "complex128" if dtype.kind == "c" else "float64"
    return f'convert it first: array.astype("{"float32" if dtype.isbuiltin == 2 else wide}")'


def _check_same_storage(number: int, wanted: int) -> None:
    if number == wanted or dtypes.numpy_dtype(number) == dtypes.numpy_dtype(wanted):
        return
    target = dtypes.numpy_dtype(wanted)
    step = "" if target.hasobject else f"; convert it first: array.astype({target.name!r})"
    raise InvalidArgumentError(
        f"an array of {dtypes.tf_name(number)} cannot be stored as {dtypes.tf_name(wanted)}, "
        f"which is {target.name} in memory; arrays are never cast{step}"
    )
