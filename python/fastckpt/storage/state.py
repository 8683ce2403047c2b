"""The checkpoint state: the text file that names the latest and the kept checkpoints.

:func:`parse_state` and :func:`format_state` are the format, :func:`read_state` the policy: where
the file is and what its paths mean on this machine.
"""

from __future__ import annotations

import dataclasses
import logging
import ntpath
import os
import re
from collections.abc import Iterator
from typing import Any

from fastckpt import protos
from fastckpt.errors import (
    CheckpointIOError,
    DataLossError,
    InvalidArgumentError,
    LimitExceededError,
)
from fastckpt.storage import content, local

__all__ = [
    "STATE_FILE",
    "CheckpointState",
    "format_state",
    "parse_state",
    "read_state",
    "resolve_path",
]

STATE_FILE = "checkpoint"

# A state file of 10 000 checkpoints takes about 1 MiB.
_MAX_BYTES = 4 << 20

# The escapes of text format. A backslash outside of one was written by hand, and so was a drive
# with a lone backslash: then no backslash of the text starts an escape.
_ESCAPE = re.compile(
    r"""\\(?:[abfnrtv?\\'"]|[0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"""
)
_LONE_DRIVE = re.compile(r"""["'][A-Za-z]:\\(?!\\)""")
_LONE_BACKSLASH = re.compile(r"""\\\\|\\(?!["'])""")
# What may follow a backslash for protobuf; it keeps other pairs as they are, with a warning.
_ANY_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = frozenset("\\'\"abfnrtvxuUN01234567\n")
# What protobuf's printer writes for characters that do not stand for themselves.
_PRINTED = {
    **{code: f"\\{code:03o}" for code in (*range(32), 127)},
    **{ord(char): f"\\{char}" for char in "\\'\""},
    **{ord(char): f"\\{word}" for char, word in zip("\n\r\t", "nrt", strict=True)},
}

_log = logging.getLogger("fastckpt")


@dataclasses.dataclass(slots=True)
class CheckpointState:
    """What a state file says.

    Attributes
    ----------
    model_checkpoint_path : str
        Prefix of the latest checkpoint.
    all_model_checkpoint_paths : list of str
        Every prefix that is kept, oldest first.
    all_model_checkpoint_timestamps : list of float
        Seconds since the epoch, one for each of the above, or none.
    last_preserved_timestamp : float
        When a checkpoint was last exempted from deletion; 0 where that never happened.
    """

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: list[str] = dataclasses.field(default_factory=list)
    all_model_checkpoint_timestamps: list[float] = dataclasses.field(default_factory=list)
    last_preserved_timestamp: float = 0.0


def parse_state(text: str, *, repair: bool = True) -> CheckpointState:
    """Parse the text of a state file; paths are given as they are written.

    Parameters
    ----------
    text : str
        A text-format ``CheckpointState``. Comments, either kind of quotes and line end, and
        escapes are accepted.
    repair : bool
        Accept Windows paths whose backslashes nobody escaped, too; TensorFlow does not.

    Raises
    ------
    DataLossError
        Not such a text, or a field that the message does not have.
    """
    if not repair:
        text = _ANY_ESCAPE.sub(_kept_escape, text)
    elif _LONE_DRIVE.search(text) or "\\" in _ESCAPE.sub("", text):
        text = _LONE_BACKSLASH.sub(r"\\\\", text)
    return _parse(text)


def format_state(state: CheckpointState) -> str:
    """Write a state as the text that protobuf's printer gives for it.

    Raises
    ------
    UnicodeEncodeError
        A path that is no Unicode text, which the format cannot hold.

    Notes
    -----
    One field a line, in the order of their numbers; non-ASCII characters as they are, numbers in
    the shortest form that reads back the same; a zero `last_preserved_timestamp` is left out.
    """
    lines = [
        _line("model_checkpoint_path", state.model_checkpoint_path),
        *(_line("all_model_checkpoint_paths", x) for x in state.all_model_checkpoint_paths),
        *(
            _time("all_model_checkpoint_timestamps", x)
            for x in state.all_model_checkpoint_timestamps
        ),
        _time("last_preserved_timestamp", state.last_preserved_timestamp),
    ]
    # A scalar field that has its default is as good as absent, and is not printed.
    if not state.model_checkpoint_path:
        del lines[0]
    if lines[-1].endswith(": 0.0\n"):
        del lines[-1]
    text = "".join(lines)
    text.encode("utf-8")
    return text


def read_state(
    directory: str | os.PathLike[str], latest_filename: str | None = None
) -> CheckpointState | None:
    """Read the state file of a directory.

    Parameters
    ----------
    directory : path
        Where the state file is.
    latest_filename : str, optional
        Its name, ``"checkpoint"`` by default.

    Returns
    -------
    CheckpointState or None
        With paths to use from here, see :func:`resolve_path`; None where there is no such file.

    Raises
    ------
    DataLossError
        The file is empty, not text, not a checkpoint state, or names no checkpoint.
    """
    name = STATE_FILE if latest_filename is None else latest_filename
    if os.path.basename(name) != name or not name:
        raise InvalidArgumentError(f"latest_filename must not contain path components: {name!r}")
    folder = os.fspath(directory)
    path = os.path.join(folder, name)
    size = local.file_size(path)
    if size is None:
        return None
    state = _load(path, size)
    if not state.model_checkpoint_path:
        raise DataLossError(
            f"checkpoint state {path!r} names no checkpoint; it may have been written to a full "
            "disk: pass the prefix of a checkpoint instead of the directory",
            path=path,
        )
    return _resolved(state, folder)


def resolve_path(stored: str, directory: str) -> str:
    """Say what a path in the state file of `directory` means on this machine.

    A relative path starts at `directory`. Where no checkpoint is there, the same name beside the
    state file is taken, in case the directory was moved here from elsewhere, a Windows machine
    included. Where that is not there either, the path is given as it was stored.
    """
    candidates = list(dict.fromkeys(_meanings(stored, directory)))
    return next(filter(_exists, candidates), candidates[0])


def _line(field: str, path: str) -> str:
    return f'{field}: "{path.translate(_PRINTED)}"\n'


def _time(field: str, seconds: float) -> str:
    return f"{field}: {float(seconds)!r}\n"


def _kept_escape(match: re.Match[str]) -> str:
    return match[0] if match[1] in _KNOWN_ESCAPES else f"\\{match[0]}"


def _meanings(stored: str, directory: str) -> Iterator[str]:
    yield os.path.join(directory, stored)
    if "\\" in stored:
        if not ntpath.isabs(stored) and not ntpath.splitdrive(stored)[0]:
            yield os.path.join(directory, stored.replace("\\", "/"))
        yield os.path.join(directory, ntpath.basename(stored))
    # A save to "dir/" stores "."; its files have names without a stem.
    name = os.path.basename(stored)
    yield os.path.join(directory, "" if name == "." else name)


def _exists(prefix: str) -> bool:
    try:
        return local.checkpoint_exists(prefix)
    except CheckpointIOError:
        return False


def _resolved(state: CheckpointState, directory: str) -> CheckpointState:
    latest = resolve_path(state.model_checkpoint_path, directory)
    if latest != os.path.join(directory, state.model_checkpoint_path):
        _log.info(
            "checkpoint %r named by the state file is gone; using %r beside it",
            state.model_checkpoint_path,
            latest,
        )
    kept = [resolve_path(x, directory) for x in state.all_model_checkpoint_paths]
    return dataclasses.replace(
        state, model_checkpoint_path=latest, all_model_checkpoint_paths=kept
    )


def _load(path: str, size: int) -> CheckpointState:
    if size > _MAX_BYTES:
        raise LimitExceededError(
            f"checkpoint state {path!r} has {size} bytes, more than the {_MAX_BYTES} read at "
            "most; this is no state file",
            path=path,
        )
    data = local.read_head(path, _MAX_BYTES)
    try:
        return parse_state(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
    except DataLossError as error:
        reason = str(error)
    found = content.recognise(data[: local.HEAD_BYTES])
    if found is not None:
        reason = f"this is {found.what}"
    raise DataLossError(
        f"checkpoint state {path!r} cannot be read: {reason}; "
        "pass the prefix of a checkpoint instead of the directory",
        path=path,
    )


def _parse(text: str) -> CheckpointState:
    from google.protobuf import text_format

    message: Any = protos.message_class("CheckpointState")()
    try:
        # Merge, not Parse: a scalar may be repeated, and the last one counts.
        text_format.Merge(text, message)
    except (text_format.ParseError, UnicodeError, ValueError) as error:
        raise DataLossError(f"not a checkpoint state: {error}") from None
    return CheckpointState(
        message.model_checkpoint_path,
        list(message.all_model_checkpoint_paths),
        list(message.all_model_checkpoint_timestamps),
        message.last_preserved_timestamp,
    )
