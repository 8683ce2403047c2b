"""Values to stored bytes and back: numbers, strings, variant records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from oracle.coding import (
    ByteOrder,
    Extent,
    OracleError,
    crc32c,
    decode_varint,
    encode_varint,
    mask,
)

Array: TypeAlias = NDArray[Any]

DT_STRING, DT_RESOURCE, DT_VARIANT = 7, 20, 21

_NUMPY = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 8: "complex64",
    9: "int64", 10: "bool", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32",
    23: "uint64",
}  # fmt: skip
_ML_DTYPES = {
    14: "bfloat16", 24: "float8_e5m2", 25: "float8_e4m3fn", 26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz", 28: "float8_e5m2fnuz", 29: "int4", 30: "uint4", 31: "int2",
    32: "uint2", 33: "float4_e2m1fn",
}  # fmt: skip
# Quantised numbers are stored as the plain ones of their size.
_QUANTISED = {11: "int8", 12: "uint8", 13: "int32", 15: "int16", 16: "uint16"}
# Significant bits of the types that are stored one to a byte.
_SUB_BYTE = {29: 4, 30: 4, 31: 2, 32: 2, 33: 4}


_DTYPES = {n: np.dtype(name) for n, name in (_NUMPY | _QUANTISED).items()}
_DTYPES |= {n: np.dtype(getattr(ml_dtypes, name)) for n, name in _ML_DTYPES.items()}
_NUMBERS = {dtype: n for n, dtype in _DTYPES.items() if n not in _QUANTISED}


@dataclass
class Raw:
    """A tensor given by its DataType number, shape and stored bytes."""

    dtype: int
    shape: Sequence[int]
    data: bytes


@dataclass
class Variants:
    """A DT_VARIANT tensor given by its serialised records, in row-major order."""

    shape: Sequence[int]
    records: Sequence[bytes]


@dataclass
class Slices:
    """A partitioned tensor: its full shape and, in file order, (extents, value) of each slice."""

    shape: Sequence[int]
    parts: Sequence[tuple[Sequence[Extent], Value]]


Value: TypeAlias = "Array | Raw | Variants | Sequence[Any] | bytes | str | int | float"


@dataclass
class Stored:
    """The bytes of a tensor in its shard, and what its entry says about them."""

    dtype: int
    shape: tuple[int, ...]
    data: bytes
    masked_crc: int


def numpy_dtype(number: int) -> np.dtype[Any]:
    """Return the NumPy type of a DataType number; strings and variants are objects."""
    if number in (DT_STRING, DT_VARIANT):
        return np.dtype(object)
    if number not in _DTYPES:
        raise OracleError(f"no stored type has the number {number}")
    return _DTYPES[number]


def dtype_number(dtype: np.dtype[Any]) -> int:
    """Return the DataType number of a NumPy type."""
    return DT_STRING if dtype.kind in "OSU" else _NUMBERS[dtype]


def encode(value: Value, order: ByteOrder = "little") -> Stored:
    """Return the stored form of a value."""
    if isinstance(value, Raw):
        shape = tuple(value.shape)
        return Stored(value.dtype, shape, value.data, mask(crc32c(value.data)))
    if isinstance(value, Variants):
        data, crc = encode_variants(value.records)
        return Stored(DT_VARIANT, tuple(value.shape), data, mask(crc))
    array = _as_array(value)
    number = dtype_number(array.dtype)
    if number == DT_STRING:
        data, crc = encode_strings([_as_bytes(item) for item in array.ravel()], order)
    else:
        data = _numbers_to_bytes(array, number, order)
        crc = crc32c(data)
    return Stored(number, array.shape, data, mask(crc))


def decode(stored: Stored, order: ByteOrder = "little") -> Array:
    """Return the value of stored bytes, after checking their checksum."""
    count = prod(stored.shape)
    dtype = numpy_dtype(stored.dtype)
    if dtype.hasobject:
        if stored.dtype == DT_STRING:
            items, crc = decode_strings(stored.data, count, order)
        else:
            items, crc = decode_variants(stored.data, count)
        array = np.empty(count, object)
        array[:] = items
    else:
        if len(stored.data) != count * dtype.itemsize:
            raise OracleError(f"{len(stored.data)} bytes for {count} items of {dtype}")
        crc = crc32c(stored.data)
        array = _bytes_to_numbers(stored.data, stored.dtype, order)
    if mask(crc) != stored.masked_crc:
        raise OracleError("checksum mismatch")
    return array.reshape(stored.shape)


# --- numbers -------------------------------------------------------------------------------------


def swap(data: bytes, width: int) -> bytes:
    """Reverse the bytes of each group of ``width``."""
    out = bytearray(len(data))
    for i in range(width):
        out[i::width] = data[width - 1 - i :: width]
    return bytes(out)


def _width(dtype: np.dtype[Any]) -> int:
    """Return the size of what has a byte order: half of a complex number."""
    return dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize


def _keep_low_bits(data: bytes, bits: int) -> bytes:
    return data.translate(bytes(i & ((1 << bits) - 1) for i in range(256)))


def _numbers_to_bytes(array: Array, number: int, order: ByteOrder) -> bytes:
    data = array.tobytes()
    if number in _SUB_BYTE:
        data = _keep_low_bits(data, _SUB_BYTE[number])
    return swap(data, _width(array.dtype)) if order == "big" else data


def _bytes_to_numbers(data: bytes, number: int, order: ByteOrder) -> Array:
    dtype = numpy_dtype(number)
    if order == "big":
        data = swap(data, _width(dtype))
    if number in _SUB_BYTE:
        data = _keep_low_bits(data, _SUB_BYTE[number])
    if dtype == np.bool_:
        return np.frombuffer(data, np.uint8).astype(np.bool_)
    return np.frombuffer(data, dtype)


# --- strings -------------------------------------------------------------------------------------


def _as_array(value: object) -> Array:
    """Make an array of a value, without NumPy's fixed-width strings, which lose trailing NULs."""
    array = np.asarray(value)
    is_text = array.dtype.kind in "SU" and not isinstance(value, np.ndarray)
    return np.array(value, object) if is_text else array


def _as_bytes(item: object) -> bytes:
    return item.encode() if isinstance(item, str) else bytes(item)  # type: ignore[call-overload]


def _lengths_crc(lengths: Sequence[int], order: ByteOrder) -> int:
    crc = 0
    for length in lengths:
        crc = crc32c(length.to_bytes(4 if length <= 0xFFFFFFFF else 8, order), crc)
    return crc


def encode_strings(items: Sequence[bytes], order: ByteOrder = "little") -> tuple[bytes, int]:
    """Return lengths, checksum of the lengths, contents; and the CRC-32C for the entry."""
    crc = _lengths_crc([len(item) for item in items], order)
    checksum = mask(crc).to_bytes(4, order)
    content = b"".join(items)
    lengths = b"".join(encode_varint(len(item)) for item in items)
    return lengths + checksum + content, crc32c(checksum + content, crc)


def decode_strings(
    data: bytes, count: int, order: ByteOrder = "little"
) -> tuple[list[bytes], int]:
    """Return the items and the CRC-32C that the entry must have."""
    at = 0
    lengths = []
    for _ in range(count):
        length, at = decode_varint(data, at)
        lengths.append(length)
    if at + 4 + sum(lengths) != len(data):
        raise OracleError(f"{len(data)} bytes for strings of {sum(lengths)} bytes")
    lengths_crc = _lengths_crc(lengths, order)
    if data[at : at + 4] != mask(lengths_crc).to_bytes(4, order):
        raise OracleError("checksum mismatch in the lengths of strings")
    crc = crc32c(data[at:], lengths_crc)
    items = []
    at += 4
    for length in lengths:
        items.append(data[at : at + length])
        at += length
    return items, crc


# --- variants ------------------------------------------------------------------------------------


def encode_variants(records: Sequence[bytes]) -> tuple[bytes, int]:
    """Return length, record and running checksum of each; and the CRC-32C for the entry."""
    out = b""
    crc = 0
    for record in records:
        crc = crc32c(record, crc32c(len(record).to_bytes(8, "little"), crc))
        checksum = mask(crc).to_bytes(4, "little")
        crc = crc32c(checksum, crc)
        out += encode_varint(len(record)) + record + checksum
    return out, crc


def decode_variants(data: bytes, count: int) -> tuple[list[bytes], int]:
    """Return the records and the CRC-32C that the entry must have."""
    at = 0
    records = []
    for _ in range(count):
        length, at = decode_varint(data, at)
        records.append(data[at : at + length])
        at += length + 4
    expected, crc = encode_variants(records)
    if expected != data:
        raise OracleError("records do not fill the entry, or a checksum between them differs")
    return records, crc
