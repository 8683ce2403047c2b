"""What passes from one format to another: a tensor with its name, type, shape and bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.errors import CheckpointIOError

__all__ = [
    "Refused", "Source", "Tensor", "flat_blocks", "is_unicode", "little_endian_bytes", "open_file",
]  # fmt: skip

Array = NDArray[Any]

# Bytes that are in work at a time.
_FLAT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor on its way.

    Attributes
    ----------
    name : str
        Its name in the source.
    tf_dtype : str
        TensorFlow's name of its dtype, such as ``"qint8"``.
    shape : tuple of int
        Full shape.
    nbytes : int
        Bytes of its elements.
    value : callable
        Gives what a checkpoint stores of it, verified: an array of the shape, or a stored tensor.
    blocks : callable
        Gives its elements in row-major order as flat arrays of bounded size, verified.
    """

    name: str
    tf_dtype: str
    shape: tuple[int, ...]
    nbytes: int
    value: Callable[[], Any]
    blocks: Callable[[], Iterator[Array]]


@dataclass(frozen=True, slots=True)
class Refused:
    """A tensor that the target cannot hold, or the source does not tell, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Source:
    """An open file or checkpoint to convert from.

    Attributes
    ----------
    path : str
        Where it is.
    format : str
        ``"checkpoint"``, ``"safetensors"`` or ``"npz"``.
    tensors : sequence of Tensor
        In a good order to read them.
    refused : sequence of Refused
        What no checkpoint could hold either.
    object_graph : bytes or None
        That of a ``tf.train.Checkpoint``, which is about objects and holds no numbers.
    close : callable
        Lets go of the files.
    """

    path: str
    format: str
    tensors: Sequence[Tensor]
    close: Callable[[], None]
    refused: Sequence[Refused] = field(default=())
    object_graph: bytes | None = None


def flat_blocks(array: Array) -> Iterator[Array]:
    """Iterate over an array in row-major order, as flat arrays of bounded size."""
    flat = array.reshape(-1)
    step = max(_FLAT_BYTES // max(array.itemsize, 1), 1)
    for start in range(0, flat.size, step):
        yield flat[start : start + step]


def little_endian_bytes(block: Array) -> memoryview:
    """Give the bytes of a flat array, those of each number in little-endian order."""
    if block.dtype.kind in "iufc":
        block = block.astype(block.dtype.newbyteorder("<"), copy=False)
    data: Any = block.view(np.uint8)
    return memoryview(data)


def is_unicode(name: str) -> bool:
    """Whether a name can be written as UTF-8; names of checkpoints may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_file(path: str) -> io.BufferedReader:
    """Open a file; CheckpointIOError where the system refuses."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise CheckpointIOError(
            f"cannot open {path!r}: {error.strerror}", path=path, errno=error.errno
        ) from error
