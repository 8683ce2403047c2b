"""The raw Snappy format: a naive decoder and a compressor that only makes literals."""

from __future__ import annotations

from oracle.coding import OracleError, decode_varint, encode_varint


def encode_literals(data: bytes, chunk: int = 65536) -> bytes:
    """Wrap ``data`` into literals of at most ``chunk`` bytes: valid, and larger than the data."""
    out = encode_varint(len(data))
    for at in range(0, len(data), chunk):
        piece = data[at : at + chunk]
        out += _literal_tag(len(piece)) + piece
    return out


def _literal_tag(length: int) -> bytes:
    if length <= 60:
        return bytes([(length - 1) << 2])
    size = ((length - 1).bit_length() + 7) // 8
    return bytes([(59 + size) << 2]) + (length - 1).to_bytes(size, "little")


def encode(data: bytes) -> bytes:
    """Compress ``data`` with cramjam, which is imported only here."""
    import cramjam

    return bytes(cramjam.snappy.compress_raw(data))


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    if at + size > len(data):
        raise OracleError(f"Snappy element at {at} is cut off")
    return int.from_bytes(data[at : at + size], "little"), at + size


def decode(stream: bytes) -> bytes:
    """Decompress one stream, checking everything."""
    size, at = decode_varint(stream, 0)
    out = bytearray()
    while at < len(stream):
        tag = stream[at]
        length, at = (tag >> 2) + 1, at + 1
        if tag & 3 == 0:
            if length > 60:
                length, at = _number(stream, at, length - 60)
                length += 1
            if at + length > len(stream):
                raise OracleError("Snappy literal is cut off")
            out += stream[at : at + length]
            at += length
        else:
            offset, at = _number(stream, at, {1: 1, 2: 2, 3: 4}[tag & 3])
            if tag & 3 == 1:
                offset, length = offset | tag >> 5 << 8, 4 + (tag >> 2 & 7)
            if not 0 < offset <= len(out):
                raise OracleError(f"Snappy copy from {offset} bytes back, {len(out)} are there")
            for _ in range(length):
                out.append(out[-offset])
        if len(out) > size:
            raise OracleError(f"Snappy stream yields more than {size} bytes")
    if len(out) != size:
        raise OracleError(f"Snappy stream yields {len(out)} bytes, {size} are claimed")
    return bytes(out)
