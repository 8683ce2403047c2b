"""The error tree: one base class, one class per kind of failure.

Every class also derives the builtin that a caller would catch: ``KeyError`` for a tensor that does
not exist, ``FileNotFoundError`` for a missing checkpoint, and so on. All errors carry ``path``,
``offset`` and ``key`` (``None`` where unknown) and survive pickling. docs/errors.md is the guide.
"""

from __future__ import annotations

import errno as _errno
import os
import re
from typing import Any

__all__ = [
    "CheckpointBusyError",
    "CheckpointChangedError",
    "CheckpointError",
    "CheckpointIOError",
    "CheckpointNotFoundError",
    "ClosedError",
    "DataLossError",
    "InvalidArgumentError",
    "LimitExceededError",
    "TensorNotFoundError",
    "UnsupportedError",
    "from_core",
]


class CheckpointError(Exception):
    """Base of every error that fastckpt raises on purpose.

    Parameters
    ----------
    message : str
        What happened, where, what follows from it and what to do next.
    path : str, optional
        The file or prefix concerned.
    offset : int, optional
        Byte offset inside `path`.
    key : str, optional
        Name of the tensor concerned.
    """

    path: str | None
    offset: int | None
    key: str | None

    # Of a class that exists in one process only: the one to be pickled as.
    _plain: type[CheckpointError] | None = None

    def __init__(
        self,
        message: str = "",
        *,
        path: str | None = None,
        offset: int | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(message)
        self._message = message
        self.path = path
        self.offset = offset
        self.key = key

    @property
    def message(self) -> str:
        """The text, by the name that TensorFlow's errors have for it."""
        return self._message

    # KeyError quotes its argument and OSError prints errno; every class here prints its message.
    def __str__(self) -> str:
        return self._message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {"path": self.path, "offset": self.offset, "key": self.key}
        return _rebuild, (self._plain or type(self), self._message, fields), self.__dict__


class _SystemError(CheckpointError, OSError):
    """A CheckpointError that is an OSError too: errno, strerror and filename are filled."""

    _default_errno: int | None = None

    def __init__(
        self,
        message: str = "",
        *,
        path: str | None = None,
        offset: int | None = None,
        key: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message, path=path, offset=offset, key=key)
        number = self._default_errno if errno is None else errno
        text = message if number is None else os.strerror(number)
        OSError.__init__(self, number, text, path)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, (cls, message, fields), state = super().__reduce__()
        return rebuild, (cls, message, {**fields, "errno": self.errno}), state


class DataLossError(CheckpointError, ValueError):
    """The bytes are damaged: bad magic or CRC, truncation, impossible lengths, a short shard."""


class NotFoundError(CheckpointError):
    """Nothing of that name; TensorFlow has one class for the two below."""


class FailedPreconditionError(CheckpointError):
    """Too early or too late, where another state would have done; TensorFlow's class for that."""


class CheckpointNotFoundError(_SystemError, NotFoundError, FileNotFoundError, ValueError):
    """No such checkpoint, or one of its shards is missing."""

    _default_errno = _errno.ENOENT


class TensorNotFoundError(NotFoundError, KeyError):
    """No tensor of that name in the checkpoint; the message lists near names."""


class InvalidArgumentError(CheckpointError, ValueError):
    """The caller passed a wrong path, name, shape, dtype, slice or mode."""


class UnsupportedError(CheckpointError, NotImplementedError):
    """Known, and not supported here."""


class LimitExceededError(CheckpointError, ValueError):
    """A documented limit, found before anything is allocated."""


class CheckpointChangedError(_SystemError):
    """The files are not the ones that were opened."""

    _default_errno = _errno.ESTALE


class CheckpointBusyError(_SystemError):
    """Another live writer owns this prefix."""

    _default_errno = _errno.EBUSY


class CheckpointIOError(_SystemError):
    """The operating system refused: disk, permission, space; ``errno`` says why."""


class ClosedError(FailedPreconditionError, ValueError):
    """The object was used after it was closed."""


_SHARD = re.compile(r"\.data-\d{5,}-of-\d{5,}\Z")

# Keyed by the numbers of ErrorCode in src/base/error.h.
_BY_CODE: dict[int, type[CheckpointError]] = {
    1: DataLossError,
    2: CheckpointNotFoundError,
    3: TensorNotFoundError,
    4: InvalidArgumentError,
    5: UnsupportedError,
    6: LimitExceededError,
    7: CheckpointChangedError,
    8: CheckpointBusyError,
    9: CheckpointIOError,
    10: ClosedError,
}


def from_core(
    code: int,
    message: str,
    path: str = "",
    offset: int | None = None,
    key: bytes | None = None,
    errno: int = 0,
) -> CheckpointError:
    """Build the Python error for one error of the C++ core.

    Parameters
    ----------
    code : int
        A number of ``ErrorCode`` in src/base/error.h; an unknown one gives the base class.
    message : str
        The core's text. File, offset, tensor and the system's reason are appended where the text
        does not hold them already.
    path : str
        The file concerned; empty where none is.
    offset : int, optional
        Byte offset inside `path`.
    key : bytes, optional
        Raw bytes of the tensor's name.
    errno : int
        ``errno`` of the failed call, 0 when no call failed.

    Returns
    -------
    CheckpointError
        Ready to be raised.
    """
    name = None if key is None else key.decode("utf-8", "backslashreplace")
    text = _with_location(_with_reason(message, errno), path, offset, name)
    text += _next_step(code, message, path)
    cls = _BY_CODE.get(code, CheckpointError)
    fields: dict[str, Any] = {"path": path or None, "offset": offset, "key": name}
    if issubclass(cls, _SystemError):
        fields["errno"] = errno or None
    return cls(text, **fields)


def _with_reason(message: str, errno: int) -> str:
    if not errno or os.strerror(errno).lower() in message.lower():
        return message
    return f"{message}: {os.strerror(errno)}"


def _with_location(message: str, path: str, offset: int | None, name: str | None) -> str:
    parts = []
    if name is not None and not _quotes(message, name):
        parts.append(f"tensor {name!r}")
    if path and not _quotes(message, path):
        parts.append(f"file {path!r}")
    if offset is not None and f"offset {offset}" not in message:
        parts.append(f"offset {offset}")
    return f"{message} [{', '.join(parts)}]" if parts else message


def _next_step(code: int, message: str, path: str) -> str:
    """Say what to do where a whole data shard is not there, or not whole."""
    if _SHARD.search(path) is None:
        return ""
    cls = _BY_CODE.get(code)
    if cls is CheckpointNotFoundError:
        return "; copy this data shard here too"
    if cls is DataLossError and "too short" in message:
        return "; copy it here again, or let fastckpt doctor tell what it is instead"
    return ""


def _quotes(message: str, word: str) -> bool:
    return any(f"{mark}{word}{mark}" in message for mark in "'\"`")


def _rebuild(cls: type[CheckpointError], message: str, fields: dict[str, Any]) -> CheckpointError:
    return cls(message, **fields)
