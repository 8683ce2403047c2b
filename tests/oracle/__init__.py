"""A slow, plain twin of the library: every rule of the file format in pure Python.

The tests compare the library with it, and use it to make checkpoints that TensorFlow would never
write: other block sizes, Snappy blocks, the other byte order, and malformed files whose checksums
are right.
"""

from __future__ import annotations

from oracle.bundle import (
    Bundle,
    build_bundle,
    index_path,
    read_bundle,
    read_entries,
    shard_path,
    write_bundle,
    write_files,
)
from oracle.coding import Extent, OracleError, crc32c, mask, masked_crc, slice_key, unmask
from oracle.entry import Entry, Header, block_crcs, block_crcs_field
from oracle.table import Block, TableWriter, assemble, build_table, encode_block, read_table
from oracle.tensor import Raw, Slices, Variants

__all__ = [
    "Block",
    "Bundle",
    "Entry",
    "Extent",
    "Header",
    "OracleError",
    "Raw",
    "Slices",
    "TableWriter",
    "Variants",
    "assemble",
    "block_crcs",
    "block_crcs_field",
    "build_bundle",
    "build_table",
    "crc32c",
    "encode_block",
    "index_path",
    "mask",
    "masked_crc",
    "read_bundle",
    "read_entries",
    "read_table",
    "shard_path",
    "slice_key",
    "unmask",
    "write_bundle",
    "write_files",
]
