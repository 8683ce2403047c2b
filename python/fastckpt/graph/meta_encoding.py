"""Bytes of nodes, attributes and variable definitions, written without protobuf's objects.

A meta graph of 10^5 variables holds half a million nodes. One protobuf object each takes ten times
as long as joining the bytes of their fields. Field numbers: ``graph.proto``, ``tensor.proto`` and
``meta_graph.proto`` beside ``fastckpt.protos``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from fastckpt.graph.value_types import field_of

__all__ = [
    "NO_ATTRS",
    "attr",
    "colocated",
    "field",
    "flag",
    "named",
    "node",
    "numbers",
    "shape_attr",
    "strings_tensor_attr",
    "text_attr",
    "text_tensor_attr",
    "type_attr",
    "types_attr",
    "varint",
    "varint_field",
    "zero_attr",
]

NO_ATTRS = b""

_ALL_BITS = (1 << 64) - 1
_MAX_KEPT = 1 << 14


class _Varints(dict[int, bytes]):
    """Numbers as varints; small ones are kept, because lengths repeat a million times."""

    def __missing__(self, value: int) -> bytes:
        data = _encode_varint(value)
        if 0 <= value < _MAX_KEPT:
            self[value] = data
        return data


_VARINTS = _Varints()

# One zero of each kind under its field number in TensorProto. A field with fewer values than the
# shape has elements stands for its last value throughout.
_ZEROS: dict[str, bytes] = {
    "float_val": b"\x2a\x04" + bytes(4),
    "double_val": b"\x32\x08" + bytes(8),
    "int_val": b"\x3a\x01\x00",
    "string_val": b"\x42\x00",
    "scomplex_val": b"\x4a\x08" + bytes(8),
    "int64_val": b"\x52\x01\x00",
    "bool_val": b"\x5a\x01\x00",
    "dcomplex_val": b"\x62\x10" + bytes(16),
    "half_val": b"\x6a\x01\x00",
    "uint32_val": b"\x82\x01\x01\x00",
    "uint64_val": b"\x8a\x01\x01\x00",
    "float8_val": b"\x92\x01\x01\x00",
}

_VARIANT = 21


def varint(value: int) -> bytes:
    """Encode a number, seven bits a byte, lowest first; a negative one as 64 bits."""
    return _VARINTS[value]


def field(number: int, payload: bytes) -> bytes:
    """Encode a field of bytes, text or a message."""
    return b"%b%b%b" % (_VARINTS[number << 3 | 2], _VARINTS[len(payload)], payload)


def varint_field(number: int, value: int) -> bytes:
    """Encode a field of a number or an enum; nothing for 0, which is the default."""
    return varint(number << 3) + varint(value) if value else b""


def flag(number: int, value: bool) -> bytes:  # noqa: FBT001, the field's value
    """Encode a field of a bool; nothing for False."""
    return varint_field(number, int(value))


def numbers(number: int, values: Iterable[int]) -> bytes:
    """Encode a repeated field of numbers, packed; nothing where there is none."""
    payload = b"".join(map(varint, values))
    return field(number, payload) if payload else b""


def node(
    name: bytes, op: bytes, inputs: Iterable[bytes], device: bytes, attrs: bytes = NO_ATTRS
) -> bytes:
    """Encode a node as a field of its graph.

    Parameters
    ----------
    name, op, device : bytes
        ASCII; an empty device is left out.
    inputs : iterable of bytes
        As NodeDef has them: ``a``, ``a:1``, ``^a``.
    attrs : bytes
        Results of `attr` and its kin, joined.
    """
    size = _VARINTS
    sources = b"".join([b"\x1a%b%b" % (size[len(source)], source) for source in inputs])
    place = field(4, device) if device else b""
    values = (size[len(name)], name, size[len(op)], op, sources, place, attrs)
    body = b"\x0a%b%b\x12%b%b%b%b%b" % values
    return b"\x0a%b%b" % (size[len(body)], body)


def named(number: int, name: bytes, ending: bytes = b"") -> bytes:
    """Encode a field of a short text, below number 16: a name and what stands behind it."""
    size = _VARINTS[len(name) + len(ending)]
    return b"%c%b%b%b" % (number << 3 | 2, size, name, ending)


def attr(key: bytes, value: bytes) -> bytes:
    """Encode one attribute of a node; `value` is an encoded AttrValue."""
    return field(5, field(1, key) + field(2, value))


@functools.cache
def type_attr(key: bytes, number: int) -> bytes:
    """Encode an attribute that is a DataType."""
    return attr(key, varint_field(6, number))


def types_attr(key: bytes, values: Sequence[int]) -> bytes:
    """Encode an attribute that is a list of DataTypes."""
    return attr(key, field(1, numbers(6, values)))


def text_attr(key: bytes, value: bytes) -> bytes:
    """Encode an attribute that is a string."""
    return attr(key, field(2, value))


@functools.lru_cache(maxsize=4096)
def shape_attr(key: bytes, shape: tuple[int, ...]) -> bytes:
    """Encode an attribute that is a shape."""
    return attr(key, field(7, _shape(shape)))


def colocated(name: bytes) -> bytes:
    """Encode the attribute that keeps a node on the device of the node `name`."""
    # Three of these for each variable, so all fields are joined at once.
    size = _VARINTS
    text = b"\x12%bloc:@%b" % (size[len(name) + 5], name)
    items = b"\x0a%b%b" % (size[len(text)], text)
    entry = b"\x0a\x06_class\x12%b%b" % (size[len(items)], items)
    return b"\x2a%b%b" % (size[len(entry)], entry)


def strings_tensor_attr(values: Sequence[bytes]) -> bytes:
    """Encode the ``value`` of a constant that is a vector of strings."""
    content = b"".join([b"\x42" + varint(len(value)) + value for value in values])
    return _tensor_attr(7, (len(values),), content)


def text_tensor_attr(value: bytes) -> bytes:
    """Encode the ``value`` of a constant that is one string."""
    return _tensor_attr(7, (), field(8, value))


@functools.lru_cache(maxsize=4096)
def zero_attr(number: int, shape: tuple[int, ...]) -> bytes:
    """Encode the ``value`` of a constant that is zero throughout, in a few bytes for any shape."""
    absent = number == _VARIANT or 0 in shape
    return _tensor_attr(number, shape, b"" if absent else _ZEROS[field_of(number)])


def _tensor_attr(number: int, shape: tuple[int, ...], content: bytes) -> bytes:
    tensor = varint_field(1, number) + field(2, _shape(shape)) + content
    return attr(b"value", field(8, tensor))


def _shape(shape: tuple[int, ...]) -> bytes:
    return b"".join(field(2, varint_field(1, size)) for size in shape)


def _encode_varint(value: int) -> bytes:
    value &= _ALL_BITS
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
