"""The messages of the index: header, entry, slice.

Fields take any number, right or wrong, and ``extra`` takes bytes to append, so that every
malformed message can be made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.coding import (
    ByteOrder,
    Extent,
    OracleError,
    bytes_field,
    decode_fields,
    decode_varint,
    fixed32_field,
    masked_crc,
    signed,
    varint_field,
)

Fields = list[tuple[int, int, int | bytes, bytes]]


def _nonzero(number: int, value: int) -> bytes:
    return varint_field(number, value) if value else b""


def _number(fields: Fields, number: int, bits: int = 64) -> int:
    """Return the last value of a number field, 0 where it is absent."""
    values = [value for n, wire, value, _ in fields if n == number and wire == 0]
    return signed(_as_int(values[-1]), bits) if values else 0


def _messages(fields: Fields, number: int) -> list[bytes]:
    return [v for n, wire, v, _ in fields if (n, wire) == (number, 2) and isinstance(v, bytes)]


def _as_int(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value


@dataclass
class Header:
    """The message at the empty key. ``has_version=False`` leaves the version out altogether."""

    num_shards: int = 1
    endianness: int = 0
    producer: int = 1
    min_consumer: int = 0
    bad_consumers: Sequence[int] = ()
    has_version: bool = True
    extra: bytes = b""

    @property
    def byte_order(self) -> ByteOrder:
        """Return the byte order of the shards."""
        return "big" if self.endianness == 1 else "little"

    def encode(self) -> bytes:
        """Return the message."""
        out = _nonzero(1, self.num_shards) + _nonzero(2, self.endianness)
        if self.has_version:
            packed = b"".join(varint_field(0, value)[1:] for value in self.bad_consumers)
            version = _nonzero(1, self.producer) + _nonzero(2, self.min_consumer)
            out += bytes_field(3, version + (bytes_field(3, packed) if packed else b""))
        return out + self.extra

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Parse the message; unknown fields are left out."""
        fields = decode_fields(data)
        versions = _messages(fields, 3)
        version = decode_fields(b"".join(versions))
        bad = [signed(_as_int(v), 32) for n, wire, v, _ in version if (n, wire) == (3, 0)]
        for packed in _messages(version, 3):
            at = 0
            while at < len(packed):
                value, at = decode_varint(packed, at)
                bad.append(signed(value, 32))
        return cls(
            num_shards=_number(fields, 1, 32),
            endianness=_number(fields, 2, 32),
            producer=_number(version, 1, 32),
            min_consumer=_number(version, 2, 32),
            bad_consumers=tuple(bad),
            has_version=bool(versions),
        )


def block_crcs(data: bytes, block_size: int) -> bytes:
    """Return the field of the checksums of `data`'s blocks, for the `extra` of an entry."""
    masked = (masked_crc(data[at : at + block_size]) for at in range(0, len(data), block_size))
    return block_crcs_field(block_size, b"".join(crc.to_bytes(4, "little") for crc in masked))


def block_crcs_field(block_size: int, packed: bytes) -> bytes:
    """Return the field of block checksums with this content, right or wrong."""
    return bytes_field(1000, varint_field(1, block_size) + bytes_field(2, packed))


def encode_shape(shape: Sequence[int]) -> bytes:
    """Return a TensorShapeProto."""
    return b"".join(bytes_field(2, _nonzero(1, size)) for size in shape)


def encode_slice(extents: Sequence[Extent]) -> bytes:
    """Return a TensorSliceProto; a dimension taken in full is an empty message."""
    out = b""
    for extent in extents:
        if extent is None:
            out += bytes_field(1, b"")
        else:
            out += bytes_field(1, _nonzero(1, extent[0]) + varint_field(2, extent[1]))
    return out


def decode_slice(data: bytes) -> tuple[Extent, ...]:
    """Parse a TensorSliceProto."""
    extents: list[Extent] = []
    for message in _messages(decode_fields(data), 1):
        fields = decode_fields(message)
        has_length = any((n, wire) == (2, 0) for n, wire, _, _ in fields)
        extents.append((_number(fields, 1), _number(fields, 2)) if has_length else None)
    return tuple(extents)


@dataclass
class Entry:
    """The message of one tensor, or of one stored slice.

    ``masked_crc=None`` leaves the checksum out, as on partitioned tensors; ``shape=None`` leaves
    the shape out, which TensorFlow never does.
    """

    dtype: int
    shape: Sequence[int] | None = ()
    shard_id: int = 0
    offset: int = 0
    size: int = 0
    masked_crc: int | None = None
    slices: Sequence[Sequence[Extent]] = ()
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the message."""
        out = _nonzero(1, self.dtype)
        if self.shape is not None:
            out += bytes_field(2, encode_shape(self.shape))
        out += _nonzero(3, self.shard_id) + _nonzero(4, self.offset) + _nonzero(5, self.size)
        if self.masked_crc:
            out += fixed32_field(6, self.masked_crc)
        out += b"".join(bytes_field(7, encode_slice(extents)) for extents in self.slices)
        return out + self.extra

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """Parse the message; unknown fields are kept in ``extra``."""
        fields = decode_fields(data)
        shapes = decode_fields(b"".join(_messages(fields, 2)))
        if _number(shapes, 3):
            raise OracleError("shape of unknown rank")
        crcs = [_as_int(value) for n, wire, value, _ in fields if (n, wire) == (6, 5)]
        return cls(
            dtype=_number(fields, 1, 32),
            shape=tuple(_number(decode_fields(dim), 1) for dim in _messages(shapes, 2)),
            shard_id=_number(fields, 3, 32),
            offset=_number(fields, 4),
            size=_number(fields, 5),
            masked_crc=crcs[-1] if crcs else None,
            slices=tuple(decode_slice(message) for message in _messages(fields, 7)),
            extra=b"".join(raw for n, _, _, raw in fields if not 1 <= n <= 7),
        )
