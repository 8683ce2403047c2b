"""The container of an index: blocks, compression, handles, footer. Checksums are right."""

from __future__ import annotations

import struct
from collections.abc import Callable

import fastckpt
from corruption import forge
from corruption.forge import entry, header
from malformed.case import GOOD, VALUES, Case, Expected, blocks_of, files, one_block
from oracle import encode_block
from oracle.coding import encode_varint, masked_crc
from oracle.table import (
    EMPTY_BLOCK,
    MAGIC,
    Block,
    assemble,
    encode_footer,
    encode_handle,
    index_pairs,
    seal,
)

RECORDS = [header(), entry("a", GOOD), entry("b", GOOD), entry("c", GOOD)]
PLAIN = encode_block(RECORDS)
THREE: dict[str, Expected] = {"a": VALUES, "b": VALUES, "c": VALUES}
RESTARTS = struct.pack("<II", 0, 1)
ENTRIES = PLAIN[: -len(RESTARTS)]
SPLIT = blocks_of(RECORDS[:2], RECORDS[2:3], RECORDS[3:])


def with_restarts(*numbers: int) -> bytes:
    """The good entries followed by these restart offsets and their count."""
    return ENTRIES + struct.pack(f"<{len(numbers) + 1}I", *numbers, len(numbers))


def snappy(*elements: bytes, size: int = len(PLAIN)) -> bytes:
    """A table whose only data block is this Snappy stream."""
    return forge.table([encode_varint(size) + b"".join(elements)], kinds=[forge.SNAPPY])


def literal(data: bytes) -> bytes:
    """A Snappy literal with a length of two bytes."""
    return bytes([61 << 2]) + struct.pack("<H", len(data) - 1) + data


def keyed(keys: list[bytes]) -> bytes:
    """The three blocks of SPLIT under these keys in the index block."""
    return assemble([Block(stored, key) for stored, key in zip(SPLIT, keys, strict=True)])


def with_index(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """The three blocks of SPLIT with this index block."""
    blocks = [Block(stored, b"") for stored in SPLIT]
    return assemble(blocks, index=Block(encode_block(pairs, 1), b""))


def handles() -> list[bytes]:
    """The right handles of the three blocks."""
    return [handle for _, handle in index_pairs([Block(stored, b"") for stored in SPLIT])]


def shifted(offset: int, size: int) -> bytes:
    """One block whose handle is moved by so many bytes."""
    return forge.table([PLAIN], handles=[encode_handle(offset, len(PLAIN) + size)])


def footer_handles() -> tuple[bytes, bytes]:
    """The metaindex and index handles of the good table."""
    start = len(seal(PLAIN))
    index = encode_block(index_pairs([Block(PLAIN, b"\xff00000000")]), 1)
    return (
        encode_handle(start, len(EMPTY_BLOCK)),
        encode_handle(start + len(seal(EMPTY_BLOCK)), len(index)),
    )


def footed(metaindex: bytes, index: bytes) -> bytes:
    """A good table with other handles in its footer."""
    return forge.table([PLAIN])[:-48] + encode_footer(metaindex, index)


def gap(between_blocks: bytes) -> bytes:
    """Two blocks with bytes between them that no handle covers."""
    first, second = blocks_of(RECORDS[:2], RECORDS[2:])
    start = len(seal(first)) + len(between_blocks)
    pairs = [
        (b"a", encode_handle(0, len(first))),
        (b"d", encode_handle(start, len(second))),
    ]
    body = seal(first) + between_blocks + seal(second)
    tail = assemble([], index=Block(encode_block(pairs, 1), b""))
    metaindex, index = seal(EMPTY_BLOCK), seal(encode_block(pairs, 1))
    assert tail.startswith(metaindex + index)
    return (
        body
        + metaindex
        + index
        + encode_footer(
            encode_handle(len(body), len(EMPTY_BLOCK)),
            encode_handle(len(body) + len(metaindex), len(index) - 5),
        )
    )


# id: (index, description); opening raises DataLossError.
REFUSED: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "zeros": (bytes(4096), "nothing but zeros, as after a power cut"),
    "ones": (b"\xff" * 4096, "nothing but 0xff bytes"),
    "half": (forge.table([PLAIN])[: len(PLAIN) // 2], "the first half of a table"),
    "tail": (forge.table([PLAIN])[len(PLAIN) // 2 :], "the second half of a table"),
    "magic_swapped": (forge.table([PLAIN])[:-8] + MAGIC[::-1], "the magic number backwards"),
    "leveldb_neighbour": (
        forge.table([PLAIN])[:-8] + b"\x57\xfb\x80\x8b\x24\x75\x47\xda", "magic number off by one",
    ),
    "all_checksums_zero": (
        assemble([Block(PLAIN, b"d", masked_crc=0)]), "block checksum of zero",
    ),
    "checksum_unmasked": (
        assemble([Block(PLAIN, b"d", masked_crc=masked_crc(b""))]), "checksum of other bytes",
    ),
    "index_checksum": (
        assemble([Block(PLAIN, b"d")], index=Block(forge.table([]), b"", masked_crc=1)),
        "checksum of the index block",
    ),
    "handle_off_by_one": (shifted(1, -1), "handle begins one byte late"),
    "handle_too_long": (shifted(0, 1), "handle one byte too long"),
    "handle_too_short": (shifted(0, -1), "handle one byte too short"),
    "handle_into_footer": (shifted(0, 64), "handle that reaches into the index block"),
    "handle_of_index_block": (
        forge.table([PLAIN], handles=[encode_handle(len(PLAIN) + 5 + 13, 20)]),
        "data handle that points at the index block",
    ),
    "handle_unfinished": (forge.table([PLAIN], handles=[b"\x80"]), "handle cut off in a varint"),
    "handle_of_eleven_bytes": (
        forge.table([PLAIN], handles=[b"\x80" * 11 + b"\0"]), "handle with a varint of 12 bytes",
    ),
    "handle_empty": (forge.table([PLAIN], handles=[b""]), "empty handle"),
    "handle_wraps": (
        forge.table([PLAIN], handles=[encode_handle(2**64 - 1, 2)]), "offset and size wrap around",
    ),
    "handle_size_wraps": (
        forge.table([PLAIN], handles=[encode_handle(0, 2**64 - 4)]),
        "size and trailer wrap around",
    ),
    "same_block_twice": (
        with_index([(b"b", handles()[0]), (b"c", handles()[0])]), "two handles of one block",
    ),
    "blocks_backwards": (
        with_index([(b"%d" % i, handle) for i, handle in enumerate(handles()[::-1])]),
        "handles in falling order",
    ),
    "blocks_nested": (
        with_index([(b"b", handles()[0]), (b"c", encode_handle(4, 16))]), "a block inside another",
    ),
    "entry_too_long": (
        forge.table([b"\0\0\x7f" + b"x" * 20 + RESTARTS]),
        "value length past the end of the block",
    ),
    "entry_in_restarts": (
        forge.table([ENTRIES + b"\0\x01\x05d" + RESTARTS]), "value that reaches into the restarts",
    ),
    "entry_of_one_byte": (
        forge.table([ENTRIES + b"\0" + RESTARTS]), "entry cut off in its lengths",
    ),
    "shares_with_nothing": (
        forge.table([b"\x05\x01\x00a" + RESTARTS]), "first key shares five bytes with none",
    ),
    "block_is_empty": (forge.table([b""]), "data block of no bytes"),
    "block_of_restarts_only": (forge.table([EMPTY_BLOCK]), "data block of no entries"),
    "restart_count_huge": (
        forge.table([ENTRIES + struct.pack("<II", 0, 0x40000001)]), "restart count that wraps",
    ),
    "index_block_is_empty": (
        assemble([Block(PLAIN, b"d")], index=Block(b"", b"")), "no index block",
    ),
    "index_block_garbage": (
        assemble([Block(PLAIN, b"d")], index=Block(b"\xff" * 40, b"")),
        "index block of 0xff bytes",
    ),
    "index_block_without_entries": (
        assemble([Block(PLAIN, b"d")], index=Block(EMPTY_BLOCK, b"")),
        "index block without handles",
    ),
    "footer_of_varint_overflow": (
        forge.table([PLAIN])[:-48] + b"\xff" * 10 + b"\x7f" * 30 + MAGIC,
        "footer handles overflow",
    ),
    "footer_swapped": (
        footed(*footer_handles()[::-1]),
        "metaindex and index handle exchanged",
    ),
    "key_repeated_across_blocks": (
        forge.table(blocks_of(RECORDS[:2], RECORDS[1:])), "the same key at both sides of a border",
    ),
    "header_in_second_block": (
        forge.table(blocks_of(RECORDS[1:], RECORDS[:1])), "the header behind the tensors",
    ),
    # Snappy
    "snappy_no_stream": (snappy(size=0), "compressed block of no bytes"),
    "snappy_size_cut": (forge.table([b"\x80"], kinds=[forge.SNAPPY]), "size varint cut off"),
    "snappy_size_33_bits": (snappy(literal(PLAIN), size=2**33), "size of 33 bits"),
    "snappy_size_short": (snappy(literal(PLAIN), size=len(PLAIN) - 1), "more bytes than promised"),
    "snappy_size_long": (snappy(literal(PLAIN), size=len(PLAIN) + 1), "fewer bytes than promised"),
    "snappy_literal_cut": (snappy(literal(PLAIN)[:-3]), "literal past the end of the stream"),
    "snappy_literal_length_cut": (snappy(b"\xfc\xff"), "length of a literal cut off"),
    "snappy_copy_from_before": (
        snappy(b"\x00\x00", b"\x0a\x05\x00"), "copy from before the start",
    ),
    "snappy_copy_of_offset_0": (snappy(b"\x00\x00", b"\x0a\x00\x00"), "copy with offset zero"),
    "snappy_copy_first": (snappy(b"\x01\x01"), "copy before any literal"),
    "snappy_copy_too_long": (
        snappy(literal(PLAIN[:-4]), b"\xfe\x01\x00"), "copy past the promised size",
    ),
    "snappy_copy_cut": (snappy(literal(PLAIN[:4]), b"\x03\x01"), "copy cut off in its offset"),
    "snappy_copy_offset_32_bits": (
        snappy(literal(PLAIN[:8]), b"\x0f\xff\xff\xff\xff"), "copy with an offset of 32 bits",
    ),
    "snappy_tail": (snappy(literal(PLAIN), b"\x00"), "stream goes on behind the last byte"),
    "snappy_framed": (
        forge.table([b"\xff\x06\x00\x00sNaPpY" + PLAIN], kinds=[forge.SNAPPY]),
        "the framed format in place of the raw one",
    ),
}  # fmt: skip

# id: (index, description, whether verify() is content); all tensors are there.
READ: dict[str, tuple[bytes, str, bool]] = {
    "index_keys_too_small": (
        keyed([b"", b"0", b"1"]), "keys of the index block below the keys of their blocks", True,
    ),
    "index_keys_backwards": (
        keyed([b"d", b"c", b"b"]), "keys of the index block in falling order", True,
    ),
    "index_keys_equal": (keyed([b"x"] * 3), "the same key for every block", True),
    "index_keys_too_large": (keyed([b"b", b"c", b"a"]), "last index key before the others", True),
    "restarts_in_entries": (
        forge.table([with_restarts(0, 3, 7)]), "restarts that point into entries", True,
    ),
    "restarts_past_end": (
        forge.table([with_restarts(0, 1 << 20)]), "restart past the end of the block", True,
    ),
    "restart_not_zero": (forge.table([with_restarts(9)]), "first restart is not zero", True),
    "restarts_of_ones": (
        forge.table([with_restarts(*[2**32 - 1] * 4)]), "restarts of 32 one bits", True,
    ),
    "restarts_backwards": (
        forge.table([with_restarts(40, 20, 0)]), "restarts in falling order", True,
    ),
    "empty_block_between": (
        forge.table([SPLIT[0], EMPTY_BLOCK, *SPLIT[1:]]), "a block without entries", True,
    ),
    "handle_with_tail": (
        forge.table([PLAIN], handles=[encode_handle(0, len(PLAIN)) + b"\xff\xff"]),
        "handle followed by other bytes", True,
    ),
    "gap_of_zeros": (gap(bytes(100)), "zeros between two blocks", True),
    "gap_of_bytes": (gap(b"hidden payload"), "bytes between two blocks", False),
    "metaindex_of_garbage": (
        assemble([Block(PLAIN, b"d")], metaindex=b"\xff" * 30),
        "metaindex block of garbage", False,
    ),
    "metaindex_with_entries": (
        assemble([Block(PLAIN, b"d")], metaindex=encode_block([(b"filter", b"\0\0")])),
        "metaindex block that names a filter", True,
    ),
    "metaindex_handle_past_end": (
        footed(encode_handle(1 << 40, 8), footer_handles()[1]),
        "metaindex handle past the end", False,
    ),
    "footer_padding": (
        forge.table([PLAIN])[:-9] + b"x" + MAGIC, "footer padding that is not zero", False,
    ),
    "snappy_overlapping_copy": (
        forge.table([b"".join([encode_varint(len(PLAIN)), literal(PLAIN)])], kinds=[forge.SNAPPY]),
        "a Snappy block of one literal", True,
    ),
    "footer_twice": (
        forge.table([PLAIN]) + forge.table([PLAIN])[-48:],
        "a second footer behind the first", False,
    ),
    "restart_at_every_entry": (
        forge.table([encode_block(RECORDS, 1)]), "restarts as close as they may be", True,
    ),
}  # fmt: skip


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(
            f"table/{name}",
            description,
            "FORMAT 1.1, 1.2, 1.4: the index is damaged, and says so when it is opened",
            files(index, GOOD),
            opens=fastckpt.DataLossError,
        )
        for name, (index, description) in REFUSED.items()
    ]
    found += [
        Case(
            f"table/{name}",
            description,
            "FORMAT 14.3: readers accept it; what no reader needs is for verify()",
            files(index, GOOD),
            tensors=THREE,
            sound=sound,
        )
        for name, (index, description, sound) in READ.items()
    ]
    found.append(
        Case(
            "table/snappy_claims_a_gigabyte",
            "a compressed block of 0.9 MB that claims to be a gigabyte",
            "DESIGN 4.4: memory is bounded by the bytes that are there",
            files(lambda: snappy(b"\x00\x00" + b"\xfe\x01\x00" * 300_000, size=1 << 30), GOOD),
            opens=fastckpt.DataLossError,
        )
    )
    found.append(
        Case(
            "table/many_small_blocks",
            "2000 blocks of one tensor each, all with the same bytes",
            "DESIGN 4.4: no hang",
            files(_many_blocks, GOOD),
            tensors={f"t{i:05d}": VALUES for i in range(2000)},
            sound=True,
        )
    )
    return found


def _many_blocks() -> bytes:
    groups = [[header()], *([entry(f"t{i:05d}", GOOD)] for i in range(2000))]
    return forge.table(blocks_of(*groups))


assert one_block(RECORDS) == forge.table([PLAIN]) == footed(*footer_handles())
