"""``fastckpt latest``: what the state file of a directory says."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click

from fastckpt.cli.paragraphs import print_rows
from fastckpt.cli.terminal import Column, is_terminal, print_json_rows, write
from fastckpt.cli.text import safe
from fastckpt.errors import InvalidArgumentError
from fastckpt.storage import Location, locate, read_state
from fastckpt.storage.local import checkpoint_exists

_COLUMNS = (Column("checkpoint"), Column("saved"), Column(""))


class _Kept(NamedTuple):
    """A checkpoint that the state file lists."""

    prefix: str
    exists: bool
    is_latest: bool
    timestamp: float | None


@click.command()
@click.argument("directory")
@click.option("--long", "-l", "is_long", is_flag=True, help="All that are kept, oldest first.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(directory: str, *, is_long: bool, as_json: bool) -> None:
    """Print the latest checkpoint of a directory.

    The prefix is written as it is, for other commands: fastckpt ls "$(fastckpt latest run)".
    """
    location = locate(directory)
    if location.origin not in ("state", "saved_model"):
        raise InvalidArgumentError(
            f"{directory!r} is one checkpoint; pass the directory that holds its state file",
            path=directory,
        )
    if as_json:
        rows = (kept._asdict() for kept in _kept(directory, location))
        print_json_rows({"latest": location.prefix}, "kept", rows)
    elif is_long:
        print_rows(_COLUMNS, [_cells(x) for x in _kept(directory, location)], " ".join)
    else:
        _print_prefix(location.prefix)


def _kept(path: str, location: Location) -> Sequence[_Kept]:
    latest = location.prefix
    if location.origin == "saved_model":
        return [_Kept(latest, exists=True, is_latest=True, timestamp=None)]
    folder, name = (path, None) if os.path.isdir(path) else os.path.split(path)
    state = read_state(folder, name)
    prefixes = state.all_model_checkpoint_paths if state else []
    times: list[float] = state.all_model_checkpoint_timestamps if state else []
    if latest not in prefixes:
        prefixes = [*prefixes, latest]
    return [
        _Kept(x, checkpoint_exists(x), x == latest, times[i] if i < len(times) else None)
        for i, x in enumerate(prefixes)
    ]


def _cells(kept: _Kept) -> tuple[str, str, str]:
    words = ["latest"] if kept.is_latest else []
    words += [] if kept.exists else ["missing"]
    return safe(kept.prefix), _time(kept.timestamp), ", ".join(words)


def _time(timestamp: float | None) -> str:
    if timestamp is None:
        return "-"
    try:
        moment = dt.datetime.fromtimestamp(timestamp).astimezone()
    except (OverflowError, OSError, ValueError):
        return "?"
    return moment.isoformat(" ", "seconds")


def _print_prefix(prefix: str) -> None:
    if is_terminal():
        write(f"{safe(prefix)}\n")
        return
    # A program takes the path as it is, byte for byte.
    sys.stdout.buffer.write(os.fsencode(prefix) + b"\n")
