"""Errors for files that hold no such message: what they are instead, and what to call.

Every function builds an error and leaves raising it to the caller.
"""

from __future__ import annotations

import os
from typing import Any

from fastckpt import protos
from fastckpt.errors import CheckpointError, CheckpointNotFoundError, LimitExceededError
from fastckpt.graph.density import check_density
from fastckpt.graph.plausibility import is_plausible
from fastckpt.graph.tensorflow_errors import (
    BrokenBinaryError,
    BrokenFileError,
    WrongBinaryError,
    WrongFileError,
)
from fastckpt.graph.wire import LENGTH, bounds
from fastckpt.names import near_names, strip_suffix
from fastckpt.storage import content, local

__all__ = ["empty", "no_file", "not_parsed", "too_large"]

# What reads each kind of file.
_CALLS = {
    "MetaGraphDef": ("a meta graph (MetaGraphDef)", "fastckpt.graph.MetaGraph.load({path!r})"),
    "GraphDef": ("a graph (GraphDef)", "fastckpt.graph.Graph.load({path!r})"),
    "SavedModel": (
        "the graph of a SavedModel",
        "fastckpt.graph.SavedModel.load({directory!r})",
    ),
}
_OPEN = "it belongs to a checkpoint: open that with fastckpt.open({prefix!r})"
_WITH_META = "; its meta graph is {meta!r}"

# Fields that are looked through for the place where a file was cut off.
_MAX_FIELDS = 1 << 17

# Endings that graphs usually have.
_ENDINGS = (".meta", ".pb", ".pbtxt")


def no_file(path: str) -> CheckpointError:
    """Explain a path that is no regular file."""
    if local.is_directory(path):
        return _directory(path)
    if os.path.exists(path):
        return WrongFileError(f"{path!r} is no regular file; copy it to one first", path=path)
    if local.file_size(f"{path}.meta") is not None:
        hint = f"a prefix has no graph of its own; pass {path + '.meta'!r}"
    elif "://" in path:
        hint = "this is a URL, and graphs are read from local files: fetch it first"
    elif path.startswith("~"):
        hint = "'~' is not expanded: pass os.path.expanduser(path)"
    else:
        hint = _near(path) or "no such file, and none of a similar name beside it"
    return CheckpointNotFoundError(f"File does not exist. Received: {path}. ({hint})", path=path)


def empty(path: str, name: str) -> BrokenFileError:
    """Explain a file without a byte."""
    what, _ = _CALLS.get(name, (name, ""))
    return BrokenFileError(
        f"file {path!r} is empty where {what} is expected; the save was interrupted or the disk "
        "was full: use another one",
        path=path or None,
    )


def too_large(path: str, name: str, size: int) -> LimitExceededError:
    """Explain a message of 2 GiB or more."""
    return LimitExceededError(
        f"a {name} of {size} bytes in {path!r} passes the 2 GiB that one protobuf message may "
        "take; keep large values in a checkpoint, which has no such limit",
        path=path or None,
    )


def not_parsed(data: bytes, message: Any, path: str, reason: str) -> CheckpointError:
    """Explain bytes that did not parse as `message`.

    Parameters
    ----------
    data : bytes
        All of them.
    message : message
        Of the class that was expected.
    path : str
        Where they come from.
    reason : str
        What the parser said.
    """
    name = message.DESCRIPTOR.name
    found = _recognise(data, name, path)
    if found is not None:
        what, advice = found
        text = f"{path!r} is no {name}: this is {what}; {advice}"
        return _build(WrongFileError, WrongBinaryError, text, data, path)
    text = f"Cannot parse file {path}: it is no {name}: {_damage(data, message, reason)}"
    return _build(BrokenFileError, BrokenBinaryError, text, data, path)


def _build(plain: Any, undecodable: Any, text: str, data: bytes, path: str) -> CheckpointError:
    """Build the error for content that is UTF-8, or the one that is a UnicodeDecodeError too."""
    error: CheckpointError
    try:
        data.decode()
        error = plain(text, path=path or None)
    except UnicodeDecodeError as reason:
        error = undecodable(text, reason=reason, path=path or None)
    return error


def _recognise(data: bytes, name: str, path: str) -> tuple[str, str] | None:
    """Say what the bytes are instead, and what to do."""
    head = data[: local.HEAD_BYTES]
    if content.is_lfs_pointer(head):
        return (
            "a Git-LFS pointer: the file itself was not fetched",
            "run 'git lfs pull' in its repository",
        )
    for kind in _CALLS:
        if kind != name and _parses_as(data, kind):
            return _called(kind, path)
    return _part_of_checkpoint(data, head, path) or _by_head(head, name, path)


def _by_head(head: bytes, name: str, path: str) -> tuple[str, str] | None:
    found = content.recognise(head)
    if found is None or found.kind == name:
        return None
    if found.kind == "chunked":
        return found.what, "reading chunks is not supported: save the model without them"
    if found.kind in _CALLS:
        what, call = _called(found.kind, path)
        return f"{what}, damaged or cut off", f"fetch it anew, then {call}"
    return found.what, found.advice


def _called(kind: str, path: str) -> tuple[str, str]:
    what, call = _CALLS[kind]
    directory = os.path.dirname(path) or "."
    return what, f"open it with {call.format(path=path, directory=directory)}"


def _parses_as(data: bytes, kind: str) -> bool:
    from google.protobuf.message import DecodeError

    message = protos.message_class(kind)()
    try:
        check_density(data, message.DESCRIPTOR, "")
        message.ParseFromString(data)
    except (DecodeError, ValueError, RecursionError):
        return False
    return bool(message.ListFields()) and is_plausible(message.DESCRIPTOR, data)


def _part_of_checkpoint(data: bytes, head: bytes, path: str) -> tuple[str, str] | None:
    """Recognise the index, a data shard and the state file of a checkpoint."""
    prefix, kind = strip_suffix(path)
    if content.is_state_text(head):
        directory = os.path.dirname(path) or "."
        return "a checkpoint state", f"open its checkpoint with fastckpt.open({directory!r})"
    if data.endswith(local.TABLE_MAGIC):
        what = "the index of a checkpoint"
    elif kind == "data" and not data.startswith(b"\n"):
        what = "a data shard of a checkpoint"
    else:
        return None
    meta = f"{prefix}.meta"
    there = local.file_size(meta) is not None
    advice = _OPEN.format(prefix=prefix) + (_WITH_META.format(meta=meta) if there else "")
    return what, advice


def _damage(data: bytes, message: Any, reason: str) -> str:
    """Say how the bytes are damaged, as far as that shows."""
    if content.is_mangled(data[: local.HEAD_BYTES]):
        return (
            "something has treated its binary content as text and replaced bytes for good; fetch "
            "the original file, in binary mode"
        )
    converted = b"\r\n" in data[:64]
    if converted and _parses_as(data.replace(b"\r\n", b"\n"), message.DESCRIPTOR.name):
        return "its line ends were converted; fetch the original file, in binary mode"
    if content.is_plain_text(data[: local.HEAD_BYTES]) and not reason[:1].isdecimal():
        return "it is text, and not the text form of a message"
    if (missing := _missing_bytes(data)) is not None:
        return f"it is cut off, the last {missing} bytes or more are missing; fetch it anew"
    reason = reason.rpartition("': ")[2]
    return f"{reason}; the file is damaged or something else: fetch it anew"


def _missing_bytes(data: bytes) -> int | None:
    """How far the last field reaches past the end; None where the fields fail otherwise."""
    at = fields = 0
    while at < len(data):
        tag = data[at]
        fields += 1
        # No message here has fields of more than one byte of tag, or of a fixed size.
        if fields > _MAX_FIELDS or not 8 <= tag < 0x80 or tag & 7 not in (0, LENGTH):
            return None
        at = bounds(data, at, len(data))[1]
    return (at - len(data)) or None


def _directory(path: str) -> WrongFileError:
    names = sorted(local.entries(path))
    if local.is_saved_model(path):
        hint = f"it is a SavedModel: open it with fastckpt.graph.SavedModel.load({path!r})"
    elif graphs := [x for x in names if x.endswith(_ENDINGS)]:
        hint = f"pass one of its files, such as {os.path.join(path, graphs[-1])!r}"
    else:
        hint = "it holds no .meta, .pb or .pbtxt file"
    return WrongFileError(f"{path!r} is a directory where a file is expected; {hint}", path=path)


def _near(path: str) -> str:
    directory, name = os.path.split(path)
    if directory and not local.is_directory(directory):
        return f"its directory {directory!r} does not exist"
    names = [x for x in local.entries(directory) if x.endswith(_ENDINGS)]
    near = [os.path.join(directory, x) for x in near_names(name, sorted(names))]
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""
