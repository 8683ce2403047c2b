"""safetensors files: eight bytes of header length, a JSON header, the bytes of all tensors.

The format is described in the README of the safetensors project. Tensors lie behind each other
without gaps, in little-endian order, those with larger elements first, so that all are aligned.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.errors import DataLossError, LimitExceededError
from fastckpt.storage.new_file import new_file
from fastckpt.tools.convert.tensors import (
    Refused,
    Source,
    Tensor,
    flat_blocks,
    is_unicode,
    little_endian_bytes,
    open_file,
)
from fastckpt.tools.object_graph import OBJECT_GRAPH

__all__ = ["DTYPES", "is_safetensors", "open_source", "refusal", "write"]

Array = NDArray[Any]

# TensorFlow's name -> the format's. F4 takes half a byte, and is packed.
DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16",
    "uint32": "U32", "int32": "I32", "uint64": "U64", "int64": "I64",
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex64": "C64", "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ", "float4_e2m1fn": "F4",
}  # fmt: skip
_TF_NAMES = {theirs: ours for ours, theirs in DTYPES.items()}

# What readers of the format accept at most.
_MAX_HEADER_BYTES = 100_000_000

_METADATA = "__metadata__"
# A JSON object: the TensorFlow dtype of tensors that the format's own does not tell.
_DTYPES_KEY = "fastckpt.dtypes"


def refusal(tensor: Tensor) -> str | None:
    """Say why the format cannot hold a tensor; None where it can."""
    if _plain(tensor.tf_dtype) not in DTYPES:
        return f"safetensors has no {tensor.tf_dtype}"
    if tensor.name == _METADATA:
        return "its name is that of the format's metadata"
    if not is_unicode(tensor.name):
        return "its name is not Unicode"
    if tensor.tf_dtype == "float4_e2m1fn" and math.prod(tensor.shape) % 2:
        return "an odd number of float4 elements does not fill whole bytes"
    return None


def write(
    path: str,
    tensors: Sequence[Tensor],
    *,
    metadata: Mapping[str, str],
    object_graph: bytes | None,
    sync: bool,
    report: Callable[[int, int, str], object],
) -> None:
    """Write tensors that the format can hold into a new file."""
    ordered = sorted(tensors, key=lambda tensor: (-_item_bits(tensor.tf_dtype), tensor.name))
    header = _header(ordered, _all_metadata(ordered, metadata, object_graph))
    done = 0
    with new_file(path, sync=sync) as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for number, tensor in enumerate(ordered):
            is_packed = tensor.tf_dtype == "float4_e2m1fn"
            for block in _packed(tensor.blocks()) if is_packed else tensor.blocks():
                file.write(little_endian_bytes(block))
                done += 2 * block.nbytes if is_packed else block.nbytes
                report(done, number, tensor.name)
        report(done, len(ordered), "")


def _packed(blocks: Iterable[Array]) -> Iterator[Array]:
    """Put two elements into each byte, the first into its lower half."""
    left = np.empty(0, np.uint8)
    for block in blocks:
        nibbles = np.concatenate([left, block.view(np.uint8)])
        whole = len(nibbles) // 2 * 2
        left = nibbles[whole:]
        yield nibbles[:whole:2] | nibbles[1:whole:2] << 4


def _header(tensors: Sequence[Tensor], metadata: Mapping[str, str]) -> bytes:
    rows: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for tensor in tensors:
        size = _stored_bytes(tensor.tf_dtype, tensor.shape)
        rows[tensor.name] = {
            "dtype": DTYPES[_plain(tensor.tf_dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > _MAX_HEADER_BYTES:
        raise LimitExceededError(
            f"the header of a safetensors file would take {len(text)} bytes, and readers accept "
            f"{_MAX_HEADER_BYTES}; convert fewer tensors at a time"
        )
    # The data begins at a multiple of eight bytes.
    return text + b" " * (-len(text) % 8)


def _all_metadata(
    tensors: Sequence[Tensor], given: Mapping[str, str], object_graph: bytes | None
) -> dict[str, str]:
    found = {"format": "tf"}
    special = {x.name: x.tf_dtype for x in tensors if x.tf_dtype != _plain(x.tf_dtype)}
    if special:
        found[_DTYPES_KEY] = json.dumps(special)
    if object_graph is not None:
        found[OBJECT_GRAPH] = base64.b64encode(object_graph).decode()
    return found | dict(given)


# --- reading -------------------------------------------------------------------------------------


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins like this format."""
    return 2 <= int.from_bytes(head[:8], "little") <= _MAX_HEADER_BYTES and head[8:9] == b"{"


def open_source(path: str) -> Source:
    """Open a file of this format; its header is checked as the format demands.

    Raises
    ------
    DataLossError
        Not such a file, a header that cannot be, a truncated file. There are no checksums.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        header, start = _read_header(file.read(8), file.read, size, path)
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise _damaged(path, "its metadata is not text")
    data = np.frombuffer(memory, np.uint8, offset=start)
    rows = {name: _row(path, name, row) for name, row in header.items()}
    _check_layout(path, rows, data.size)
    special = _special_dtypes(metadata)
    tensors, refused = [], []
    for name, (dtype, shape, begin, end) in rows.items():
        if dtype not in _TF_NAMES:
            refused.append(Refused(name, f"no checkpoint holds {dtype}"))
        else:
            tf_dtype = _special(special.get(name), _TF_NAMES[dtype])
            array = partial(_array, data[begin:end], tf_dtype, shape)
            nbytes = math.prod(shape) * dtypes.item_size(dtypes.number_of(tf_dtype))
            tensors.append(Tensor(name, tf_dtype, shape, nbytes, array, partial(_blocks, array)))
    # Views of the memory keep it; there is nothing to close.
    graph = _object_graph(metadata)
    return Source(path, "safetensors", tensors, lambda: None, refused, graph)


_Row = tuple[str, tuple[int, ...], int, int]


def _read_header(
    first: bytes, read: Callable[[int], bytes], size: int, path: str
) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(first, "little")
    if len(first) < 8 or not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
        raise _damaged(path, "the length of its header cannot be")
    text = read(length)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice")
        return found

    try:
        header = json.loads(text.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no JSON object")
    return header, 8 + length


def _row(path: str, name: str, row: Any) -> _Row:
    try:
        dtype, shape, (begin, end) = row["dtype"], row["shape"], row["data_offsets"]
        numbers = [*shape, begin, end]
    except (TypeError, KeyError, ValueError):
        raise _damaged(path, f"the header's row of {name!r} is incomplete") from None
    is_sane = all(type(x) is int and 0 <= x < 1 << 63 for x in numbers)
    if not is_sane or begin > end or not isinstance(dtype, str) or not isinstance(shape, list):
        raise _damaged(path, f"the header's row of {name!r} cannot be")
    if dtype in _TF_NAMES and end - begin != _stored_bytes(_TF_NAMES[dtype], shape):
        raise _damaged(path, f"{name!r} has another size than its shape")
    return dtype, tuple(shape), begin, end


def _check_layout(path: str, rows: Mapping[str, _Row], size: int) -> None:
    """The tensors make up the data, without gaps and overlaps."""
    at = 0
    for begin, end in sorted(row[2:] for row in rows.values()):
        if begin != at:
            raise _damaged(path, "its tensors overlap, or leave gaps")
        at = end
    if at != size:
        raise _damaged(path, f"its tensors take {at} bytes, and it holds {size}")


def _array(data: Array, tf_dtype: str, shape: tuple[int, ...]) -> Array:
    if tf_dtype == "float4_e2m1fn":
        nibbles = np.empty((data.size, 2), np.uint8)
        nibbles[:, 0], nibbles[:, 1] = data & 15, data >> 4
        data = nibbles.reshape(-1)
    if tf_dtype == "bool" and data.size and data.max() > 1:
        data = data != 0
    dtype = dtypes.numpy_dtype(dtypes.number_of(tf_dtype))
    if sys.byteorder == "big" and dtype.itemsize > 1:
        dtype = dtype.newbyteorder("<")
    return data.view(dtype).reshape(shape)


def _blocks(array: Callable[[], Array]) -> Iterator[Array]:
    return flat_blocks(array())


def _special_dtypes(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Read which tensors have a dtype that the format does not tell; nothing where it is odd."""
    try:
        found = json.loads(metadata.get(_DTYPES_KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _special(name: Any, tf_dtype: str) -> str:
    return name if isinstance(name, str) and _plain(name) == tf_dtype else tf_dtype


def _object_graph(metadata: Mapping[str, str]) -> bytes | None:
    text = metadata.get(OBJECT_GRAPH)
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _plain(tf_dtype: str) -> str:
    """The type of which a quantised one has the bytes."""
    return tf_dtype.removeprefix("q")


def _item_bits(tf_dtype: str) -> int:
    if tf_dtype == "float4_e2m1fn":
        return 4
    return 8 * dtypes.item_size(dtypes.number_of(tf_dtype))


def _stored_bytes(tf_dtype: str, shape: Sequence[int]) -> int:
    return (math.prod(shape) * _item_bits(tf_dtype) + 7) // 8


def _damaged(path: str, reason: str) -> DataLossError:
    return DataLossError(f"{path!r} is no intact safetensors file: {reason}", path=path)
