"""The wire format of protobuf, as far as files are looked into before they are parsed.

Source of the format: protobuf's encoding.md.
"""

from __future__ import annotations

__all__ = ["LENGTH", "bounds", "varint"]

# Wire types: length-delimited; sizes of the fixed ones.
LENGTH = 2
_FIXED = {1: 8, 5: 4}

# Integers have ten bytes at most.
_MAX_SHIFT = 63


def bounds(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the content of the field at `at` starts and ends; past `end` where it is damaged."""
    kind = data[at] & 7
    start, _ = varint(data, at, end)
    if kind == LENGTH:
        start, size = varint(data, start, end)
        return start, start + size
    if kind == 0:
        return start, varint(data, start, end)[0]
    return start, start + _FIXED.get(kind, end)


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where a variable-length integer ends, and its value; past `end` where it is cut off."""
    value = shift = 0
    while at < end and data[at] >= 0x80 and shift <= _MAX_SHIFT:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
    if at >= end or shift > _MAX_SHIFT:
        return end + 1, end
    return at + 1, value | data[at] << shift
