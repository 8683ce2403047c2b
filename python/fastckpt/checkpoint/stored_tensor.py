"""A handle on one stored tensor: what the index says of it, and the ways to its bytes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt._core import BundleReader
from fastckpt.checkpoint.assembly import (
    MISSING,
    Part,
    bytes_of,
    empty_array,
    find_parts,
    missing_slice,
    read_selection,
)
from fastckpt.checkpoint.region import select
from fastckpt.errors import DataLossError, InvalidArgumentError, UnsupportedError


class StoredSlice(NamedTuple):
    """One stored slice of a tensor.

    Attributes
    ----------
    start, shape : tuple of int
        Its place in the full tensor.
    nbytes : int
        Stored bytes.
    shard, offset, crc32c : int or None
        Shard number, byte offset in it, unmasked CRC-32C; None where the format has none (V1).
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    nbytes: int
    shard: int | None
    offset: int | None
    crc32c: int | None


class StoredTensor:
    """One tensor of an open checkpoint; making a handle touches no data.

    Handles come from :meth:`Checkpoint.tensor` and :meth:`Checkpoint.tensors`, stay valid after
    the checkpoint is closed, and are cheap.

    Attributes
    ----------
    name : str
        Key in the checkpoint.
    id : int
        Number of the entry in the index.
    shape : tuple of int
        Full shape.
    nbytes : int
        Stored bytes; those of all slices for a partitioned tensor.
    shard, offset, crc32c : int or None
        Shard number, byte offset in it, and unmasked CRC-32C of the stored bytes; None for a
        partitioned tensor.

    Notes
    -----
    The handle of a malformed entry exists and has a name; everything else about it raises
    DataLossError.
    """

    __slots__ = (
        "_bundle", "_number", "_parts", "_sliced",
        "crc32c", "id", "name", "nbytes", "offset", "shape", "shard",
    )  # fmt: skip

    name: str
    id: int
    shape: tuple[int, ...]
    nbytes: int
    shard: int | None
    offset: int | None
    crc32c: int | None

    def __init__(self, bundle: BundleReader, entry_id: int, name: str) -> None:
        self._bundle = bundle
        self._parts: list[Part] | None = None
        self.id = entry_id
        self.name = name
        # A malformed entry leaves the slots empty, and whoever asks for them gets its error.
        try:  # noqa: SIM105, suppress() would double the cost of a handle
            (
                self._number, self.shape, self.nbytes,
                self.shard, self.offset, self.crc32c, self._sliced,
            ) = bundle.describe(entry_id)  # fmt: skip
        except DataLossError:
            pass

    def __getattr__(self, attribute: str) -> Any:
        if attribute not in StoredTensor.__slots__:
            raise AttributeError(f"'StoredTensor' object has no attribute {attribute!r}")
        self._bundle.describe(self.id)
        raise AssertionError("unreachable: the entry is malformed")

    @property
    def bundle(self) -> BundleReader:
        """What reads it, for bulk work on handles."""
        return self._bundle

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the array that reading gives; ``object`` for strings and variants."""
        return dtypes.numpy_dtype(self._number)

    @property
    def tf_dtype(self) -> str:
        """TensorFlow's name of the stored type, such as ``"float32"`` or ``"qint8"``."""
        return dtypes.tf_name(self._number)

    @property
    def parts(self) -> tuple[StoredSlice, ...]:
        """The stored slices, in stored order; a tensor that is not partitioned is one."""
        return tuple(self._stored_slice(part) for part in self._whole_parts())

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def can_view(self) -> bool:
        """Whether :meth:`view` works.

        It does for plain dtypes in native byte order, stored as one entry in a mapped file. Bool
        and sub-byte tensors must also hold normal bytes, and are read to find out.
        """
        return self._bundle.can_view(self.id)

    def view(self) -> NDArray[Any]:
        """Map the tensor without copying it.

        Returns
        -------
        ndarray, shape and dtype as stored
            Read-only, C-contiguous, over the shard's memory map. It stays valid after the
            checkpoint is closed. ``flags.aligned`` is False where the file does not align it.

        Raises
        ------
        UnsupportedError
            The stored form has no zero-copy array; use :meth:`read`.
        DataLossError
            The bytes are damaged or not there.
        CheckpointNotFoundError
            The shard is missing.

        Notes
        -----
        The checksum is compared on the first access unless ``verify="off"``; that touches every
        byte once, at memory speed.
        """
        array: NDArray[Any] | None = self._bundle.view_of(self.id)
        if array is None:
            raise UnsupportedError(
                f"tensor {self.name!r} ({self.tf_dtype}) cannot be viewed without a copy here; "
                "use read()",
                key=self.name,
            )
        return array

    def read(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read the tensor into memory of its own.

        Parameters
        ----------
        out : ndarray, optional
            Writable array of this shape and dtype to fill; any layout.

        Returns
        -------
        ndarray
            Owned, writable, aligned, C-contiguous; or `out`.

        Raises
        ------
        InvalidArgumentError
            `out` has another shape or dtype, or is read-only.
        DataLossError
            The bytes are damaged or not there; `out` may have been written to.
        CheckpointNotFoundError
            The shard is missing.
        InvalidArgumentError
            The stored slices of a partitioned tensor overlap, or do not cover it.

        Notes
        -----
        Strings give ``bytes`` objects, variants :class:`VariantRecord`. Checksums are compared
        while the bytes are copied.
        """
        if out is None:
            return self._read_fresh()
        self.check_target(out)
        if self.fills_directly(out):
            self._bundle.load_into([self.id], [bytes_of(out)]).wait()
        else:
            out[...] = self._read_fresh()
        return out

    def __getitem__(self, index: Any) -> Any:
        """Read part of the tensor: basic indexing as NumPy's, on what is stored.

        Parameters
        ----------
        index : int, slice, Ellipsis, None, or a tuple of them
            Steps may be negative.

        Returns
        -------
        ndarray or scalar
            What the whole array would give for this index; arrays are owned and writable.

        Raises
        ------
        IndexError
            An integer outside its dimension, or too many indices.
        InvalidArgumentError
            Not basic indexing; the stored slices do not cover what is asked for, or overlap.
        DataLossError
            The bytes are damaged or not there.

        Notes
        -----
        Stored entries that hold wanted elements are verified whole, once. Where the file has block
        checksums (fastckpt writes one for each 4 MiB of larger tensors), only the blocks that the
        index touches are, each once: a row costs at most two blocks and itself, and damage in
        other blocks is not noticed. With ``verify="off"`` only the wanted bytes are read (from
        files that are not mapped, rows with gaps of up to 64 KiB whole). Elements of strings and
        variants are found by reading stored entries whole.
        """
        selection = select(index, self.shape)
        array = read_selection(
            self._bundle, self._find_parts(), selection, self._number, self.name
        )
        return array[selection.finish]

    def verify(self) -> None:
        """Compare the stored checksums with the bytes, whether or not that was done before.

        Raises
        ------
        DataLossError
            They differ, or the bytes are not there.
        """
        self._bundle.check([part.id for part in self._whole_parts()]).wait()

    def __array__(
        self,
        dtype: np.dtype[Any] | None = None,
        copy: bool | None = None,  # noqa: FBT001
    ) -> NDArray[Any]:
        array: NDArray[Any] | None = self._bundle.view_of(self.id)
        if array is None or copy:
            if copy is False:
                raise ValueError(f"tensor {self.name!r} cannot be viewed without a copy")
            array = self.read()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a scalar tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<StoredTensor {self.name!r} {self.tf_dtype} {list(self.shape)}>"

    def check_target(self, out: NDArray[Any]) -> None:
        """Raise InvalidArgumentError unless the tensor can be read into `out`."""
        if not isinstance(out, np.ndarray):
            raise InvalidArgumentError(f"out must be an ndarray, not {type(out).__name__}")
        if out.shape != self.shape or out.dtype != self.dtype:
            raise InvalidArgumentError(
                f"out has shape {out.shape} and dtype {out.dtype}; tensor {self.name!r} has shape "
                f"{self.shape} and dtype {self.dtype}",
                key=self.name,
            )
        if not out.flags.writeable:
            raise InvalidArgumentError("out is read-only", key=self.name)

    def fills_directly(self, out: NDArray[Any]) -> bool:
        """Whether stored bytes can be copied to `out` as they are."""
        plain = not self.dtype.hasobject and not self._sliced
        return plain and out.flags.c_contiguous and out.nbytes > 0

    def _stored_slice(self, part: Part) -> StoredSlice:
        _, shape, nbytes, shard, offset, crc32c, _ = self._bundle.describe(part.id)
        return StoredSlice(part.starts, shape, nbytes, shard, offset, crc32c)

    def _read_fresh(self) -> NDArray[Any]:
        if self._fills_whole():
            self._bundle.check_present(self.id)
            array = empty_array(self.shape, self.dtype, self.name)
            self._bundle.load_into([self.id], [bytes_of(array)]).wait()
            return array
        whole = select((), self.shape)
        return read_selection(self._bundle, self._find_parts(), whole, self._number, self.name)

    def _fills_whole(self) -> bool:
        """Whether the tensor is one entry of plain numbers, which needs no assembling."""
        return not self._sliced and self.nbytes > 0 and not self.dtype.hasobject

    def _whole_parts(self) -> list[Part]:
        parts = self._find_parts()
        if any(part.id == MISSING for part in parts):
            raise missing_slice(self.name)
        return parts

    def _find_parts(self) -> list[Part]:
        if self._parts is None:
            self._parts = find_parts(self._bundle, self.id)
        return self._parts
