"""NumPy's .npz files: zip archives with one .npy file for each array, here without pickles.

A type that NumPy lacks, and the names of quantised types, stand in the comment of the archive's
entry, which ``numpy.load`` does not look at: what is converted back has its dtype again.
"""

from __future__ import annotations

import ast
import functools
import math
import mmap
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.errors import (
    CheckpointError,
    DataLossError,
    LimitExceededError,
    UnsupportedError,
)
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

__all__ = ["is_npz", "open_source", "refusals", "write"]

Array = NDArray[Any]

_COMMENT = b"fastckpt dtype="

# What deflate and the other methods can make of a byte, at most and with some to spare.
_MAX_EXPANSION = 2000

# As NumPy has it; larger headers belong to dtypes of many fields, which no checkpoint holds.
_MAX_HEADER_BYTES = 10_000

# Fixed parts of a local file header, and where it tells the lengths of name and extra field.
_LOCAL_BYTES = 30
# Of the general purpose flags.
_ENCRYPTED = 1
_CRC_BLOCK = 16 << 20


def refusals(tensors: Sequence[Tensor], *, as_bytes: bool) -> Iterator[Refused]:
    """Give the tensors that the format cannot hold."""
    names = {tensor.name for tensor in tensors}
    for tensor in tensors:
        reason = _refusal(tensor, as_bytes=as_bytes)
        stem = tensor.name.removesuffix(".npy")
        if reason is None and stem != tensor.name and stem in names:
            reason = f"numpy.load would confuse it with {stem!r}"
        if reason is not None:
            yield Refused(tensor.name, reason)


def _refusal(tensor: Tensor, *, as_bytes: bool) -> str | None:
    dtype = None if tensor.tf_dtype == "resource" else _numpy(tensor.tf_dtype)
    if dtype is None or dtype.hasobject:
        return f"NumPy stores {tensor.tf_dtype} as Python objects only"
    if dtype.isbuiltin != 1 and not as_bytes:
        return f"NumPy has no {tensor.tf_dtype}; --as-bytes stores its bits as unsigned integers"
    if not is_unicode(tensor.name):
        return "its name is not Unicode"
    return "its name holds a NUL character" if "\0" in tensor.name else None


def write(
    path: str,
    tensors: Sequence[Tensor],
    *,
    sync: bool,
    report: Callable[[int, int, str], object],
) -> None:
    """Write tensors that the format can hold into a new file, uncompressed."""
    done = 0
    with new_file(path, sync=sync) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for number, tensor in enumerate(tensors):
                with archive.open(_entry(tensor), "w", force_zip64=True) as member:
                    _write_header(member, tensor)
                    for block in tensor.blocks():
                        member.write(little_endian_bytes(block))
                        done += block.nbytes
                        report(done, number, tensor.name)
        report(done, len(tensors), "")


def _entry(tensor: Tensor) -> zipfile.ZipInfo:
    # Its date is 1980, so that equal tensors make equal files.
    info = zipfile.ZipInfo(f"{tensor.name}.npy")
    info.external_attr = 0o644 << 16
    if _stored_dtype(tensor.tf_dtype).name != tensor.tf_dtype:
        info.comment = _COMMENT + tensor.tf_dtype.encode()
    return info


def _write_header(member: Any, tensor: Tensor) -> None:
    dtype = _stored_dtype(tensor.tf_dtype).newbyteorder("<")
    header = {
        "descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": tensor.shape,
    }  # fmt: skip
    npy.write_array_header_1_0(member, header)


def _stored_dtype(tf_dtype: str) -> np.dtype[Any]:
    """The dtype of the array in the file: unsigned integers for what NumPy lacks."""
    dtype = _numpy(tf_dtype)
    return dtype if dtype.isbuiltin == 1 else np.dtype(f"u{dtype.itemsize}")


def _numpy(tf_dtype: str) -> np.dtype[Any]:
    return dtypes.numpy_dtype(dtypes.number_of(tf_dtype))


# --- reading -------------------------------------------------------------------------------------


def is_npz(head: bytes) -> bool:
    """Whether a file begins like a zip archive, an empty one included."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def open_source(path: str) -> Source:
    """Open a file of this format; nothing of the arrays is read.

    Raises
    ------
    DataLossError
        Not a zip archive, or a damaged one.
    """
    file = open_file(path)
    try:
        archive = zipfile.ZipFile(file)
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        members = [x for x in archive.infolist() if not x.is_dir()]
        tensors: list[Tensor] = []
        refused: list[Refused] = []
        seen: set[str] = set()
        for info in members:
            name = info.filename.removesuffix(".npy")
            if name in seen:
                raise _damaged(path, f"two arrays are called {name!r}")
            seen.add(name)
            found = _Member(path, archive, memory, info).describe(name)
            (refused if isinstance(found, Refused) else tensors).append(found)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        file.close()
        if isinstance(error, CheckpointError):
            raise
        raise _damaged(path, str(error)) from None
    except BaseException:
        file.close()
        raise
    return Source(path, "npz", tensors, file.close, refused)


class _Member:
    """One file of the archive."""

    def __init__(
        self, path: str, archive: zipfile.ZipFile, memory: mmap.mmap, info: zipfile.ZipInfo
    ) -> None:
        self._path = path
        self._archive = archive
        self._memory = memory
        self._info = info

    def describe(self, name: str) -> Tensor | Refused:
        """Read the header."""
        if not self._info.filename.endswith(".npy"):
            return Refused(name, "it is no .npy file")
        if self._info.compress_type == zipfile.ZIP_STORED:
            # Far faster than a stream for each of many small arrays.
            begin = self._data_offset()
            self._memory.seek(begin)
            shape, fortran, dtype = _read_npy_header(self._memory)
            start = self._memory.tell() - begin
        else:
            with self._open() as stream:
                shape, fortran, dtype = _read_npy_header(stream)
                start = stream.tell()
        tf_dtype = self._tf_dtype(dtype)
        if tf_dtype is None:
            what = "Python objects, as a pickle" if dtype.hasobject else str(dtype)
            return Refused(name, f"no checkpoint holds {what}")
        nbytes = math.prod(shape) * dtype.itemsize
        if start + nbytes != self._info.file_size:
            raise _damaged(self._path, f"{name!r} has another size than its shape")
        array = partial(self._array, name, start, shape, dtype, tf_dtype, is_fortran=fortran)
        return Tensor(
            name, tf_dtype, tuple(shape), nbytes, array, lambda: flat_blocks(_native(array()))
        )

    def _open(self) -> Any:
        try:
            return self._archive.open(self._info)
        except RuntimeError as error:  # encrypted
            raise UnsupportedError(f"{self._path!r}: {error}", path=self._path) from None

    def _tf_dtype(self, dtype: np.dtype[Any]) -> str | None:
        """TensorFlow's name of the dtype; None where it has none."""
        if dtype.hasobject:
            return None
        comment = self._info.comment
        if comment.startswith(_COMMENT):
            name = comment.removeprefix(_COMMENT).decode("ascii", "replace")
            try:
                known = _stored_dtype(name)
            except CheckpointError:
                known = None
            if known == dtype:
                return name
        try:
            return dtypes.tf_name(dtypes.number_of(dtype))
        except CheckpointError:
            return None

    def _array(
        self,
        name: str,
        start: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        tf_dtype: str,
        *,
        is_fortran: bool,
    ) -> Array:
        """Give the array, its checksum compared: a view where the archive is not compressed."""
        if self._info.compress_type == zipfile.ZIP_STORED:
            data = self._stored(name)[start:]
        else:
            data = self._unpacked(name, start)
        if tf_dtype == "bool" and data.size and data.max() > 1:
            data = data != 0
        array = data.view(dtype)
        if tf_dtype not in ("string", dtype.name):
            array = array.view(_numpy(tf_dtype))
        return array.reshape(shape, order="F" if is_fortran else "C")

    def _data_offset(self) -> int:
        """Where the bytes of a stored file begin."""
        if self._info.flag_bits & _ENCRYPTED:
            raise UnsupportedError(f"{self._path!r} is encrypted", path=self._path)
        begin = self._info.header_offset
        local = self._memory[begin : begin + _LOCAL_BYTES]
        if len(local) < _LOCAL_BYTES or not local.startswith(b"PK\x03\x04"):
            raise _damaged(self._path, f"{self._info.filename!r} is not where it should be")
        lengths = int.from_bytes(local[26:28], "little"), int.from_bytes(local[28:30], "little")
        return begin + _LOCAL_BYTES + sum(lengths)

    def _stored(self, name: str) -> Array:
        begin = self._data_offset()
        if begin + self._info.file_size > len(self._memory):
            raise _damaged(self._path, f"{name!r} is cut short")
        data: Any = np.frombuffer(self._memory, np.uint8, self._info.file_size, begin)
        crc = 0
        for at in range(0, data.size, _CRC_BLOCK):
            crc = zlib.crc32(data[at : at + _CRC_BLOCK], crc)
        if crc != self._info.CRC:
            raise _damaged(self._path, f"the checksum of {name!r} does not match")
        return data  # type: ignore[no-any-return]

    def _unpacked(self, name: str, start: int) -> Array:
        info = self._info
        if info.file_size > (1 << 20) + _MAX_EXPANSION * info.compress_size:
            raise LimitExceededError(
                f"{self._path!r}: {name!r} claims {info.file_size} bytes, more than its "
                f"{info.compress_size} compressed ones can hold",
                path=self._path,
                key=name,
            )
        data: Any = np.empty(info.file_size - start, np.uint8)
        try:
            with self._open() as stream:
                stream.read(start)
                done = 0
                while count := stream.readinto(memoryview(data)[done:]):
                    done += count
                # The checksum is compared at the end of the file.
                rest = stream.read(1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise _damaged(self._path, f"{name!r} cannot be unpacked: {error}") from None
        if done < data.size or rest:
            raise _damaged(self._path, f"{name!r} has another size than its header says")
        return data  # type: ignore[no-any-return]


def _read_npy_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, whether in Fortran's order, and dtype; ValueError where that cannot be.

    NumPy's own function raises whatever Python's tokenizer does.
    """
    major, _ = npy.read_magic(stream)
    if major not in (1, 2, 3):
        raise ValueError(f"version {major} of the .npy format is not known")
    size = int.from_bytes(stream.read(2 if major == 1 else 4), "little")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes")
    return _parse_npy_header(stream.read(size).decode("utf-8" if major == 3 else "latin-1"))


# Many arrays of a file have one shape.
@functools.lru_cache(1024)
def _parse_npy_header(text: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        # Python 2 wrote long integers with an L.
        header = ast.literal_eval(re.sub(r"(\d)L\b", r"\1", text).strip())
        shape, fortran = header["shape"], header["fortran_order"]
        dtype = npy.descr_to_dtype(header["descr"])
    except (SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise ValueError(f"the header of an array cannot be read: {error}") from None
    if type(shape) is not tuple or not all(type(x) is int and 0 <= x < 1 << 63 for x in shape):
        raise ValueError(f"an array of shape {shape}")
    return shape, bool(fortran), dtype


def _native(array: Array) -> Array:
    """Give the elements in row-major order."""
    return np.ascontiguousarray(array) if array.ndim else array


def _damaged(path: str, reason: str) -> DataLossError:
    return DataLossError(f"{path!r} is no intact .npz file: {reason}", path=path)
