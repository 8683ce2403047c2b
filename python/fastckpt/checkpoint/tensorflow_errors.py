"""Errors that are also the builtin which TensorFlow raises in the same place."""

from __future__ import annotations

from typing import Any

from fastckpt.errors import DataLossError, InvalidArgumentError, UnsupportedError

__all__ = [
    "NotAListError",
    "NotConvertibleError",
    "NotTextError",
    "ShortShardError",
    "WrongStateError",
    "WrongTypeError",
    "as_text",
]


class WrongTypeError(InvalidArgumentError, TypeError):
    """An argument of the wrong type."""


class NotAListError(WrongTypeError, AssertionError):
    """Something else where TensorFlow asserts that it is given a list."""


class WrongStateError(InvalidArgumentError, RuntimeError):
    """Something is not ready for the call, or in its way."""


class ShortShardError(DataLossError, IndexError):
    """A data shard ends before the tensor does."""


class NotConvertibleError(UnsupportedError, InvalidArgumentError):
    """A tensor that no NumPy array can hold."""


class NotTextError(DataLossError, UnicodeDecodeError):
    """A text file that is not UTF-8.

    Parameters
    ----------
    message : str
        What is wrong, and where.
    reason : UnicodeDecodeError
        What decoding raised.
    path : str
        The file.
    """

    def __init__(self, message: str, *, reason: UnicodeDecodeError, path: str) -> None:
        UnicodeDecodeError.__init__(
            self, reason.encoding, reason.object, reason.start, reason.end, reason.reason
        )
        self._message = message
        self.path = path
        self.offset = reason.start
        self.key = None

    def __reduce__(self) -> tuple[Any, ...]:
        reason = UnicodeDecodeError(self.encoding, self.object, self.start, self.end, self.reason)
        return _not_text, (self._message, reason, self.path)


def as_text(value: object, what: str, *, paths: bool = False) -> str:
    """Take a str or bytes, with `paths` an os.PathLike too; WrongTypeError for anything else.

    Bytes that are not UTF-8 survive as surrogate escapes.
    """
    if paths and hasattr(value, "__fspath__"):
        value = value.__fspath__()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        allowed = "str, bytes or os.PathLike" if paths else "str or bytes"
        raise WrongTypeError(f"{what} must be {allowed}, not {type(value).__name__}: {value!r}")
    return value


def _not_text(message: str, reason: UnicodeDecodeError, path: str) -> NotTextError:
    return NotTextError(message, reason=reason, path=path)
