"""Block checksums, the field that fastckpt adds to entries: odd and wrong ones."""

from __future__ import annotations

import fastckpt
from corruption.forge import UINT8, entry
from malformed.case import GOOD, NEIGHBOURS, Case, between, fields, files, wide_varint
from oracle import block_crcs, block_crcs_field
from oracle.coding import bytes_field, fixed32_field, fixed64_field, group_field

# Three blocks of 4096 bytes, the last one shorter; its elements are the bytes of DATA.
DATA = bytes(i * 7 % 251 for i in range(10_000))
BLOCK = 4096
GOOD_BLOCKS = block_crcs(DATA, BLOCK)
PACKED = GOOD_BLOCKS[-12:]


def blocks(inner: bytes) -> bytes:
    """The field of block checksums with this message."""
    return bytes_field(1000, inner)


# id: (bytes behind the entry's other fields, description, damaged byte or None)
BLOCKS: dict[str, tuple[bytes, str, int | None]] = {
    "right": (GOOD_BLOCKS, "right block checksums", None),
    "right_damaged": (GOOD_BLOCKS, "right block checksums of damaged bytes", 5000),
    "one_byte_each": (block_crcs(DATA, 1), "blocks of one byte", None),
    "size_zero": (block_crcs_field(0, PACKED), "block size 0", None),
    "size_one_zeros": (block_crcs_field(1, bytes(40_000)), "blocks of one byte, zeros", None),
    "size_max": (block_crcs_field(2**64 - 1, PACKED), "largest block size", None),
    "size_2_63": (block_crcs_field(2**63, PACKED), "block size whose multiples wrap to 0", None),
    "size_of_all": (block_crcs(DATA, 10_000), "one block that is the whole tensor", None),
    "size_absent": (blocks(bytes_field(2, PACKED)), "block size is absent", None),
    "size_twice": (
        blocks(fields((1, 5000), (1, BLOCK)) + bytes_field(2, PACKED)), "block size twice", None,
    ),
    "size_wide": (
        blocks(wide_varint(1, BLOCK) + bytes_field(2, PACKED)), "block size in ten bytes", None,
    ),
    "size_as_fixed64": (
        blocks(fixed64_field(1, BLOCK) + bytes_field(2, PACKED)),
        "block size of another wire type", None,
    ),
    "list_absent": (blocks(fields((1, BLOCK))), "no block checksums", None),
    "list_empty": (block_crcs_field(BLOCK, b""), "zero block checksums", None),
    "list_short": (block_crcs_field(BLOCK, PACKED[:8]), "a block checksum too few", None),
    "list_long": (block_crcs_field(BLOCK, PACKED + PACKED[:4]), "one too many", None),
    "list_huge": (block_crcs_field(BLOCK, bytes(1 << 20)), "262 144 for three blocks", None),
    "list_odd": (block_crcs_field(BLOCK, PACKED[:-1]), "block checksums cut off", None),
    "list_unpacked": (
        blocks(fields((1, BLOCK)) + b"".join(
            fixed32_field(2, int.from_bytes(PACKED[i : i + 4], "little")) for i in (0, 4, 8)
        )),
        "block checksums that are not packed", None,
    ),
    "list_past_end": (
        blocks(fields((1, BLOCK)) + b"\x12\xff\xff\xff\xff\x0f"), "list of 4 GiB in no bytes",
        None,
    ),
    "wrong_zeros": (block_crcs_field(BLOCK, bytes(12)), "block checksums of zero", None),
    "wrong_swapped": (
        block_crcs_field(BLOCK, PACKED[4:8] + PACKED[:4] + PACKED[8:]),
        "two block checksums changed places", None,
    ),
    "wrong_of_damage": (
        block_crcs(DATA[:5000] + b"!" + DATA[5001:], BLOCK),
        "block checksums that damaged bytes have", 5000,
    ),
    "twice": (GOOD_BLOCKS * 2, "the field twice", None),
    "many_times": (
        blocks(fields((1, BLOCK))) * 50_000, "the field 50 000 times, a part in each", None,
    ),
    "as_number": (fields((1000, 2**64 - 1)), "the field as a number", None),
    "as_group": (group_field(1000, fields((1, BLOCK))), "the field as a group", None),
    "text": (blocks(b"block_size: 4096"), "the field in text form", None),
}  # fmt: skip


def block_case(name: str) -> Case:
    """A tensor of numbers and its block checksums, between two others."""
    extra, description, damaged = BLOCKS[name]
    stored = bytearray(GOOD + DATA)
    if damaged is not None:
        stored[len(GOOD) + damaged] = ord("!")
    key, value = entry("bad", DATA, dtype=UINT8, shape=(len(DATA),), offset=len(GOOD))
    return Case(
        f"blocks/{name}",
        description,
        "format.md, block checksums: what cannot be right is ignored; the tensor's CRC decides",
        files(between((key, value + extra)), bytes(stored)),
        tensors=NEIGHBOURS | {"bad": list(DATA) if damaged is None else fastckpt.DataLossError},
        sound=damaged is None,
    )


def cases() -> list[Case]:
    """All of them."""
    return [block_case(name) for name in BLOCKS]
