"""Errors for files in the other form than was said; protobuf's own, so imported when raised."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from google.protobuf.text_format import ParseError

from fastckpt.checkpoint.tensorflow_errors import NotTextError
from fastckpt.errors import CheckpointError, InvalidArgumentError

__all__ = ["NoTextFormError", "NotBinaryError", "wrong_form"]


class NotBinaryError(InvalidArgumentError, DecodeError):
    """A message in text form where binary form was asked for."""


class NoTextFormError(InvalidArgumentError, ParseError):
    """A message in binary form, which is text by chance, where text form was asked for."""


def wrong_form(path: str, data: bytes, *, is_binary: bool) -> CheckpointError:
    """Explain a message that is not in the form that was asked for."""
    if is_binary:
        return NotBinaryError(
            f"Error parsing message: {path!r} is in text form; pass input_binary=False", path=path
        )
    text = f"{path!r} is in binary form; pass input_binary=True"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return NotTextError(text, reason=error, path=path)
    return NoTextFormError(text, path=path)
