"""Words and numbers for people: pure functions from values to short, harmless text."""

from __future__ import annotations

import functools
import os
import unicodedata

__all__ = [
    "cells", "counted", "human_rate", "human_size", "human_time", "pad", "safe", "shape_text",
    "short_path",
]  # fmt: skip

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

# What "surrogateescape" makes of a byte that is not UTF-8.
_ESCAPED_BYTES = range(0xDC80, 0xDD00)


def safe(text: str) -> str:
    r"""Replace everything that a terminal could obey or hide: names come from strangers.

    Control characters, line ends, direction marks and bytes that are not UTF-8 become Python's
    escapes; printable text, of any script, is left alone.

    >>> safe("layer/\x1b[2J")
    'layer/\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def cells(text: str) -> int:
    """Columns that printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_char_cells, text))


def pad(text: str, width: int) -> str:
    """Fill up with blanks to a width in terminal columns."""
    return text + " " * (width - cells(text))


@functools.lru_cache(4096)
def human_size(size_bytes: int) -> str:
    """Write a number of bytes in binary units.

    >>> human_size(88), human_size(1536)
    ('88 B', '1.5 KiB')
    """
    if size_bytes < 1024:
        return f"{size_bytes} B"
    # What would be rounded to 1024.0 takes the next unit.
    size, unit = size_bytes / 1024, 0
    while size >= 1023.95 and unit + 1 < len(_UNITS):
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}"


def human_time(seconds: float) -> str:
    """Write a duration with three digits.

    >>> human_time(0.0000123), human_time(75.0)
    ('12.3 us', '75.0 s')
    """
    for factor, unit in ((1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.1f} s" if seconds >= 9.995 else f"{seconds:.2f} s"


def human_rate(size_bytes: int, seconds: float) -> str:
    """Write a throughput in decimal gigabytes, as memory and disks are sold."""
    rate = size_bytes / max(seconds, 1e-9) / 1e9
    return f"{rate:.1f} GB/s" if rate >= 0.095 else f"{rate:.2g} GB/s"


@functools.lru_cache(4096)
def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as one word.

    >>> shape_text((3, 2)), shape_text(())
    ('[3,2]', '[]')
    """
    return f"[{','.join(map(str, shape))}]"


def counted(number: int, noun: str) -> str:
    """Write a number and its noun.

    >>> counted(1, "tensor"), counted(20000, "tensor")
    ('1 tensor', '20 000 tensors')
    """
    digits = f"{number:,}".replace(",", " ") if number >= 10_000 else str(number)
    return f"{digits} {noun}{'' if number == 1 else 's'}"


def short_path(path: str) -> str:
    """Write a path from the working directory where it lies below, harmlessly."""
    below = os.path.join(os.getcwd(), "")
    return safe(path.removeprefix(below) if path != below else path)


def _escape(char: str) -> str:
    code = ord(char)
    if code in _ESCAPED_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def _char_cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
