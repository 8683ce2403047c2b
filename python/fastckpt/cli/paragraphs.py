"""Tables on terminals that are wide enough, and paragraphs on those that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fastckpt.cli.terminal import (
    MAX_TABLE_ROWS,
    Column,
    is_terminal,
    print_table,
    styled,
    width,
    wrapped,
    write,
)
from fastckpt.cli.text import cells

__all__ = ["joined", "print_rows"]

# Cells between two columns of a drawn table.
_GAP = 3

# What folded names and other folded cells take at least: less is hard to read.
_FOLDED_NAME = 20
_FOLDED = 12

_NO_BREAK = "\N{NO-BREAK SPACE}"


def print_rows(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    sentence: Callable[[Sequence[str]], str],
    *,
    folded: bool = False,
) -> None:
    """Write a table; on a terminal that is too narrow for it, two lines or more a row.

    Parameters
    ----------
    columns, rows
        As for :func:`fastckpt.cli.terminal.print_table`.
    sentence : callable
        Gives all cells of a row but the first as text. Blanks of its that are no-break spaces stay
        on one line.
    folded : bool
        Fold cells that may be before giving the table up, and give it up only where the others
        would be cut. Tables of more rows than are drawn are plain columns then.
    """
    if not is_terminal():
        print_table(columns, rows)
        return
    found = list(rows)
    is_long = folded and len(found) > MAX_TABLE_ROWS
    if is_long or _cells_needed(columns, found, folded=folded) <= width():
        print_table(columns, found)
        return
    for name, *rest in found:
        write(f"{styled(name, 'bold')}\n  {joined(sentence(rest), 2)}\n")


def joined(text: str, indent: int) -> str:
    """Wrap text that begins after `indent` cells, and give no-break spaces their plain form."""
    return wrapped(text, indent, indent).replace(_NO_BREAK, " ")


def _cells_needed(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, folded: bool
) -> int:
    widths = [len(column.title) for column in columns]
    for row in rows:
        widths = list(map(max, widths, map(cells, row)))
    if folded:
        widths = [
            min(x, _FOLDED_NAME if i == 0 else _FOLDED) if i == 0 or column.folds else x
            for i, (x, column) in enumerate(zip(widths, columns, strict=True))
        ]
    return sum(widths) + _GAP * (len(columns) - 1)
