"""Errors of graphs that are also the builtin which TensorFlow raises in the same place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import (
    CheckpointError,
    CheckpointIOError,
    DataLossError,
    InvalidArgumentError,
    TensorNotFoundError,
)

__all__ = [
    "BrokenBinaryError",
    "BrokenFileError",
    "NotInGraphError",
    "WrongBinaryError",
    "WrongFileError",
    "WrongTypeError",
]


class WrongFileError(InvalidArgumentError, CheckpointIOError):
    """A file of another kind than the one that was asked for."""


class BrokenFileError(DataLossError, CheckpointIOError):
    """A file whose bytes are no message, or not all of one."""


class _UndecodableError(CheckpointError, UnicodeDecodeError):
    """What is no message is read as text, and fails to be that too.

    Parameters
    ----------
    message : str
        What is wrong, and where.
    reason : UnicodeDecodeError
        What decoding raised.
    path : str
        The file.
    """

    def __init__(self, message: str, *, reason: UnicodeDecodeError, path: str | None) -> None:
        # A few bytes, not the file: errors are kept and pickled.
        part = reason.object[reason.start : reason.end]
        UnicodeDecodeError.__init__(self, reason.encoding, part, 0, len(part), reason.reason)
        self._message = message
        self.path = path
        self.offset = reason.start
        self.key = None

    def __reduce__(self) -> tuple[Any, ...]:
        reason = UnicodeDecodeError(self.encoding, self.object, self.start, self.end, self.reason)
        return _rebuild, (type(self), self._message, reason, self.path), {"offset": self.offset}


class BrokenBinaryError(_UndecodableError, DataLossError):
    """A file whose bytes are no message, and no text either."""


class WrongBinaryError(_UndecodableError, InvalidArgumentError):
    """A file of another kind than the one that was asked for, which is no text."""


class NotInGraphError(TensorNotFoundError):
    """No operation or tensor of that name in the graph.

    Parameters
    ----------
    message : str
        TensorFlow's text, which is ``args[0]`` too.
    hint : callable, optional
        Gives what to append when the error is shown. Programs that probe for names show none.
    path, offset, key
        As for all errors.
    """

    def __init__(
        self, message: str = "", *, hint: Callable[[], str] | None = None, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self._hint = hint

    def __str__(self) -> str:
        if self._hint is not None:
            self._message += self._hint()
            self._hint = None
        return self._message

    def __reduce__(self) -> tuple[Any, ...]:
        str(self)
        return super().__reduce__()


def _rebuild(cls: Any, message: str, reason: UnicodeDecodeError, path: str | None) -> Any:
    return cls(message, reason=reason, path=path)
