"""From what went wrong to an exit code and one line, or one JSON object."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from fastckpt.cli.terminal import styled, to_json, write
from fastckpt.cli.text import safe
from fastckpt.errors import (
    CheckpointChangedError,
    CheckpointError,
    DataLossError,
    LimitExceededError,
)

__all__ = [
    "DAMAGED", "INTERNAL", "INTERRUPTED", "OK", "PIPE_CLOSED", "USAGE", "describe_error",
    "exit_code", "print_error", "warn",
]  # fmt: skip

OK = 0
DAMAGED = 1
USAGE = 2
# sysexits.h: EX_SOFTWARE; 128 + SIGINT; 128 + SIGPIPE, as shells count.
INTERNAL = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

_DAMAGE = (DataLossError, LimitExceededError, CheckpointChangedError)


def exit_code(error: BaseException) -> int:
    """Say how the process ends on this error: the files are bad, or the call was."""
    if isinstance(error, _DAMAGE):
        return DAMAGED
    expected = (CheckpointError, click.ClickException, OSError, MemoryError)
    return USAGE if isinstance(error, expected) else INTERNAL


def describe_error(error: BaseException) -> dict[str, Any]:
    """Give an error as the value of ``"error"`` in JSON output: type, message and where."""
    where = {key: getattr(error, key, None) for key in ("path", "offset", "key")}
    if where["path"] is None:
        where["path"] = getattr(error, "filename", None)
    return {"type": type(error).__name__, "message": _message(error), **where}


def print_error(error: BaseException, *, as_json: bool) -> None:
    """Tell an error: an object on standard output for programs, a line on stderr for people."""
    if os.environ.get("FASTCKPT_DEBUG") or exit_code(error) == INTERNAL:
        traceback.print_exception(error)
    if as_json:
        write(to_json({"error": describe_error(error)}) + "\n")
        return
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.ctx.get_help(), file=sys.stderr)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        print(f"usage: {_usage(error.ctx)}", file=sys.stderr)
    _complain("error", "red", _message(error))


def warn(message: str) -> None:
    """Tell on stderr what does not end the command."""
    _complain("warning", "yellow", message)


def _complain(kind: str, colour: str, message: str) -> None:
    label = styled(f"fastckpt: {kind}:", "bold", colour, stream=sys.stderr)
    print(f"{label} {safe(message)}", file=sys.stderr)


def _message(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and not isinstance(error, CheckpointError):
        where = f" ({error.filename!r})" if error.filename else ""
        return f"the system refused: {error.strerror or error}{where}"
    if exit_code(error) == INTERNAL:
        return f"{type(error).__name__}: {error}; this is a defect of fastckpt, please report it"
    return str(error)


def _usage(ctx: click.Context) -> str:
    pieces = " ".join(ctx.command.collect_usage_pieces(ctx))
    return f"{ctx.command_path} {pieces}"
