"""Numbers, checksums, protobuf fields and slice keys, each by its own rule.

Slow and plain on purpose: this code is what the library is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

ByteOrder: TypeAlias = Literal["little", "big"]
# One dimension of a slice: (start, length), or None for all of it.
Extent: TypeAlias = tuple[int, int] | None


class OracleError(ValueError):
    """Bytes that break the format."""


# --- varints -------------------------------------------------------------------------------------


def encode_varint(value: int) -> bytes:
    """Encode a number, a negative one as its 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at`` and the position after it."""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise OracleError(f"varint at {at} runs past the end")
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            if value >> 64:
                raise OracleError(f"varint at {at} does not fit in 64 bits")
            return value, at + i + 1
    raise OracleError(f"varint at {at} is longer than ten bytes")


def signed(value: int, bits: int = 64) -> int:
    """Read the low ``bits`` bits of a number as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


# --- CRC-32C -------------------------------------------------------------------------------------


def _make_crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _make_crc_table()


def extend_by_table(crc: int, data: bytes) -> int:
    """Continue the finished CRC-32C ``crc`` with ``data``, byte by byte."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


_extend: Callable[[int, bytes], int]
try:
    from google_crc32c import extend as _extend
except ImportError:
    _extend = extend_by_table


def crc32c(data: bytes, crc: int = 0) -> int:
    """Continue the finished CRC-32C ``crc`` with ``data``, quickly where a package allows."""
    return _extend(crc, bytes(data))


def mask(crc: int) -> int:
    """Rotate right by 15 and add the offset: the form in which checksums are stored."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    """Undo :func:`mask`."""
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def masked_crc(data: bytes, crc: int = 0) -> int:
    """Return the stored form of the CRC-32C of ``data``."""
    return mask(crc32c(data, crc))


# --- protobuf fields -----------------------------------------------------------------------------


def varint_field(number: int, value: int) -> bytes:
    """Encode a varint field, present even when zero."""
    return encode_varint(number << 3) + encode_varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """Encode a length-delimited field."""
    return encode_varint(number << 3 | 2) + encode_varint(len(value)) + value


def fixed32_field(number: int, value: int) -> bytes:
    """Encode a fixed32 field."""
    return encode_varint(number << 3 | 5) + value.to_bytes(4, "little")


def fixed64_field(number: int, value: int) -> bytes:
    """Encode a fixed64 field."""
    return encode_varint(number << 3 | 1) + value.to_bytes(8, "little")


def group_field(number: int, content: bytes) -> bytes:
    """Encode a group with ``content`` between its two tags."""
    return encode_varint(number << 3 | 3) + content + encode_varint(number << 3 | 4)


def _skip_group(data: bytes, at: int, number: int) -> int:
    while True:
        tag, at = decode_varint(data, at)
        if tag & 7 == 4:
            if tag >> 3 != number:
                raise OracleError(f"group {number} is closed as {tag >> 3}")
            return at
        _, at = _decode_value(data, at, tag)


def _decode_value(data: bytes, at: int, tag: int) -> tuple[int | bytes, int]:
    if tag >> 3 == 0:
        raise OracleError(f"field number 0 before {at}")
    if tag & 7 == 0:
        return decode_varint(data, at)
    if tag & 7 == 3:
        end = _skip_group(data, at, tag >> 3)
        return data[at:end], end
    if tag & 7 not in (1, 2, 5):
        raise OracleError(f"unknown wire type {tag & 7} before {at}")
    size = {1: 8, 5: 4}.get(tag & 7, 0)
    if tag & 7 == 2:
        size, at = decode_varint(data, at)
    if at + size > len(data):
        raise OracleError(f"field {tag >> 3} runs past the end of its message")
    content = data[at : at + size]
    return content if tag & 7 == 2 else int.from_bytes(content, "little"), at + size


def decode_fields(data: bytes) -> list[tuple[int, int, int | bytes, bytes]]:
    """Return (number, wire type, value, raw bytes) of every field, in file order."""
    fields = []
    at = 0
    while at < len(data):
        tag, start = decode_varint(data, at)
        value, end = _decode_value(data, start, tag)
        fields.append((tag >> 3, tag & 7, value, data[at:end]))
        at = end
    return fields


# --- slice keys ----------------------------------------------------------------------------------


def ordered_num(value: int) -> bytes:
    """Encode an unsigned number: a count of bytes, then the number, big-endian."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def ordered_string(value: bytes) -> bytes:
    """Encode a string with 00 and ff escaped, closed by 00 01."""
    escaped = {0x00: b"\x00\xff", 0xFF: b"\xff\x00"}
    return b"".join(escaped.get(byte, bytes([byte])) for byte in value) + b"\x00\x01"


def ordered_signed(value: int) -> bytes:
    """Encode a signed number; the leading ones (zeros if negative) count its bytes."""
    magnitude = value if value >= 0 else ~value
    size = magnitude.bit_length() // 7 + 1
    header = ((1 << size) - 1) << (8 * size - size)
    encoded = (value & ((1 << 8 * size) - 1)) ^ header
    return encoded.to_bytes(size, "big")


def slice_key(name: bytes, extents: Sequence[Extent]) -> bytes:
    """Return the key under which one slice of a partitioned tensor is stored."""
    key = ordered_num(0) + ordered_string(name) + ordered_num(len(extents))
    for extent in extents:
        start, length = (0, -1) if extent is None else extent
        key += ordered_signed(start) + ordered_signed(length)
    return key
