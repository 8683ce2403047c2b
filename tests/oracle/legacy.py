"""V1 checkpoints: string tables of protobuf records, written as TensorFlow writes them, and oddly.

v1 = build_v1({"w": array, "s": [b"a", b"b"]})
v1.add("p", rows, extents=[(0, 2), None], shape=(4, 3))     # one slice of a partitioned tensor
v1.version = b""                                             # any part may be changed
v1.write(path, block_size=1024, compression="snappy")
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from oracle.coding import Extent, bytes_field, encode_varint, slice_key, varint_field
from oracle.entry import encode_shape, encode_slice
from oracle.table import BLOCK_SIZE, RESTART_INTERVAL, Pair, build_table
from oracle.tensor import DT_STRING, dtype_number

# DataType number -> field of TensorProto.
VALUE_FIELDS = {
    1: 5, 2: 6, 3: 7, 4: 7, 5: 7, 6: 7, 7: 8, 8: 9, 9: 10, 10: 11, 11: 7, 12: 7, 13: 7, 17: 7,
    18: 12, 19: 13,
}  # fmt: skip

# VersionDef {producer: 1}.
VERSION = b"\x08\x01"


def encode_tensor(value: Any, dtype: int, *, packed: bool = True) -> bytes:
    """Return a TensorProto with nothing but the value field."""
    number = VALUE_FIELDS[dtype]
    if dtype == DT_STRING:
        items = np.asarray(value, object).ravel()
        return b"".join(bytes_field(number, bytes(item)) for item in items)
    units = _units(np.asarray(value))
    if packed:
        return bytes_field(number, b"".join(units)) if units else b""
    wire = {4: 5, 8: 1}[len(units[0])] if number in (5, 6, 9, 12) and units else 0
    return b"".join(encode_varint(number << 3 | wire) + unit for unit in units)


def _units(array: np.ndarray[Any, Any]) -> list[bytes]:
    """Return what stands for each element, or each half of a complex one."""
    if array.dtype == np.float16:
        array = array.view(np.uint16)
    if array.dtype.kind in "fc":
        code = "<f" if array.dtype in (np.float32, np.complex64) else "<d"
        halves = np.ascontiguousarray(array).ravel().view(code)
        return [struct.pack(code, x) for x in halves.tolist()]
    return [encode_varint(int(x)) for x in array.ravel()]


def encode_record(name: bytes, extents: Sequence[Extent], tensor: bytes) -> bytes:
    """Return the SavedTensorSlices of one slice."""
    content = bytes_field(1, name) + bytes_field(2, encode_slice(extents)) + bytes_field(3, tensor)
    return bytes_field(2, content)


@dataclass
class MetaItem:
    """A SavedSliceMeta: what the file says of one tensor. Any field may be wrong."""

    name: bytes
    shape: Sequence[int] = ()
    dtype: int = 1
    slices: list[Sequence[Extent]] = field(default_factory=list)
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the message."""
        out = bytes_field(1, self.name) + bytes_field(2, encode_shape(self.shape))
        out += varint_field(3, self.dtype) if self.dtype else b""
        return out + b"".join(bytes_field(4, encode_slice(x)) for x in self.slices) + self.extra


@dataclass
class V1File:
    """One file in memory. `meta`, where given, replaces the value of the empty key."""

    items: list[MetaItem | bytes] = field(default_factory=list)
    records: dict[bytes, bytes] = field(default_factory=dict)
    version: bytes | None = VERSION
    meta: bytes | None = None

    def add(
        self,
        name: str | bytes,
        value: Any,
        *,
        dtype: int | None = None,
        shape: Sequence[int] | None = None,
        extents: Sequence[Extent] | None = None,
        packed: bool = True,
    ) -> None:
        """Append a tensor, or with `extents` one slice of a tensor of this full shape."""
        key = name.encode() if isinstance(name, str) else name
        array = np.asarray(value, object) if _is_text(value) else np.asarray(value)
        number = dtype_number(array.dtype) if dtype is None else dtype
        extents = (None,) * array.ndim if extents is None else extents
        item = self._item(key, array.shape if shape is None else shape, number)
        item.slices.append(extents)
        tensor = encode_tensor(array, number, packed=packed)
        # The first payload is kept, as TensorFlow keeps it.
        record = encode_record(key, extents, tensor)
        self.records.setdefault(slice_key(key, extents), record)

    def _item(self, name: bytes, shape: Sequence[int], dtype: int) -> MetaItem:
        for item in self.items:
            if isinstance(item, MetaItem) and item.name == name:
                return item
        fresh = MetaItem(name, shape, dtype)
        self.items.append(fresh)
        return fresh

    def set_tensor(self, name: str, tensor: bytes, extents: Sequence[Extent] = (None,)) -> None:
        """Replace the TensorProto of a slice."""
        key = slice_key(name.encode(), extents)
        self.records[key] = encode_record(name.encode(), extents, tensor)

    def item(self, name: str) -> MetaItem:
        """Return what the file says of a tensor."""
        found = [x for x in self.items if isinstance(x, MetaItem) and x.name == name.encode()]
        return found[0]

    def pairs(self) -> list[Pair]:
        """Return the table's pairs in the order of keys."""
        meta = self.meta
        if meta is None:
            items = (x if isinstance(x, bytes) else x.encode() for x in self.items)
            content = b"".join(bytes_field(1, item) for item in items)
            version = b"" if self.version is None else bytes_field(2, self.version)
            meta = bytes_field(1, content + version)
        return [(b"", meta), *sorted(self.records.items())]

    def table(
        self,
        *,
        block_size: int = BLOCK_SIZE,
        restart_interval: int = RESTART_INTERVAL,
        compression: str = "none",
    ) -> bytes:
        """Return the bytes of the file; compression is "none", "literal" or "snappy"."""
        return build_table(
            self.pairs(),
            block_size=block_size,
            restart_interval=restart_interval,
            compression=compression,
        )

    def write(self, path: Path, **options: Any) -> Path:
        """Write the file and return its path."""
        path.write_bytes(self.table(**options))
        return path


def build_v1(tensors: Mapping[str, Any]) -> V1File:
    """Return a file that holds these tensors, sorted by name as TensorFlow sorts them."""
    v1 = V1File()
    for name in sorted(tensors, key=str.encode):
        v1.add(name, tensors[name])
    return v1


def _is_text(value: Any) -> bool:
    return isinstance(value, (bytes, str)) or (
        isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], (bytes, str))
    )
