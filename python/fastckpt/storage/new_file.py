"""Single files that are written piece by piece and become visible at one stroke."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

from fastckpt.errors import (
    CheckpointBusyError,
    CheckpointError,
    CheckpointIOError,
    InvalidArgumentError,
)
from fastckpt.storage import local
from fastckpt.storage.destination import absolute

__all__ = ["new_file"]

# File systems without locks answer so; there everybody may write.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})

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
        Another process writes this file.
    InvalidArgumentError
        The path is empty or a directory.
    CheckpointIOError
        The operating system refused; what was there before is intact.

    Notes
    -----
    Content goes to ``path.tmp`` beside it, whose writer holds a lock on it; what a dead one left
    there is overwritten. Whatever leaves the block by an exception removes it.
    """
    target = _checked(path)
    temporary = f"{target}.tmp"
    with _explained(target):
        raw = _Raw(_claim(temporary), target)
    with io.BufferedWriter(raw, _BUFFER_BYTES) as file:
        try:
            # What the block raises of its own is left alone.
            yield file
            file.flush()
            with _explained(target):
                if sync:
                    os.fsync(raw.fileno())
                os.rename(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    if sync:
        with _explained(target):
            _sync_directory(os.path.dirname(target))


@contextlib.contextmanager
def _explained(target: str) -> Iterator[None]:
    """Turn what the operating system says into an error that says what it was about."""
    try:
        yield
    except OSError as error:
        if isinstance(error, CheckpointError):
            raise
        reason = error.strerror or str(error)
        raise CheckpointIOError(
            f"cannot write {target!r}: {reason}", path=target, errno=error.errno
        ) from error


class _Raw(io.FileIO):
    """The temporary file; errors of writing name the file that it is for."""

    def __init__(self, descriptor: int, target: str) -> None:
        super().__init__(descriptor, "wb")
        self._target = target

    def write(self, data: Any, /) -> int:
        """Write some of the bytes."""
        with _explained(self._target):
            return super().write(data)


def _checked(path: str | os.PathLike[str]) -> str:
    target = absolute(local.as_path(path))
    if target.endswith("/") or os.path.isdir(target):
        raise InvalidArgumentError(
            f"{target!r} is a directory; pass the path of a file", path=target
        )
    return target


def _claim(temporary: str) -> int:
    """Open the temporary file under its lock, empty."""
    os.makedirs(os.path.dirname(temporary), exist_ok=True)
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o666)
        try:
            _lock(descriptor, temporary)
            if _is_still_there(descriptor, temporary):
                os.ftruncate(descriptor, 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # Its writer renamed or removed it between the two calls.
        os.close(descriptor)


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        target = path.removesuffix(".tmp")
        raise CheckpointBusyError(
            f"another process is writing {target!r}; wait for it, or write elsewhere", path=target
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_still_there(descriptor: int, path: str) -> bool:
    ours = os.fstat(descriptor)
    if not stat.S_ISREG(ours.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", path)
    try:
        theirs = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(ours, theirs)


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no such call.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EROFS}:
            raise
    finally:
        os.close(descriptor)
