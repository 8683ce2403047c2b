"""Refusing messages that are made to fill the memory.

Protobuf keeps some hundred bytes for each message, be it one that takes two bytes in a file. What
TensorFlow writes has ten bytes or more for each, so counting them tells the two apart before
anything is allocated.
"""

from __future__ import annotations

from typing import Any

from fastckpt.errors import LimitExceededError
from fastckpt.graph.wire import LENGTH, bounds

__all__ = ["MAX_DEPTH", "check_density", "is_too_deep"]

# Messages that are allowed whatever their size, and bytes that each must bring on average where
# there are more: in all, and side by side in one message. Graphs have 10 to 25.
_FREE = 1 << 16
_BYTES_EACH = 8
_BYTES_SIDE_BY_SIDE = 6

# Empty messages are two bytes, a tag and a zero; less of the file than this cannot hold many.
_SUSPICIOUS = 4

# Levels of messages that protobuf reads.
MAX_DEPTH = 100

# Messages that are counted and looked into only when the file is suspicious.
_LEAVES = frozenset({"NodeDef", "FunctionDef", "MetaInfoDef", "SavedObjectGraph"})

_MESSAGE = 11  # FieldDescriptor.TYPE_MESSAGE


def check_density(data: bytes, descriptor: Any, path: str) -> None:
    """Raise where bytes hold more messages than any graph has.

    Parameters
    ----------
    data : bytes
        A message in binary form; damaged ones are left to the parser.
    descriptor : Descriptor
        Of the message.
    path : str
        What the error names.

    Raises
    ------
    LimitExceededError
        More than 2^16 messages that have less than 8 bytes each.

    Notes
    -----
    Counts nodes and functions always, some 50 ms for 10^5 of them; the messages inside of them
    where a quarter of the file is zeros.
    """
    if len(data) < 2 * _FREE:
        return
    is_suspicious = data.count(0) * _SUSPICIOUS > len(data)
    if _is_dense(data, descriptor, deep=is_suspicious):
        raise LimitExceededError(
            f"{path!r} holds far more messages in its {len(data)} bytes than any graph does: it "
            "is made to fill the memory of its readers",
            path=path or None,
        )


def is_too_deep(data: bytes, descriptor: Any) -> bool:
    """Whether messages are nested deeper than protobuf reads, as far as the first fields show."""
    waiting = [(0, len(data), descriptor, 1)]
    fields = 0
    while waiting and fields < _FREE:
        at, end, descriptor, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return True
        inner = _message_fields(descriptor)
        while at < end and fields < _FREE:
            fields += 1
            tag = data[at]
            start, at = bounds(data, at, end)
            if tag in inner and at <= end:
                waiting.append((start, at, inner[tag], depth + 1))
    return False


def _is_dense(data: bytes, descriptor: Any, *, deep: bool) -> bool:
    """Count messages; without `deep` only as far as nodes and functions."""
    limit = _FREE + len(data) // _BYTES_EACH
    count = 0
    waiting = [(0, len(data), descriptor)]
    while waiting:
        begin, end, descriptor = waiting.pop()
        inner = _message_fields(descriptor)
        side_by_side = 0
        at = begin
        while at < end:
            tag = data[at]
            start, at = bounds(data, at, end)
            if tag not in inner or at > end:
                continue
            side_by_side += 1
            if deep or inner[tag].name not in _LEAVES:
                waiting.append((start, at, inner[tag]))
            if side_by_side > _FREE and at - begin < side_by_side * _BYTES_SIDE_BY_SIDE:
                return True
        count += side_by_side
        if count > limit:
            return True
    return False


def _message_fields(descriptor: Any) -> dict[int, Any]:
    """Fields of a message that are messages, by their tag; those of one byte alone."""
    fields = (field for field in descriptor.fields if field.type == _MESSAGE)
    return {
        field.number << 3 | LENGTH: field.message_type for field in fields if field.number < 16
    }
