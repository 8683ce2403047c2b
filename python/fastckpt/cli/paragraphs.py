"""Tables on terminals that are wide enough, and paragraphs on those that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fastckpt.cli.terminal import Column, is_terminal, print_table, styled, width, wrapped, write
from fastckpt.cli.text import cells

__all__ = ["joined", "print_rows"]

# Cells between two columns of a drawn table.
_GAP = 3

_NO_BREAK = "\N{NO-BREAK SPACE}"


def print_rows(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    sentence: Callable[[Sequence[str]], str],
) -> None:
    """Write a table; on a terminal that is too narrow for it, two lines or more a row.

    Parameters
    ----------
    columns, rows
        As for :func:`fastckpt.cli.terminal.print_table`.
    sentence : callable
        Gives all cells of a row but the first as text. Blanks of its that are no-break spaces stay
        on one line.
    """
    if not is_terminal():
        print_table(columns, rows)
        return
    found = list(rows)
    if _cells_needed(columns, found) <= width():
        print_table(columns, found)
        return
    for name, *rest in found:
        write(f"{styled(name, 'bold')}\n  {joined(sentence(rest), 2)}\n")


def joined(text: str, indent: int) -> str:
    """Wrap text that begins after `indent` cells, and give no-break spaces their plain form."""
    return wrapped(text, indent, indent).replace(_NO_BREAK, " ")


def _cells_needed(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    widths = [len(column.title) for column in columns]
    for row in rows:
        widths = list(map(max, widths, map(cells, row)))
    return sum(widths) + _GAP * (len(columns) - 1)
