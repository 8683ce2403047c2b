"""What a caller may pass as the values of a tensor, as an array and its DataType number."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.dtypes import STRING
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.graph.value_types import UnsupportedTypeError, value_dtype

__all__ = ["as_values", "encode_strings"]

# Nested deeper, a list most likely contains itself.
_MAX_DEPTH = 64

# What Python values a type takes, by the kind of its array; other kinds are numbers.
_KINDS: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (numbers.Integral, np.integer),
    "u": (numbers.Integral, np.integer),
    "f": (numbers.Real, np.integer, np.floating),
    "c": (numbers.Complex, np.number),
    "O": (str, bytes),
}
_REAL = _KINDS["f"]

# qint8, quint8, qint32, qint16, quint16.
_QUANTISED = frozenset({11, 12, 13, 15, 16})


def as_values(
    values: Any, number: int | None, shape: tuple[int, ...] | None
) -> tuple[int, NDArray[Any], list[Any] | None]:
    """Make an array of `values`; of nested lists of strings their elements too.

    Returns
    -------
    number : int
        DataType number: the one given, or the one that the values have.
    array : ndarray
        For strings only its shape counts.
    strings : list or None
        The elements as given: NumPy would cut trailing NULs off.
    """
    if _is_array_like(values):
        array = np.asarray(values)
        if number is not None:
            array = _cast(array, number)
        return _number_of(array) if number is None else number, array, None
    if values is None:
        raise InvalidArgumentError("None is no tensor; pass numbers or strings")
    if shape is not None and 0 in shape:
        array = np.empty(shape, np.float32 if number is None else value_dtype(number))
        return _number_of(array) if number is None else number, array, []
    if number in _QUANTISED:
        return number, _quantised(values, number), None
    leaves = _flattened(values)
    array = _from_literal(values, leaves, number)
    found = _number_of(array) if number is None else number
    return found, array, leaves if found == STRING else None


def encode_strings(items: list[Any]) -> list[bytes]:
    """Encode text as UTF-8; WrongTypeError for anything that is neither text nor bytes."""
    for item in items:
        if not isinstance(item, str | bytes):
            raise WrongTypeError(
                f"Failed to convert elements to a tensor: {item!r} is {type(item).__name__}; pass "
                "numbers only, or str and bytes only"
            )
    return [item.encode() if isinstance(item, str) else bytes(item) for item in items]


def _is_array_like(values: object) -> bool:
    if isinstance(values, np.ndarray | np.generic) or callable(getattr(values, "__array__", None)):
        return True
    try:
        memoryview(values)  # type: ignore[arg-type]
    except TypeError:
        return isinstance(getattr(values, "__array_interface__", None), dict)
    return not isinstance(values, bytes)


def _cast(array: NDArray[Any], number: int) -> NDArray[Any]:
    # Values that a type cannot hold wrap or overflow silently, as TensorFlow has it.
    with np.errstate(all="ignore"):
        try:
            return array.astype(value_dtype(number))
        except (TypeError, ValueError) as error:
            raise _mismatch(number, array) from error


def _from_literal(values: Any, leaves: list[Any], number: int | None) -> NDArray[Any]:
    if number is not None:
        _check_kind(leaves, number)
        with np.errstate(all="ignore"):
            return _array(values, value_dtype(number))
    is_text = any(isinstance(leaf, str | bytes) for leaf in leaves)
    array = _array(values, np.dtype(object) if is_text else None)
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    if array.dtype == np.int64:
        narrow = array.astype(np.int32)
        return narrow if np.array_equal(narrow, array) else array
    return array


def _array(values: Any, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    try:
        return np.array(values, dtype)
    except ValueError as error:
        raise InvalidArgumentError(f"the values are not rectangular: {error}") from error
    except OverflowError:
        return _wrapped(values, dtype)


def _wrapped(values: Any, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Integers beyond their type, as TensorFlow takes them: modulo its range."""
    try:
        return np.array(values, np.int64).astype(dtype)
    except OverflowError as error:
        raise InvalidArgumentError("the integers take more than 64 bits") from error


def _quantised(values: Any, number: int) -> NDArray[Any]:
    """Quantised values are tuples of one number, so that no plain number is taken for one."""
    dtype = value_dtype(number)
    for leaf in _flattened(values, list):
        if not isinstance(leaf, tuple):
            raise _mismatch(number, leaf)
        _check_kind(list(leaf), number)
    try:
        return np.array(values, [("value", dtype)]).view(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgumentError(f"the values are no quantised tensor: {error}") from error


def _check_kind(leaves: list[Any], number: int) -> None:
    kind = value_dtype(number).kind
    if dtypes.tf_name(number).lstrip("u").startswith("int"):
        kind = "i"  # int4 and int2 have a kind of their own
    allowed = _KINDS.get(kind, _REAL)
    for leaf in leaves:
        fits = issubclass(leaf.dtype.type, allowed) if isinstance(leaf, np.ndarray) else False
        # Dimensions of TensorFlow's shapes are integers without saying so.
        fits |= kind in "iu" and hasattr(leaf, "__index__")
        if not (fits or isinstance(leaf, allowed)):
            raise _mismatch(number, leaf)


def _mismatch(number: int, value: Any) -> WrongTypeError:
    return WrongTypeError(
        f"Expected {dtypes.tf_name(number)}, but got {value!r} of type {type(value).__name__!r}"
    )


def _flattened(values: Any, kinds: Any = (list, tuple)) -> list[Any]:
    level = [values]
    for _ in range(_MAX_DEPTH):
        if not any(isinstance(item, kinds) for item in level):
            return level
        level = [leaf for item in level for leaf in (item if isinstance(item, kinds) else [item])]
    raise InvalidArgumentError(f"lists are nested more than {_MAX_DEPTH} deep")


def _number_of(array: NDArray[Any]) -> int:
    try:
        return dtypes.number_of(array.dtype)
    except UnsupportedError as error:
        raise UnsupportedTypeError(str(error)) from error
