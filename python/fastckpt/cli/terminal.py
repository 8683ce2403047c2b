"""Where output goes: terminal or not, colours, tables, aligned columns, JSON documents."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TextIO

from fastckpt.cli.text import cells

__all__ = [
    "MAX_TABLE_ROWS", "Column", "is_terminal", "print_json_rows", "print_table", "speaks_unicode",
    "styled", "to_json", "width", "wrapped", "write",
]  # fmt: skip

# A rich table costs 0.2 ms a row; a line of plain columns a hundredth of that.
MAX_TABLE_ROWS = 1000

# Rows that are aligned together; later ones keep at least the widths of those before.
_CHUNK_ROWS = 1000

# One long name does not push the columns of all others off the screen.
_MAX_NAME_CELLS = 72

# What a folded name has at least in a drawn table.
_FOLDED_NAME_CELLS = 16

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

# Of the 256 colours, which are the same in every theme: a contrast of 3.5 or more on black, on the
# usual dark greys and on white. The first 16 are the theme's, whose yellow on white nobody reads.
_COLOURS = {"red": 196, "green": 29, "yellow": 166, "cyan": 31}


class Column(NamedTuple):
    """A column of a table.

    `right`: cells end at the right. On a terminal, `style` is "dim" or a colour, and cells of a
    column that `folds` take several lines where the table would be too wide; the first column
    always does.
    """

    title: str
    right: bool = False
    style: str = ""
    folds: bool = False


def write(text: str) -> None:
    """Write to standard output."""
    sys.stdout.write(text)


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a stream, standard output by default, is a terminal."""
    return (sys.stdout if stream is None else stream).isatty()


def width(stream: TextIO | None = None) -> int:
    """Columns of the terminal that a stream, standard output by default, writes to."""
    if stream is not None and not os.environ.get("COLUMNS"):
        # A terminal that does not know its size says 0.
        with contextlib.suppress(OSError, ValueError):
            if columns := os.get_terminal_size(stream.fileno()).columns:
                return columns
    return shutil.get_terminal_size().columns


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Give `text` colours where the stream is a terminal that wants them."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{';'.join(map(_code, styles))}m{text}\x1b[0m"


def _code(style: str) -> str:
    knows_more = "256color" in os.environ.get("TERM", "") or os.environ.get("COLORTERM")
    return f"38;5;{_COLOURS[style]}" if knows_more and style in _COLOURS else _SGR[style]


def wrapped(text: str, indent: int = 0, hanging: int = 0, stream: TextIO | None = None) -> str:
    """Break text between words where it would run over the edge of a terminal.

    `indent` cells are in front of the text already, and `hanging` in front of its further lines.
    The terminal is that of `stream`, by default of standard output.
    """
    if not is_terminal(stream):
        return text
    import textwrap

    first, further = " " * indent, " " * hanging
    lines = textwrap.wrap(
        text,
        max(width(stream), 40),
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).removeprefix(first)


def speaks_unicode() -> bool:
    """Whether standard output can write line-drawing characters."""
    return (sys.stdout.encoding or "").lower().startswith("utf")


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Write a table: drawn by rich when it is short and standard output a terminal.

    Parameters
    ----------
    columns : sequence of Column
        The first holds names, which may be long or wide.
    rows : iterable of sequence of str
        Printable cells. Off a terminal, and beyond 1000 rows, they are written as they come.
    """
    if is_terminal():
        rows = iter(rows)
        short = list(itertools.islice(rows, MAX_TABLE_ROWS + 1))
        if len(short) <= MAX_TABLE_ROWS:
            _print_rich(columns, short)
            return
        rows = itertools.chain(short, rows)
    _print_plain(columns, rows)


def to_json(value: Any) -> str:
    """Write a value as JSON: one line, ASCII, so that no name can touch the terminal."""
    return json.dumps(value, allow_nan=False)


def print_json_rows(head: dict[str, Any], key: str, rows: Iterable[Any]) -> None:
    """Write one JSON object: `head`, and a list under `key` with one row a line, as they come."""
    write("{\n")
    for name, value in head.items():
        write(f'  "{name}": {to_json(value)},\n')
    write(f'  "{key}": [')
    encode = json.JSONEncoder(allow_nan=False).encode
    separator = "\n"
    for row in rows:
        write(f"{separator}    {encode(row)}")
        separator = ",\n"
    write("\n  ]\n}\n")


def _print_plain(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    titles = tuple(column.title for column in columns)
    body = iter(rows)
    widths = [0] * len(columns)
    chunk: list[Sequence[str]] = [titles, *itertools.islice(body, _CHUNK_ROWS)]
    while chunk:
        names, *others = zip(*chunk, strict=True)
        is_ascii = "".join(names).isascii()
        name_cells = list(map(len if is_ascii else cells, names))
        found = [min(max(name_cells), _MAX_NAME_CELLS), *(max(map(len, x)) for x in others)]
        widths = list(map(max, widths, found))
        if not is_ascii:
            # Python pads by characters, some of which take two cells, or none.
            names = tuple(
                [x + " " * (widths[0] - n) for x, n in zip(names, name_cells, strict=True)]
            )
        template = _template(columns, [widths[0] if is_ascii else 0, *widths[1:]])
        write("".join(map(template.__mod__, zip(names, *others, strict=True))))
        chunk = list(itertools.islice(body, _CHUNK_ROWS))


def _template(columns: Sequence[Column], widths: Sequence[int]) -> str:
    signs = ["" if column.right else "-" for column in columns]
    parts = [f"%{sign}{size}s" for sign, size in zip(signs, widths, strict=True)]
    if not columns[-1].right:
        # No blanks at the ends of lines.
        parts[-1] = "%s"
    return "  ".join(parts) + "\n"


def _print_rich(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = box.SIMPLE_HEAD if speaks_unicode() else box.ASCII
    table = Table(box=lines, pad_edge=False, show_edge=False)
    longest_name = max((cells(row[0]) for row in rows), default=0)
    for i, column in enumerate(columns):
        # Names are folded, never cut: half a name is of no use.
        table.add_column(
            column.title,
            # Rich knows itself how many colours there are.
            style=f"color({_COLOURS[column.style]})" if column.style in _COLOURS else column.style,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=i > 0 and not column.folds,
            min_width=min(longest_name, _FOLDED_NAME_CELLS) if i == 0 else None,
        )
    for row in rows:
        # As Text, brackets in a name are no markup.
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(table)
