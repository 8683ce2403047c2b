"""Python scalars and nested lists as tensors: numbers, text, variant records."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint.assembly import VariantRecord
from fastckpt.errors import InvalidArgumentError

# More dimensions than NumPy has; nested deeper, a list most likely contains itself.
_MAX_DEPTH = 64

_NUMBERS = (bool, int, float, complex, np.number, np.bool_)
_INTEGER_NAME = re.compile(r"q?(u?)int(\d+)")

# Kinds of NumPy dtypes whose values a type can take; the others would lose their meaning.
_KINDS_FOR_INTEGERS = "biu"
_KINDS_FOR_FLOATS = "biuf"
_KINDS_FOR_COMPLEX = "biufc"


def is_literal(value: object) -> bool:
    """Whether this is a Python scalar, a variant record, or a list, tuple or range."""
    if isinstance(value, str | bytes):
        return True
    kinds = (bool, int, float, complex, list, tuple, range, VariantRecord)
    return isinstance(value, kinds) and not isinstance(value, np.generic)


def holds_objects(value: object) -> bool:
    """Whether the first element is text, a variant record or an array of such.

    Found without a conversion by NumPy, which pads every string to the longest.
    """
    leaf = value
    for _ in range(_MAX_DEPTH):
        if not isinstance(leaf, list | tuple) or not leaf:
            break
        leaf = leaf[0]
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind in "SUTO"
    return isinstance(leaf, str | bytes | VariantRecord)


def as_numbers(value: object) -> NDArray[Any]:
    """Make an array of numbers, of the dtype that NumPy finds.

    Raises
    ------
    InvalidArgumentError
        Ragged, or an element is not a number.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgumentError(f"the list is not rectangular: {error}") from error
    if array.dtype.kind in "SUTO":
        _check_alike(*leaves(value))
        raise InvalidArgumentError("integers beyond 64 bits fit no dtype; make them floats first")
    return array


def leaves(value: object) -> tuple[list[Any], tuple[int, ...]]:
    """Flatten nested lists: the elements in row-major order, and the shape.

    Raises
    ------
    InvalidArgumentError
        Ragged, or nested too deeply.
    """
    shape: list[int] = []
    level = [_unpacked(value)]
    while level and isinstance(level[0], list | tuple | range):
        size = len(level[0])
        for i, item in enumerate(level):
            if not isinstance(item, list | tuple | range) or len(item) != size:
                raise _ragged(i, item, size, tuple(shape))
        shape.append(size)
        if len(shape) > _MAX_DEPTH:
            raise InvalidArgumentError(f"lists are nested more than {_MAX_DEPTH} deep")
        level = [_unpacked(leaf) for item in level for leaf in item]
    return level, tuple(shape)


def as_strings(items: list[Any], shape: tuple[int, ...]) -> list[bytes]:
    """Encode text as UTF-8; bytes stay as they are.

    Raises
    ------
    InvalidArgumentError
        An element is neither, or not valid Unicode.
    """
    if set(map(type, items)) <= {bytes}:
        return items
    if not all(isinstance(item, str | bytes) for item in items):
        _check_alike(items, shape)
        raise InvalidArgumentError(
            "the elements are numbers, not str or bytes; numbers are stored from an array of a "
            "numeric dtype, such as array.astype('float64')"
        )
    try:
        return [item.encode() if isinstance(item, str) else item for item in items]
    except UnicodeEncodeError as error:
        i = next(
            i for i, item in enumerate(items) if type(item) is not bytes and item == error.object
        )
        raise InvalidArgumentError(
            f"{_element(i, shape)} is not valid Unicode, it holds a lone surrogate; pass bytes"
        ) from error


def as_records(items: list[Any], shape: tuple[int, ...]) -> list[bytes]:
    """Give the stored form of variants: VariantRecord, or its serialised bytes.

    Raises
    ------
    InvalidArgumentError
        An element is neither.
    """
    records = []
    for i, item in enumerate(items):
        record = item.data if isinstance(item, VariantRecord) else item
        if not isinstance(record, bytes):
            raise InvalidArgumentError(
                f"{_element(i, shape)} is {type(item).__name__}; a variant tensor holds "
                "VariantRecord or bytes"
            )
        records.append(record)
    return records


def fit(array: NDArray[Any], number: int) -> NDArray[Any]:
    """Convert numbers to a DataType that can hold each of them; floats may be rounded.

    Raises
    ------
    InvalidArgumentError
        Values outside its range, fractions for integers, complex numbers for real ones.
    """
    target = dtypes.numpy_dtype(number)
    if array.dtype == target or not array.size:
        return array.astype(target)
    name = dtypes.tf_name(number)
    integer = _INTEGER_NAME.fullmatch(name)
    if integer is not None or name == "bool":
        _check_kind(array, name, _KINDS_FOR_INTEGERS)
        _check_range(array, name, *_range_of(integer))
        return array.astype(target)
    _check_kind(array, name, _KINDS_FOR_COMPLEX if target.kind == "c" else _KINDS_FOR_FLOATS)
    return _rounded(array, target, name)


def _check_kind(array: NDArray[Any], name: str, kinds: str) -> None:
    if array.dtype.kind not in kinds:
        raise InvalidArgumentError(
            f"{array.dtype.name} values do not fit {name}; convert them first"
        )


def _range_of(integer: re.Match[str] | None) -> tuple[int, int]:
    if integer is None:
        return 0, 1
    bits = int(integer[2])
    return (0, (1 << bits) - 1) if integer[1] else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def _check_range(array: NDArray[Any], name: str, low: int, high: int) -> None:
    for extreme in (int(array.min()), int(array.max())):
        if not low <= extreme <= high:
            raise InvalidArgumentError(f"{extreme} does not fit {name} ({low} to {high})")


def _rounded(array: NDArray[Any], target: np.dtype[Any], name: str) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        converted = array.astype(target)
        back = converted.astype(np.complex128 if target.kind == "c" else np.float64)
    lost = (np.isfinite(array) != np.isfinite(back)) | (np.isnan(array) != np.isnan(back))
    if name.startswith("float4"):  # has no infinity to overflow to: large values become the last
        lost |= np.abs(array) > float(importlib.import_module("ml_dtypes").finfo(target).max)
    if lost.any():
        raise InvalidArgumentError(f"{array[lost].flat[0]} does not fit {name}")
    return converted


def _unpacked(item: Any) -> Any:
    return item.tolist() if isinstance(item, np.ndarray) else item


def _ragged(i: int, item: Any, size: int, shape: tuple[int, ...]) -> InvalidArgumentError:
    is_list = isinstance(item, list | tuple | range)
    found = f"a list of {len(item)}" if is_list else type(item).__name__
    return InvalidArgumentError(
        f"the list is not rectangular: {_element(i, shape)} is {found}, the first of its level "
        f"a list of {size}"
    )


def _element(i: int, shape: tuple[int, ...]) -> str:
    if not shape:
        return "the value"
    return f"element {[int(k) for k in np.unravel_index(i, shape)]}"


def _check_alike(items: list[Any], shape: tuple[int, ...]) -> None:
    """Name the first element that is neither number nor text, or not what the others are."""
    is_text = bool(items) and isinstance(items[0], str | bytes)
    fine = (str, bytes) if is_text else _NUMBERS
    for i, item in enumerate(items):
        if not isinstance(item, fine):
            raise InvalidArgumentError(
                f"{_element(i, shape)} is {type(item).__name__}; a tensor holds numbers, or str "
                "and bytes, and never both"
            )
