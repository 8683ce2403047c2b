"""Files that hold one message: graphs, meta graphs, SavedModels, in binary or in text form.

What a file is shows in its content, never in its name. Both forms are read alike.
"""

from __future__ import annotations

import os
import re
from typing import Any

from fastckpt import protos
from fastckpt.errors import CheckpointIOError, LimitExceededError
from fastckpt.graph import file_errors
from fastckpt.graph.density import MAX_DEPTH, check_density, is_too_deep
from fastckpt.graph.plausibility import is_plausible
from fastckpt.storage import local
from fastckpt.storage.replace import replace_file

__all__ = [
    "MAX_BYTES",
    "is_text",
    "parse_message",
    "read_bytes",
    "read_message",
    "serialize",
    "write_message",
]

# Lengths inside a message are signed 32-bit numbers for protobuf.
MAX_BYTES = (1 << 31) - 1

_BLANKS = b" \t\r\n"

# Byte order mark, blanks and comments, then a field of text form: a name, and what may follow it.
_TEXT_FORM = re.compile(
    rb"\A(?:\xef\xbb\xbf)?(?:\s|#[^\n]*(?:\n|\Z))*"
    rb"(?:[A-Za-z_]\w*|\[[\w./ -]+\])(?:\s|#[^\n]*\n)*[:{<]"
)
_COMMENTS_ONLY = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s*#[^\n]*(?:\n|\Z))+\s*\Z")


def read_message(path: str | os.PathLike[str], name: str, *, empty_ok: bool = False) -> Any:
    """Read the message of a file, in binary or in text form.

    Parameters
    ----------
    path : str or PathLike
        The file; what it is called does not matter.
    name : str
        The message it holds: ``"MetaGraphDef"``, ``"GraphDef"``, ``"SavedModel"``, or another of
        :func:`fastckpt.protos.message_class`.
    empty_ok : bool
        Take an empty file for an empty message, as protobuf does.

    Returns
    -------
    message
        Of the class ``message_class(name)``, unknown fields kept.

    Raises
    ------
    CheckpointNotFoundError
        No such file; it is an ``OSError`` too.
    InvalidArgumentError
        A file of another kind, or a directory; the message names what to call instead. It is an
        ``OSError`` or a ``UnicodeDecodeError`` too, as TensorFlow raises in this place.
    DataLossError
        Damaged, cut off, or nothing known.
    LimitExceededError
        2 GiB or more, nested deeper than 100 levels, or made to fill the memory.
    CheckpointIOError
        The operating system refused.

    Notes
    -----
    Costs the file in memory once, and the message.
    """
    text = local.as_path(path)
    return parse_message(read_bytes(text), name, path=text, empty_ok=empty_ok)


def parse_message(data: bytes, name: str, *, path: str = "", empty_ok: bool = False) -> Any:
    """Parse a message from bytes, in binary or in text form; see :func:`read_message`.

    Parameters
    ----------
    data : bytes
        All of the message.
    name : str
        Which message.
    path : str
        What errors name as the source.
    empty_ok : bool
        Take no bytes for an empty message.
    """
    message = protos.message_class(name)()
    is_empty = not data[: local.HEAD_BYTES].strip(_BLANKS) and not data.strip(_BLANKS)
    if is_empty and not empty_ok:
        raise file_errors.empty(path, name)
    if is_empty:
        return message
    if is_text(data):
        _parse_text(data, message, path)
    else:
        _parse_binary(data, message, path)
    return message


def write_message(
    path: str | os.PathLike[str], message: Any, *, as_text: bool = False, sync: bool = True
) -> None:
    """Write a message to a file, which appears whole or not at all.

    Parameters
    ----------
    path : str or PathLike
        The file; missing directories are made.
    message : message
        Any protobuf message.
    as_text : bool
        Write text form. Else binary, with the entries of maps sorted, so that equal messages give
        equal files.
    sync : bool
        Return when the file is on the device.

    Raises
    ------
    LimitExceededError
        The message takes 2 GiB or more.
    CheckpointIOError
        The operating system refused.

    Notes
    -----
    Text form leaves out fields that the message does not know.
    """
    replace_file(path, serialize(message, as_text=as_text, path=os.fspath(path)), sync=sync)


def serialize(message: Any, *, as_text: bool = False, path: str = "") -> bytes:
    """Give the bytes that :func:`write_message` writes."""
    if as_text:
        from google.protobuf import text_format

        text: str = text_format.MessageToString(message)
        return text.encode()
    # Asking for the size first would serialise twice: protobuf finds it no other way.
    data: bytes = message.SerializeToString(deterministic=True)
    if len(data) > MAX_BYTES:
        raise file_errors.too_large(path, message.DESCRIPTOR.name, len(data))
    return data


def is_text(data: bytes) -> bool:
    """Whether bytes are a message in text form rather than in binary.

    Text form begins with a field: a name, then ``:``, ``{`` or ``<``; blanks and comments may
    stand before and between. A binary message begins with a tag and a length; where the two
    happen to be a blank and the start of a comment, what follows is a tag again and no name.
    """
    return _TEXT_FORM.match(data) is not None or _COMMENTS_ONLY.match(data) is not None


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a file of a message whole; errors are those of :func:`read_message`."""
    path = local.as_path(path)
    size = local.file_size(path)
    if size is None:
        raise file_errors.no_file(path)
    if size > MAX_BYTES:
        raise file_errors.too_large(path, "message", size)
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise CheckpointIOError(
            f"cannot read {path!r}: {error.strerror}", path=path, errno=error.errno
        ) from error


def _parse_text(data: bytes, message: Any, path: str) -> None:
    from google.protobuf import text_format

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise file_errors.not_parsed(
            data, message, path, f"byte {error.start} is not UTF-8"
        ) from None
    try:
        # Merge, as TensorFlow does: a scalar may be repeated, and the last one counts.
        text_format.Merge(text, message)
    except RecursionError:
        raise _too_deep(path) from None
    except (text_format.ParseError, UnicodeError, ValueError) as error:
        raise file_errors.not_parsed(data, message, path, str(error)) from None


def _parse_binary(data: bytes, message: Any, path: str) -> None:
    from google.protobuf.message import DecodeError

    check_density(data, message.DESCRIPTOR, path)
    try:
        message.ParseFromString(data)
    except RecursionError:
        raise _too_deep(path) from None
    except (DecodeError, UnicodeError, ValueError) as error:
        if is_too_deep(data, message.DESCRIPTOR):
            raise _too_deep(path) from None
        raise file_errors.not_parsed(data, message, path, str(error)) from None
    if not is_plausible(message.DESCRIPTOR, data):
        raise file_errors.not_parsed(data, message, path, "its fields make no sense")


def _too_deep(path: str) -> LimitExceededError:
    return LimitExceededError(
        f"{path!r} nests messages deeper than the {MAX_DEPTH} levels that protobuf reads; no "
        "graph does that: the file is damaged or made to break its readers",
        path=path or None,
    )
