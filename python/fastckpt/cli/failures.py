"""From what went wrong to an exit code and a message, or one JSON object."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from fastckpt.cli.terminal import styled, to_json, wrapped, write
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

# Blanks before all lines of a message but its first.
_HANGING = 2

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
    """Tell an error: an object on standard output for programs, lines on stderr for people."""
    if os.environ.get("FASTCKPT_DEBUG") or exit_code(error) == INTERNAL:
        traceback.print_exception(error)
    if as_json:
        write(to_json({"error": describe_error(error)}) + "\n")
        return
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.ctx.get_help(), file=sys.stderr)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        usage = wrapped(_usage(error.ctx), len("usage: "), len("usage: "), sys.stderr)
        print(f"usage: {usage}\nhelp:  {error.ctx.command_path} --help", file=sys.stderr)
    first, *more = _lines(error)
    _complain("error", "red", first)
    for line in more:
        indent = len(line) - len(line.lstrip()) + _HANGING
        text = wrapped(safe(line.lstrip()), indent, indent + _HANGING, sys.stderr)
        print(f"{' ' * indent}{text}", file=sys.stderr)


def warn(message: str) -> None:
    """Tell on stderr what does not end the command."""
    _complain("warning", "yellow", message)


def _complain(kind: str, colour: str, message: str) -> None:
    title = f"fastckpt: {kind}:"
    text = wrapped(safe(message), len(title) + 1, _HANGING, sys.stderr)
    print(f"{styled(title, 'bold', colour, stream=sys.stderr)} {text}", file=sys.stderr)


def _lines(error: BaseException) -> list[str]:
    """Give the message in its lines, of which no name from a stranger can make more."""
    message = _message(error)
    if not isinstance(error, CheckpointError):
        return [message]
    names = [name for name in (error.key, error.path) if name and "\n" in name]
    return [message] if any(name in message for name in names) else message.split("\n")


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
