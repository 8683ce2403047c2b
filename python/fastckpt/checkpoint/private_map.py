"""Verified arrays over private maps of the data shards: writable, copied page by page on writing.

The core's maps are read-only. Frameworks whose tensors are always writable need memory that may be
written to without touching the file; a private map is that, and costs no copy until then.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import _core
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import CheckpointChangedError
from fastckpt.names import data_file

__all__ = ["can_map", "mapped_arrays"]

# Bytes that a thread checks at a time: fewer cost calls, more leave threads idle at the end.
_PIECE_BYTES = 16 << 20

# Huge maps are no reason for the system to keep memory back that nobody may ever write to.
_FLAGS = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)

Array = NDArray[Any]
Report = Callable[[int, int, str], object]


def can_map(tensor: StoredTensor) -> bool:
    """Whether a tensor's stored bytes are its elements, aligned, in a file that is mapped."""
    is_plain = tensor.nbytes > 0 and tensor.tf_dtype != "bool" and tensor.can_view
    return is_plain and (tensor.offset or 0) % tensor.dtype.itemsize == 0


def mapped_arrays(
    checkpoint: Checkpoint, tensors: Sequence[StoredTensor], num_threads: int, report: Report
) -> dict[str, Array]:
    """Map tensors privately, and compare all checksums.

    Parameters
    ----------
    checkpoint : Checkpoint
        V2, and open.
    tensors : sequence of StoredTensor
        Of which :func:`can_map` holds.
    num_threads : int
        Threads to check with.
    report : callable
        Given bytes, tensors and a name now and then, in this thread; what it raises cancels.

    Returns
    -------
    dict of str to ndarray
        Writable arrays over maps that live as long as they do.

    Raises
    ------
    DataLossError
        A checksum differs.
    CheckpointChangedError
        The files were replaced since the checkpoint was opened.
    OSError
        The system has no room for the map; loading into memory may still work.
    """
    maps = {shard: _map(checkpoint, shard) for shard in {tensor.shard for tensor in tensors}}
    arrays = {}
    pieces = []
    for tensor in tensors:
        data = maps[tensor.shard]
        begin = tensor.offset or 0
        if begin + tensor.nbytes > data.size:
            raise _error_of(tensor)
        stored = data[begin : begin + tensor.nbytes]
        arrays[tensor.name] = stored.view(tensor.dtype).reshape(tensor.shape)
        pieces += _cut(tensor, stored)
    _check(pieces, num_threads, report)
    return arrays


def _map(checkpoint: Checkpoint, shard: int | None) -> NDArray[np.uint8]:
    path = data_file(checkpoint.prefix, shard or 0, checkpoint.num_shards)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError, AttributeError):
            # A cold file is read ahead better than faults on its map would do.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        memory = mmap.mmap(descriptor, 0, flags=_FLAGS, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except ValueError as error:  # an empty file
        raise OSError(str(error)) from None
    finally:
        os.close(descriptor)
    return np.frombuffer(memory, np.uint8)


# --- checking ------------------------------------------------------------------------------------


class _Piece:
    """Some bytes of a tensor; the first piece of each holds the checksums of all."""

    __slots__ = ("crcs", "data", "index", "tensor")

    def __init__(
        self, tensor: StoredTensor, data: Any, index: int, crcs: list[int | None]
    ) -> None:
        self.tensor = tensor
        self.data = data
        self.index = index
        self.crcs = crcs


def _cut(tensor: StoredTensor, stored: NDArray[np.uint8]) -> list[_Piece]:
    """Cut a tensor so that all pieces but the first are equally long."""
    first = (stored.size - 1) % _PIECE_BYTES + 1
    starts = [0, *range(first, stored.size, _PIECE_BYTES)]
    crcs: list[int | None] = [None] * len(starts)
    return [
        _Piece(tensor, stored[start:end], i, crcs)
        for i, (start, end) in enumerate(itertools.pairwise([*starts, stored.size]))
    ]


class _Checker:
    """Pieces that threads take one after the other."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = pieces
        self._next = itertools.count()
        self.bytes_done = 0
        self.tensors_done = 0
        self.bad: list[StoredTensor] = []
        self.is_cancelled = False

    def work(self, report: Report | None = None) -> None:
        """Check pieces until none is left."""
        while (i := next(self._next)) < len(self._pieces) and not self.is_cancelled:
            piece = self._pieces[i]
            piece.crcs[piece.index] = _core.crc32c(piece.data)
            # Threads may lose an update of these; they are for a progress bar.
            self.bytes_done += piece.data.size
            if None not in piece.crcs:
                self.tensors_done += 1
            if report is not None:
                report(self.bytes_done, self.tensors_done, piece.tensor.name)


def _check(pieces: Sequence[_Piece], num_threads: int, report: Report) -> None:
    checker = _Checker(pieces)
    helpers = [
        threading.Thread(target=checker.work, daemon=True)
        for _ in range(min(num_threads, len(pieces)) - 1)
    ]
    for helper in helpers:
        helper.start()
    try:
        checker.work(report)
    except BaseException:
        checker.is_cancelled = True
        raise
    finally:
        for helper in helpers:
            helper.join()
    for piece in pieces:
        if piece.index == 0 and _joined(piece.crcs) != piece.tensor.crc32c:
            raise _error_of(piece.tensor)


def _error_of(tensor: StoredTensor) -> Exception:
    """Find out what is wrong with a tensor whose private map does not match its checksum."""
    # The core says it best, of the file that it holds open.
    tensor.verify()
    return CheckpointChangedError(
        f"the data of tensor {tensor.name!r} is not the one that was opened: the checkpoint was "
        "replaced meanwhile; load it again",
        key=tensor.name,
    )


def _joined(crcs: Sequence[int | None]) -> int:
    """The checksum of pieces that follow each other, all but the first _PIECE_BYTES long."""
    whole = crcs[0] or 0
    for crc in crcs[1:]:
        whole = _core.crc32c_combine(whole, crc or 0, _PIECE_BYTES)
    return whole
