"""How large a checkpoint the demonstration can write here, and where."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from fastckpt.cli.demo_model import MIN_BYTES
from fastckpt.cli.text import human_size, safe

__all__ = ["check_disk", "directory_on_disk", "fitting_size", "parse_size"]

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}

_DEFAULT_BYTES = 1 << 30
_MIN_DEFAULT_BYTES = 64 << 20

# At the same time: the model, what is loaded, TensorFlow's copy, and some room for files.
_MEMORY_FACTOR = 4
# On disk: the checkpoint, TensorFlow's where there is one, and what is not tensors.
_DISK_FACTORS = {False: 1.1, True: 2.1}


def parse_size(_: click.Context, __: click.Parameter, text: Any) -> int | None:
    """Read a size such as ``64MiB``: the callback of an option."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    factor = _UNITS.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise click.BadParameter(f"{text!r} is no size; give one such as 64MiB or 1GiB")
    size = int(float(match[1]) * factor)
    if size < MIN_BYTES:
        raise click.BadParameter(f"{text!r} is too small; the least is {human_size(MIN_BYTES)}")
    return size


def fitting_size(wanted: int | None) -> int:
    """Give the size to be used; what is asked for has to fit into memory."""
    available = _available_memory()
    if available is None:
        return wanted or _DEFAULT_BYTES
    if wanted is None:
        return min(_DEFAULT_BYTES, max(available // _MEMORY_FACTOR, _MIN_DEFAULT_BYTES))
    if wanted * _MEMORY_FACTOR > available:
        raise click.ClickException(
            f"this takes {human_size(wanted * _MEMORY_FACTOR)} of memory, and "
            f"{human_size(available)} are available; pass a smaller --size"
        )
    return wanted


def directory_on_disk() -> str:
    """Choose where to write: /tmp is memory on many systems, /var/tmp never is."""
    usual = tempfile.gettempdir()
    disk = "/var/tmp"  # noqa: S108
    return disk if usual == "/tmp" and os.access(disk, os.W_OK) else usual  # noqa: S108


def check_disk(directory: str, nbytes: int, *, has_peer: bool) -> None:
    """Raise unless a checkpoint fits, and a second one by TensorFlow."""
    free = shutil.disk_usage(directory).free
    needed = int(nbytes * _DISK_FACTORS[has_peer])
    if free < needed:
        raise click.ClickException(
            f"this takes {human_size(needed)} of disk space, and {human_size(free)} are free in "
            f"{safe(directory)}; pass a smaller --size, or another place with --dir"
        )


def _available_memory() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) << 10 if match else None
