"""Single files that are written piece by piece and become visible at one stroke."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from fastckpt import _core
from fastckpt.storage import local
from fastckpt.storage.destination import absolute

__all__ = ["new_file"]

# Pieces below this are gathered.
_BUFFER_BYTES = 1 << 20


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str], *, sync: bool = True) -> Iterator[BinaryIO]:
    """Give a file to write to, which replaces `path` when the block is left.

    Parameters
    ----------
    path : str or PathLike
        The file; missing directories are made.
    sync : bool
        Return when it is on the device.

    Raises
    ------
    CheckpointBusyError
        Another live writer owns this file.
    InvalidArgumentError
        The path is empty or a directory.
    CheckpointIOError
        The operating system refused; what was there before is intact.

    Notes
    -----
    The one way files become visible: temporary name, lock, sync, rename, as for a checkpoint.
    Whatever leaves the block by an exception removes what was written. The file can be sought in.
    """
    raw = _Raw(_core.NewFile(os.fsencode(absolute(local.as_path(path))), sync=sync))
    with io.BufferedWriter(raw, _BUFFER_BYTES) as file:
        try:
            yield file
            file.flush()
            raw.commit()
        except BaseException:
            raw.abort()
            raise


class _Raw(io.RawIOBase):
    """The file of the core as Python's streams have it."""

    def __init__(self, core: _core.NewFile) -> None:
        self._core = core
        self._position = 0
        self._end = 0
        self._is_dropped = False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = start + offset
        return self._position

    def write(self, data: Any, /) -> int:
        # Closing flushes what nobody wants any more.
        size = memoryview(data).nbytes
        if not self._is_dropped:
            self._core.write_at(self._position, data)
        self._position += size
        self._end = max(self._end, self._position)
        return size

    def commit(self) -> None:
        """Make the file visible."""
        self._core.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._is_dropped = True
        self._core.abort()
