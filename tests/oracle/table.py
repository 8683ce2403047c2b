"""The sorted string table: blocks, trailers, handles, footer.

``TableWriter`` follows TensorFlow's writer step by step. Every part can be replaced before
``assemble`` joins the parts and computes the checksums, so malformed tables with valid checksums
are as easy to make as good ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from oracle import snappy
from oracle.coding import OracleError, decode_varint, encode_varint, masked_crc

MAGIC = bytes.fromhex("57fb808b247547db")
EMPTY_BLOCK = bytes.fromhex("0000000001000000")
FOOTER_SIZE = 48
TRAILER_SIZE = 5
BLOCK_SIZE = 262144
RESTART_INTERVAL = 16

RAW, SNAPPY = 0, 1

Pair = tuple[bytes, bytes]


class BlockBuilder:
    """Collects the entries of one block."""

    def __init__(self, restart_interval: int = RESTART_INTERVAL) -> None:
        self.restart_interval = restart_interval
        self.entries = bytearray()
        self.restarts = [0]
        self.count = 0
        self._last_key = b""

    def add(self, key: bytes, value: bytes) -> None:
        """Append an entry, sharing what its key has in common with the one before."""
        shared = 0
        if self.count and self.count % self.restart_interval == 0:
            self.restarts.append(len(self.entries))
        elif self.count:
            shared = common_prefix(self._last_key, key)
        self.entries += encode_varint(shared) + encode_varint(len(key) - shared)
        self.entries += encode_varint(len(value)) + key[shared:] + value
        self._last_key = key
        self.count += 1

    def size(self) -> int:
        """Return the size that :meth:`finish` would give."""
        return len(self.entries) + 4 * len(self.restarts) + 4

    def finish(self) -> bytes:
        """Return the block: entries, restarts, number of restarts."""
        numbers = [*self.restarts, len(self.restarts)]
        return bytes(self.entries) + b"".join(n.to_bytes(4, "little") for n in numbers)


def encode_block(pairs: Iterable[Pair], restart_interval: int = RESTART_INTERVAL) -> bytes:
    """Return one block that holds ``pairs`` in the given order, sorted or not."""
    builder = BlockBuilder(restart_interval)
    for key, value in pairs:
        builder.add(key, value)
    return builder.finish()


def common_prefix(a: bytes, b: bytes) -> int:
    """Return the number of equal bytes at the beginning of both."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def separator(a: bytes, b: bytes) -> bytes:
    """Return the index key between the last key ``a`` of a block and the next key ``b``."""
    i = common_prefix(a, b)
    if i < min(len(a), len(b)) and a[i] != 0xFF and a[i] + 1 < b[i]:
        return a[:i] + bytes([a[i] + 1])
    return a


def successor(key: bytes) -> bytes:
    """Return the index key after the last key of a table."""
    for i, byte in enumerate(key):
        if byte != 0xFF:
            return key[:i] + bytes([byte + 1])
    return key


# --- parts to bytes ------------------------------------------------------------------------------


@dataclass
class Block:
    """One data block; ``None`` stands for the right value.

    ``stored`` are the bytes in the file without the trailer, ``handle`` the value of the index
    entry, ``masked_crc`` the checksum in the trailer.
    """

    stored: bytes
    index_key: bytes
    kind: int = RAW
    masked_crc: int | None = None
    handle: bytes | None = None

    def seal(self) -> bytes:
        """Return the stored bytes and the trailer."""
        return seal(self.stored, self.kind, self.masked_crc)


def seal(stored: bytes, kind: int = RAW, crc: int | None = None) -> bytes:
    """Append the trailer: type byte and masked checksum of both."""
    tagged = stored + bytes([kind])
    return tagged + (masked_crc(tagged) if crc is None else crc).to_bytes(4, "little")


def encode_handle(offset: int, size: int) -> bytes:
    """Encode where a block is; ``size`` leaves out the trailer."""
    return encode_varint(offset) + encode_varint(size)


def encode_footer(metaindex: bytes, index: bytes, magic: bytes = MAGIC) -> bytes:
    """Return the last 48 bytes of a table."""
    return (metaindex + index).ljust(40, b"\x00") + magic


def assemble(
    blocks: Iterable[Block],
    *,
    metaindex: bytes = EMPTY_BLOCK,
    index: Block | None = None,
    footer: Callable[[bytes, bytes], bytes] = encode_footer,
) -> bytes:
    """Join data blocks into a table.

    ``index`` replaces the index block (its ``index_key`` is not used, its ``handle`` goes to the
    footer); ``footer`` is given the metaindex and index handles.
    """
    blocks = list(blocks)
    index = index or Block(encode_block(index_pairs(blocks), 1), b"")
    out = b"".join(block.seal() for block in blocks)
    metaindex_handle = encode_handle(len(out), len(metaindex))
    out += seal(metaindex)
    index_handle = index.handle or encode_handle(len(out), len(index.stored))
    return out + index.seal() + footer(metaindex_handle, index_handle)


def index_pairs(blocks: Iterable[Block]) -> list[Pair]:
    """Return the entries of the index block: (index key, handle) of each data block."""
    pairs = []
    offset = 0
    for block in blocks:
        handle = encode_handle(offset, len(block.stored))
        pairs.append((block.index_key, handle if block.handle is None else block.handle))
        offset += len(block.stored) + TRAILER_SIZE
    return pairs


# --- the writer ----------------------------------------------------------------------------------


def compress(content: bytes, compression: str) -> tuple[bytes, int]:
    """Return the stored form of a block and its type byte.

    ``"snappy"`` keeps the compressed form where it saves an eighth, as LevelDB's writer does;
    ``"literal"`` makes every block a Snappy block that only holds literals.
    """
    if compression == "none":
        return content, RAW
    if compression == "literal":
        return snappy.encode_literals(content), SNAPPY
    compressed = snappy.encode(content)
    if len(compressed) < len(content) - len(content) // 8:
        return compressed, SNAPPY
    return content, RAW


@dataclass
class TableWriter:
    """TensorFlow's table writer. Keys are taken in the given order, sorted or not."""

    block_size: int = BLOCK_SIZE
    restart_interval: int = RESTART_INTERVAL
    compression: str = "none"
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._builder = BlockBuilder(self.restart_interval)
        self._count = 0
        self._last_key = b""
        self._has_open_index_key = False

    def add(self, key: bytes, value: bytes) -> None:
        """Append one pair."""
        if self._count and len(key) + len(value) >= 2 * self.block_size:
            self.flush()
        if self._has_open_index_key:
            self.blocks[-1].index_key = separator(self._last_key, key)
            self._has_open_index_key = False
        self._last_key = key
        self._count += 1
        self._builder.add(key, value)
        if self._builder.size() >= self.block_size:
            self.flush()

    def flush(self) -> None:
        """Close the current block, unless it is empty."""
        if not self._builder.count:
            return
        stored, kind = compress(self._builder.finish(), self.compression)
        self.blocks.append(Block(stored, self._last_key, kind))
        self._builder = BlockBuilder(self.restart_interval)
        self._has_open_index_key = True

    def close(self) -> list[Block]:
        """Close the last block and return all of them, ready for changes and ``assemble``."""
        self.flush()
        if self._has_open_index_key:
            self.blocks[-1].index_key = successor(self._last_key)
            self._has_open_index_key = False
        return self.blocks

    def finish(self) -> bytes:
        """Return the bytes of the whole table."""
        blocks = self.close()
        stored, kind = compress(encode_block(index_pairs(blocks), 1), self.compression)
        return assemble(blocks, index=Block(stored, b"", kind))


def build_table(
    pairs: Iterable[Pair],
    *,
    block_size: int = BLOCK_SIZE,
    restart_interval: int = RESTART_INTERVAL,
    compression: str = "none",
) -> bytes:
    """Return a table that holds ``pairs`` in the given order."""
    writer = TableWriter(block_size, restart_interval, compression)
    for key, value in pairs:
        writer.add(key, value)
    return writer.finish()


# --- the reader ----------------------------------------------------------------------------------


def _fixed32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def decode_block(block: bytes) -> list[Pair]:
    """Return the entries of one block, checking its restarts."""
    count = _fixed32(block, len(block) - 4)
    end = len(block) - 4 - 4 * count
    if len(block) < 8 or count == 0 or end < 0:
        raise OracleError("block is too short for its restarts")
    restarts = {_fixed32(block, end + 4 * i) for i in range(count)}
    pairs: list[Pair] = []
    starts = {0}
    at = 0
    while at < end:
        starts.add(at)
        shared, start = decode_varint(block, at)
        unshared, start = decode_varint(block, start)
        size, start = decode_varint(block, start)
        last_key = pairs[-1][0] if pairs else b""
        at_restart = at in restarts
        at = start + unshared + size
        if at > end or shared > len(last_key) or (at_restart and shared):
            raise OracleError("bad entry in block")
        key = last_key[:shared] + block[start : start + unshared]
        pairs.append((key, block[start + unshared : at]))
    if not restarts <= starts:
        raise OracleError("a restart is not the beginning of an entry")
    return pairs


def _read_block(data: bytes, handle: bytes) -> bytes:
    offset, at = decode_varint(handle, 0)
    size, _ = decode_varint(handle, at)
    if offset + size + TRAILER_SIZE > len(data) - FOOTER_SIZE:
        raise OracleError(f"block at {offset} runs past the end of the table")
    tagged = data[offset : offset + size + 1]
    if masked_crc(tagged) != _fixed32(data, offset + size + 1):
        raise OracleError(f"checksum mismatch in the block at {offset}")
    if tagged[-1] not in (RAW, SNAPPY):
        raise OracleError(f"bad type {tagged[-1]} of the block at {offset}")
    return snappy.decode(tagged[:-1]) if tagged[-1] == SNAPPY else tagged[:-1]


def index_entries(data: bytes) -> list[Pair]:
    """Return the index block's entries: (index key, handle)."""
    if len(data) < FOOTER_SIZE or data[-8:] != MAGIC:
        raise OracleError("not a sorted string table")
    footer = data[-FOOTER_SIZE:]
    at = 0
    for _ in range(2):
        _, at = decode_varint(footer, at)
    return decode_block(_read_block(data, footer[at:]))


def read_table(data: bytes) -> list[Pair]:
    """Return all pairs, after checking every block and the order of the keys."""
    pairs: list[Pair] = []
    for index_key, handle in index_entries(data):
        block = decode_block(_read_block(data, handle))
        if block and block[-1][0] > index_key:
            raise OracleError("a key is greater than its block's index key")
        pairs += block
    if any(a[0] >= b[0] for a, b in pairwise(pairs)):
        raise OracleError("keys are not in ascending order")
    return pairs
