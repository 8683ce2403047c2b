"""A handle on one stored tensor: what the index says of it, and the ways to its bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt._core import BundleReader
from fastckpt.errors import InvalidArgumentError, UnsupportedError


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
        "_bundle", "_number", "_sliced",
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
        self.id = entry_id
        self.name = name

    def __getattr__(self, attribute: str) -> Any:
        # Slots stay empty until the first of them is asked for.
        if attribute not in StoredTensor.__slots__:
            raise AttributeError(f"'StoredTensor' object has no attribute {attribute!r}")
        (
            self._number, self.shape, self.nbytes,
            self.shard, self.offset, self.crc32c, self._sliced,
        ) = self._bundle.describe(self.id)  # fmt: skip
        return getattr(self, attribute)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the array that reading gives; ``object`` for strings and variants."""
        return dtypes.numpy_dtype(self._number)

    @property
    def tf_dtype(self) -> str:
        """TensorFlow's name of the stored type, such as ``"float32"`` or ``"qint8"``."""
        return dtypes.tf_name(self._number)

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
        UnsupportedError
            Partitioned tensors.
        """
        if out is None:
            return self._read_fresh()
        self.check_target(out)
        if self.fills_directly(out):
            self._bundle.load_into([self.id], [bytes_of(out)]).wait()
        else:
            out[...] = self._read_fresh()
        return out

    def verify(self) -> None:
        """Compare the stored checksums with the bytes, whether or not that was done before.

        Raises
        ------
        DataLossError
            They differ, or the bytes are not there.
        """
        self._bundle.check([self.id]).wait()

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

    def _read_fresh(self) -> NDArray[Any]:
        self._check_whole()
        if self._number == dtypes.STRING:
            return object_array(self._bundle.strings(self.id), self.shape)
        if self._number == dtypes.VARIANT:
            raise UnsupportedError(
                f"tensor {self.name!r} is a variant; reading variants is not supported yet",
                key=self.name,
            )
        self._bundle.check_present(self.id)
        array = empty_array(self.shape, self.dtype)
        if array.nbytes:
            self._bundle.load_into([self.id], [bytes_of(array)]).wait()
        return array

    def _check_whole(self) -> None:
        if self._sliced:
            raise UnsupportedError(
                f"tensor {self.name!r} is partitioned; reading partitioned tensors is not "
                "supported yet",
                key=self.name,
            )


def bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """View a non-empty C-contiguous array as its bytes; ml_dtypes export no buffer themselves."""
    return array.reshape(-1).view(np.uint8)


def empty_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Allocate an array; UnsupportedError where NumPy has no array of that shape."""
    try:
        return np.empty(shape, dtype)
    except ValueError as error:
        raise UnsupportedError(f"NumPy cannot hold shape {shape}: {error}") from error


def object_array(elements: list[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
    """Make an object array of `shape` from its elements in C order."""
    array = empty_array((len(elements),), np.dtype(object))
    array[:] = elements
    return array.reshape(shape)
