"""A checkpoint behind the methods of TensorFlow's ``CheckpointReader``."""

from __future__ import annotations

import math
import os
from typing import Any

from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint import listing
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.shared_errors import share
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.checkpoint.tensorflow_errors import NotConvertibleError, ShortShardError, as_text
from fastckpt.dtypes import DType
from fastckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    DataLossError,
    TensorNotFoundError,
)
from fastckpt.storage.exact import check_prefix

__all__ = ["CheckpointReader"]

# Types that TensorFlow lists and cannot turn into arrays.
_NOT_CONVERTIBLE = frozenset({"variant", "resource"})


class CheckpointReader:
    """The names, shapes, dtypes and values of one checkpoint, as TensorFlow's reader gives them.

    Parameters
    ----------
    filepattern : str or bytes
        The prefix of a V2 checkpoint; a V1 file or the pattern of its shards.

    Attributes
    ----------
    checkpoint : Checkpoint
        The same checkpoint behind fastckpt's own interface.

    Raises
    ------
    CheckpointNotFoundError
        No such checkpoint.
    DataLossError
        The index is damaged; a directory, or another file of a checkpoint.
    InvalidArgumentError
        An index; the message names the prefix.
    WrongTypeError
        Neither str nor bytes; a TypeError.
    """

    __slots__ = ("checkpoint",)

    def __init__(self, filepattern: str | bytes) -> None:
        path = as_text(filepattern, "filepattern")
        self.checkpoint: Checkpoint
        try:
            self.checkpoint = _open(path)
        except CheckpointError as error:
            share(error)
            raise

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Give the full shape of every tensor, sorted by name."""
        return dict(listing.list_shapes(self.checkpoint))

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """Give the dtype of every tensor, sorted by name."""
        known: dict[str, DType] = {}
        found = {}
        for handle in self.checkpoint.tensors():
            name = handle.tf_dtype
            if name not in known:
                known[name] = DType(dtypes.number_of(name))
            found[handle.name] = known[name]
        return found

    def has_tensor(self, tensor_str: str | bytes) -> bool:
        """Whether there is a tensor of exactly that name.

        The empty name is the header's in a V2 index, and there TensorFlow says True.
        """
        name = as_text(tensor_str, "tensor_str")
        return name in self.checkpoint or (name == "" and self.checkpoint.format == "v2")

    def get_tensor(self, tensor_str: str | bytes) -> Any:
        """Read one tensor.

        Returns
        -------
        ndarray, NumPy scalar or bytes
            An owned, writable array; for a scalar tensor the scalar itself. Strings are bytes.

        Raises
        ------
        TensorNotFoundError
            No tensor of that name.
        DataLossError
            The stored bytes are damaged; an IndexError too where the shard is too short.
        CheckpointNotFoundError
            The data shard is missing.
        InvalidArgumentError
            A partitioned tensor whose slices do not cover it.
        NotConvertibleError
            A variant; ``reader.checkpoint[name]`` gives its raw record.
        """
        name = as_text(tensor_str, "tensor_str")
        try:
            array = self._read(name)
        except CheckpointError as error:
            share(error)
            raise
        return array if array.ndim else array[()]

    def debug_string(self) -> bytes:
        """List the stored entries, one line each: ``name (DT_FLOAT) [3,4]``.

        A V2 checkpoint lists the slices of partitioned tensors, by their binary keys.
        """
        rows = listing.list_stored(self.checkpoint)
        return b"".join(
            key + f" ({dtype}) [{','.join(map(str, shape))}]\n".encode()
            for key, dtype, shape in rows
        )

    def __repr__(self) -> str:
        return f"<CheckpointReader of {self.checkpoint.prefix!r}>"

    def _read(self, name: str) -> NDArray[Any]:
        handle = self._handle(name)
        if handle.tf_dtype in _NOT_CONVERTIBLE:
            raise NotConvertibleError(
                f"tensor {handle.name!r} is a {handle.tf_dtype}, not convertible to numpy dtype; "
                "fastckpt.open gives its raw record",
                key=handle.name,
            )
        try:
            return handle.read()
        except DataLossError as error:
            if not self._is_cut_off(handle):
                raise
            raise ShortShardError(
                str(error), path=error.path, offset=error.offset, key=error.key
            ) from error

    def _handle(self, name: str) -> StoredTensor:
        try:
            return self.checkpoint.tensor(name)
        except TensorNotFoundError as error:
            raise TensorNotFoundError(
                f"Key {name} not found in checkpoint: {error}", path=error.path, key=name
            ) from None

    def _is_cut_off(self, handle: StoredTensor) -> bool:
        """Whether a shard ends before what it holds of the tensor does."""
        return any(
            part.offset + part.nbytes > self._shard_size(part.shard)
            for part in handle.parts
            if part.shard is not None and part.offset is not None
        )

    def _shard_size(self, shard: int) -> float:
        """Size of a data shard, endless where it cannot be told."""
        marks = f".data-{shard:05d}-of-"
        found = [file for file in self.checkpoint.files if marks in os.path.basename(file)]
        try:
            return min((os.path.getsize(file) for file in found), default=math.inf)
        except OSError:
            return math.inf


def _open(path: str) -> Checkpoint:
    check_prefix(path)
    try:
        return open_checkpoint(path)
    except CheckpointNotFoundError as error:
        # What programs look for in the text.
        raise CheckpointNotFoundError(
            "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for "
            f"{path}: {error}",
            path=error.path,
        ) from None
