"""Where a TensorProto keeps the values of each type."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastckpt import dtypes
from fastckpt.errors import UnsupportedError

__all__ = [
    "UnsupportedTypeError",
    "as_number",
    "field_of",
    "has_content",
    "is_sub_byte",
    "value_dtype",
]


class UnsupportedTypeError(UnsupportedError, TypeError):
    """A TensorFlow type, or a kind of node or function, that has no form here."""


# Field -> DataType numbers whose values it holds (tensor.proto of TensorFlow).
_FIELDS: dict[str, tuple[int, ...]] = {
    "float_val": (1,),
    "double_val": (2,),
    "int_val": (3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30, 31, 32),
    "string_val": (7,),
    "scomplex_val": (8,),
    "int64_val": (9,),
    "bool_val": (10,),
    "dcomplex_val": (18,),
    "half_val": (14, 19),
    "uint32_val": (22,),
    "uint64_val": (23,),
    "float8_val": (24, 25, 26, 27, 28, 33),
}
_FIELD_OF = {number: field for field, numbers in _FIELDS.items() for number in numbers}

_SUB_BYTE = frozenset({29, 30, 31, 32})

# Types that TensorFlow never writes as raw bytes: string, complex, bool, uint16, sub-byte.
_NO_CONTENT = frozenset({7, 8, 10, 17, 18}) | _SUB_BYTE

# Numbers above this are the *_REF variants.
_REF_OFFSET = 100


def as_number(dtype: object) -> int:
    """Give the DataType number of a number, a name, a ``tf.DType`` or a NumPy dtype.

    Reference types count as what they refer to.
    """
    number = getattr(dtype, "as_datatype_enum", dtype)
    if isinstance(number, int | np.integer) and not isinstance(number, bool):
        found = int(number) % _REF_OFFSET
        dtypes.tf_name(found)
        return found
    return dtypes.number_of(number)


def field_of(number: int) -> str:
    """Name of the field that holds single values of a type."""
    if number not in _FIELD_OF:
        raise _unsupported(number)
    return _FIELD_OF[number]


def has_content(number: int) -> bool:
    """Whether two values or more are written as raw bytes."""
    return number not in _NO_CONTENT


def is_sub_byte(number: int) -> bool:
    """Whether an element has less than a byte; it takes one all the same."""
    return number in _SUB_BYTE


def value_dtype(number: int) -> np.dtype[Any]:
    """Dtype of the array of a value; UnsupportedTypeError where there is none."""
    if number not in _FIELD_OF:
        raise _unsupported(number)
    return dtypes.numpy_dtype(number)


def _unsupported(number: int) -> UnsupportedTypeError:
    known = number in dtypes.NUMBERS
    name = dtypes.enum_name(number) if known else f"DataType {number}"
    return UnsupportedTypeError(f"a tensor value of {name} has no array form")
