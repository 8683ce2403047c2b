"""Whether bytes that parse as a message are that message.

Protobuf keeps fields that it does not know, so that many graph files parse as one another. What
gives them away are known fields of another wire type, messages without any known field, and texts
that hold control characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastckpt.graph.wire import LENGTH, bounds, varint

__all__ = ["is_plausible"]

# How much is looked at: fields of each message, and messages inside of each other.
_FIELDS = 24
_DEPTH = 4

# Wire types by field type (protobuf's encoding.md): fixed64, fixed32, length-delimited; all others
# are variable-length integers.
_WIRE_TYPES = {1: 1, 6: 1, 16: 1, 2: 5, 7: 5, 15: 5, 9: LENGTH, 11: LENGTH, 12: LENGTH}
_STRING, _MESSAGE = 9, 11

# Control characters but those that a text of several lines has.
_CONTROL = bytes(x for x in range(32) if x not in (9, 10, 13)) + b"\x7f"


def is_plausible(descriptor: Any, data: bytes) -> bool:
    """Whether bytes can be a message of a type; no bytes can.

    Parameters
    ----------
    descriptor : Descriptor
        Of the type.
    data : bytes
        What has parsed as such a message.

    Notes
    -----
    Looks at the first fields of the message, and of the first messages in it.
    """
    return _can_be(descriptor, data, 0, len(data), _DEPTH)


def _can_be(descriptor: Any, data: bytes, at: int, end: int, depth: int) -> bool:
    known = descriptor.fields_by_number
    fields = list(islice(_fields(data, at, end), _FIELDS))
    if fields and not any(number in known for number, *_ in fields):
        return False
    return all(
        _fits(known[number], kind, data, start, stop, depth)
        for number, kind, start, stop in fields
        if number in known
    )


def _fits(field: Any, kind: int, data: bytes, start: int, stop: int, depth: int) -> bool:
    if kind != _WIRE_TYPES.get(field.type, 0):
        # Numbers of a list may stand side by side in one field.
        return kind == LENGTH and _is_repeated(field) and field.type not in (_STRING, _MESSAGE)
    if field.type == _STRING:
        text = data[start:stop]
        return len(text.translate(None, delete=_CONTROL)) == len(text)
    if field.type == _MESSAGE and depth:
        return _can_be(field.message_type, data, start, stop, depth - 1)
    return True


def _is_repeated(field: Any) -> bool:
    # Later versions of protobuf warn of `label`, earlier ones have nothing else.
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, start and end of the content of each field, as far as they are whole."""
    while at < end:
        _, tag = varint(data, at, end)
        start, at = bounds(data, at, end)
        if at <= end:
            yield tag >> 3, tag & 7, start, at
