"""TensorFlow's DataType numbers beside NumPy's dtypes.

Numbers and sizes are those of TensorFlow's ``types.proto`` and of what a data shard holds
(docs/format.md). ml_dtypes is imported when a dtype of its own is asked for, and not before.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any, NamedTuple

import numpy as np

from fastckpt.errors import CheckpointError, InvalidArgumentError, UnsupportedError

__all__ = [
    "NUMBERS",
    "RESOURCE",
    "STRING",
    "VARIANT",
    "DType",
    "enum_name",
    "item_size",
    "number_of",
    "numpy_dtype",
    "tf_name",
]

STRING = 7
RESOURCE = 20
VARIANT = 21

# Numbers above this are the *_REF variants, which no file holds.
_REF_OFFSET = 100


class _Row(NamedTuple):
    name: str  # as tf.DType.name prints it
    numpy: str  # "numpy name", "ml:name" for ml_dtypes, "" where there is none
    size: int  # bytes of one element in a shard; 0 where elements vary


# Sub-byte types take one byte per element in a shard.
_ROWS: dict[int, _Row] = {
    1: _Row("float32", "float32", 4),
    2: _Row("float64", "float64", 8),
    3: _Row("int32", "int32", 4),
    4: _Row("uint8", "uint8", 1),
    5: _Row("int16", "int16", 2),
    6: _Row("int8", "int8", 1),
    7: _Row("string", "object", 0),
    8: _Row("complex64", "complex64", 8),
    9: _Row("int64", "int64", 8),
    10: _Row("bool", "bool", 1),
    11: _Row("qint8", "int8", 1),
    12: _Row("quint8", "uint8", 1),
    13: _Row("qint32", "int32", 4),
    14: _Row("bfloat16", "ml:bfloat16", 2),
    15: _Row("qint16", "int16", 2),
    16: _Row("quint16", "uint16", 2),
    17: _Row("uint16", "uint16", 2),
    18: _Row("complex128", "complex128", 16),
    19: _Row("float16", "float16", 2),
    20: _Row("resource", "", 0),
    21: _Row("variant", "object", 0),
    22: _Row("uint32", "uint32", 4),
    23: _Row("uint64", "uint64", 8),
    24: _Row("float8_e5m2", "ml:float8_e5m2", 1),
    25: _Row("float8_e4m3fn", "ml:float8_e4m3fn", 1),
    26: _Row("float8_e4m3fnuz", "ml:float8_e4m3fnuz", 1),
    27: _Row("float8_e4m3b11fnuz", "ml:float8_e4m3b11fnuz", 1),
    28: _Row("float8_e5m2fnuz", "ml:float8_e5m2fnuz", 1),
    29: _Row("int4", "ml:int4", 1),
    30: _Row("uint4", "ml:uint4", 1),
    31: _Row("int2", "ml:int2", 1),
    32: _Row("uint2", "ml:uint2", 1),
    33: _Row("float4_e2m1fn", "ml:float4_e2m1fn", 1),
}

NUMBERS = tuple(_ROWS)

_BY_NAME: dict[str, int] = {row.name: number for number, row in _ROWS.items()}

# Older spellings that TensorFlow accepts too.
_ALIASES: dict[str, int] = {"float": 1, "double": 2, "half": 19}

# Names in TensorFlow's enum that are not the upper-case form of the name above.
_ENUM_NAMES: dict[int, str] = {1: "DT_FLOAT", 2: "DT_DOUBLE", 19: "DT_HALF"}

# NumPy kinds that hold text, bytes or Python objects: stored as string tensors.
_STRING_KINDS = frozenset("SUOT")


@functools.cache
def numpy_dtype(number: int) -> np.dtype[Any]:
    """Give the dtype of the array that a tensor of this DataType becomes.

    Parameters
    ----------
    number : int
        A DataType number of TensorFlow.

    Returns
    -------
    numpy.dtype
        In native byte order. Quantised types give their plain integers, strings and variants
        ``object``.

    Raises
    ------
    InvalidArgumentError
        No such DataType.
    UnsupportedError
        Resources, which no array can hold; a type that the installed ml_dtypes lacks.
    """
    row = _row(number)
    if not row.numpy:
        raise UnsupportedError(f"dtype {row.name} has no NumPy form; it names a live resource")
    if row.numpy.startswith("ml:"):
        return _ml_dtype(row.numpy.removeprefix("ml:"))
    return np.dtype(row.numpy)


def tf_name(number: int) -> str:
    """Give the name of a DataType as ``tf.DType.name`` prints it, such as ``"qint8"``."""
    return _row(number).name


def enum_name(number: int) -> str:
    """Give the name of a DataType in TensorFlow's enum, such as ``"DT_FLOAT"``."""
    return _ENUM_NAMES.get(number) or f"DT_{_row(number).name.upper()}"


def item_size(number: int) -> int:
    """Give the bytes of one element in a data shard; 0 where elements vary in size."""
    return _row(number).size


def number_of(dtype: object) -> int:
    """Give the DataType number of a TensorFlow name or a NumPy dtype.

    Parameters
    ----------
    dtype : str or dtype-like
        ``"qint8"``, ``"half"``, ``np.float32``, ``np.dtype("<i8")``, an ml_dtypes type …
        A name is looked up as TensorFlow's first. Byte order does not matter; text and object
        dtypes are string tensors.

    Raises
    ------
    UnsupportedError
        A dtype that TensorFlow has no number for, such as ``datetime64``.
    InvalidArgumentError
        Not a dtype at all.
    """
    if isinstance(dtype, str):
        known = _BY_NAME.get(dtype) or _ALIASES.get(dtype)
        if known is not None:
            return known
    return _number_of_numpy(_as_numpy(dtype))


# The numbers that complex numbers consist of.
_PARTS = {8: 1, 18: 2}


class DType:
    """A TensorFlow dtype without TensorFlow: the part of ``tf.DType`` that names it.

    Parameters
    ----------
    number : int
        A DataType number of TensorFlow.

    Notes
    -----
    Equal to whatever means the same type: another `DType`, a ``tf.DType``, a name, a number, a
    NumPy dtype. The hash is that of the number.

    Examples
    --------
    >>> DType(1) == np.float32, DType(1).name, DType(11).name
    (True, 'float32', 'qint8')
    """

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number
        _row(number)

    @property
    def name(self) -> str:
        """TensorFlow's name, such as ``"float32"``."""
        return tf_name(self._number)

    @property
    def as_datatype_enum(self) -> int:
        """TensorFlow's number."""
        return self._number

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy scalar type; for a quantised type a dtype of one field, as TensorFlow has it."""
        dtype = numpy_dtype(self._number)
        if dtype.hasobject:
            return object
        return np.dtype([(self.name, dtype)]) if self.name.startswith("q") else dtype.type

    @property
    def size(self) -> int:
        """Bytes of one element; 0 where elements vary."""
        return item_size(self._number)

    @property
    def base_dtype(self) -> DType:
        """The same type, not by reference."""
        return self

    @property
    def real_dtype(self) -> DType:
        """The type of the parts of a complex number; for other types the same type."""
        return DType(_PARTS.get(self._number, self._number))

    @property
    def is_bool(self) -> bool:
        """Whether it is bool."""
        return self.base_dtype.name == "bool"

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer that is not quantised."""
        return self._is_like("int") or self._is_like("uint")

    @property
    def is_unsigned(self) -> bool:
        """Whether it is an integer without sign, and not quantised."""
        return self._is_like("uint")

    @property
    def is_floating(self) -> bool:
        """Whether it is a real floating-point number."""
        return self._is_like("float") or self._is_like("bfloat")

    @property
    def is_complex(self) -> bool:
        """Whether it is complex."""
        return self._is_like("complex")

    @property
    def is_quantized(self) -> bool:
        """Whether it is a quantised integer."""
        return self._is_like("q")

    @property
    def min(self) -> Any:
        """The least number of the type."""
        return self._limits().min

    @property
    def max(self) -> Any:
        """The largest number of the type."""
        return self._limits().max

    def is_compatible_with(self, other: object) -> bool:
        """Whether a tensor of another type can be used for it: one of the same type."""
        return self.base_dtype == getattr(other, "base_dtype", other)

    def _is_like(self, prefix: str) -> bool:
        return tf_name(self._number).startswith(prefix)

    def _limits(self) -> Any:
        if not (self.is_integer or self.is_floating):
            raise InvalidArgumentError(f"{self} has no least and no largest value")
        import ml_dtypes

        kind: Any = ml_dtypes.iinfo if self.is_integer else ml_dtypes.finfo
        return kind(numpy_dtype(self._number))

    def __eq__(self, other: object) -> bool:
        number = getattr(other, "as_datatype_enum", other)
        if isinstance(number, int):
            return self._number == number
        try:
            return self._number == number_of(other)
        except CheckpointError:
            return False

    def __hash__(self) -> int:
        return hash(self._number)

    def __int__(self) -> int:
        return self._number

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"


def _number_of_numpy(dtype: np.dtype[Any]) -> int:
    if dtype.kind in _STRING_KINDS:
        return STRING
    number = _BY_NAME.get(dtype.name)
    if number is None:
        raise UnsupportedError(
            f"dtype {dtype.name} cannot be stored: TensorFlow has no such DataType; "
            "convert the array first"
        )
    return number


def _as_numpy(dtype: object) -> np.dtype[Any]:
    try:
        if dtype is None:
            raise TypeError("NumPy takes None as float64")
        return np.dtype(dtype)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"not a dtype: {dtype!r}; pass a TensorFlow name such as 'float32' or 'qint8', "
            "or a NumPy dtype"
        ) from error


def _row(number: int) -> _Row:
    row = _ROWS.get(number)
    if row is not None:
        return row
    if number - _REF_OFFSET in _ROWS:
        raise InvalidArgumentError(
            f"DataType {number} is the reference form of {_ROWS[number - _REF_OFFSET].name}; "
            "no file may hold it"
        )
    raise InvalidArgumentError(f"no DataType has the number {number}; known are 1 to {max(_ROWS)}")


def _ml_dtype(name: str) -> np.dtype[Any]:
    scalar = getattr(importlib.import_module("ml_dtypes"), name, None)
    if scalar is None:
        raise UnsupportedError(
            f"dtype {name} is not in the installed ml_dtypes; upgrade it with: "
            "pip install --upgrade ml_dtypes"
        )
    dtype: np.dtype[Any] = np.dtype(scalar)
    return dtype
