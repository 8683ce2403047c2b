"""Drawing names as a tree of scopes, with what each scope holds in all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastckpt.cli.rows import Row
from fastckpt.cli.terminal import is_terminal, speaks_unicode, styled, width, write
from fastckpt.cli.text import cells, counted, human_size, pad, safe, shape_text

__all__ = ["Scope", "build_tree", "print_tree"]

# Where the description begins, at most; longer names push theirs to the right.
_MAX_LABEL_CELLS = 72

_SIZE_CELLS = 10

# Room for a description, without which columns are given up.
_MIN_WHAT_CELLS = 24


class Scope:
    """A part of names between slashes: the tensor of that very name, and what lies below."""

    __slots__ = ("below", "nbytes", "row", "tensors")

    def __init__(self) -> None:
        self.below: dict[str, Scope] = {}
        self.row: Row | None = None
        self.tensors = 0
        self.nbytes = 0

    def count(self, row: Row) -> None:
        """Add one tensor to what the scope holds in all."""
        self.tensors += 1
        self.nbytes += row.nbytes


class _Marks(NamedTuple):
    fork: str
    last: str
    bar: str
    blank: str


class _Line(NamedTuple):
    """One line: a tensor, or a scope where `row` is None."""

    guides: str
    inner_guides: str
    label: str
    row: Row | None
    scope: Scope


def build_tree(rows: Iterable[Row]) -> Scope:
    """Sort rows into scopes, and count what each holds."""
    root = Scope()
    for row in rows:
        scope = root
        for part in row.name.split("/"):
            scope = scope.below.setdefault(part, Scope())
            scope.count(row)
        scope.row = row
    return root


def print_tree(rows: Iterable[Row]) -> None:
    """Write the tree of these rows: a line for each tensor and for each scope of several."""
    lines = list(_lines(build_tree(rows)))
    # On a terminal half of the line is left for the descriptions.
    limit = min(_MAX_LABEL_CELLS, width() // 2) if is_terminal() else _MAX_LABEL_CELLS
    label_cells = min(max((cells(x.guides + x.label) for x in lines), default=0), limit)
    dtype_cells = max((len(x.row.dtype) for x in lines if x.row), default=0)
    what = [_description(x, dtype_cells) for x in lines]
    what_cells = max(map(len, what), default=0)
    if is_terminal():
        room = width() - label_cells - _SIZE_CELLS - 4
        if room < min(what_cells, _MIN_WHAT_CELLS):
            _print_narrow(lines)
            return
        # One tensor of many dimensions pushes its own size to the right, not all others.
        what_cells = min(what_cells, room)
    for line, text in zip(lines, what, strict=True):
        label = styled(line.guides, "dim") if line.guides else ""
        label += line.label if line.row else styled(line.label, "bold")
        gap = " " * (label_cells - cells(line.guides + line.label))
        size = f"{_size(line):>{_SIZE_CELLS}}"
        write(f"{label}{gap}  {styled(pad(text, what_cells), _style(line))}  {size}\n")


def _print_narrow(lines: Iterable[_Line]) -> None:
    """Write lines whose columns are not aligned; long ones go on below their label."""
    for line in lines:
        guides = styled(line.guides, "dim") if line.guides else ""
        label = line.label if line.row else styled(line.label, "bold")
        text = f"{_description(line, 0)}  {_size(line)}"
        gap = "  "
        if cells(line.guides + line.label) + 2 + len(text) > width():
            gap = f"\n{styled(line.inner_guides, 'dim') if line.inner_guides else ''}  "
        write(f"{guides}{label}{gap}{styled(text, _style(line))}\n")


def _lines(root: Scope) -> Iterator[_Line]:
    # Without recursion: names from strangers may have any number of slashes.
    marks = _Marks("├─ ", "└─ ", "│  ", "   ")
    if not speaks_unicode():
        marks = _Marks("|- ", "`- ", "|  ", "   ")
    stack = _below(root, "", _Marks("", "", "", ""))
    while stack:
        line = stack.pop()
        yield line
        if line.row is None:
            stack += _below(line.scope, line.inner_guides, marks)


def _below(scope: Scope, guides: str, marks: _Marks) -> list[_Line]:
    """Lines directly below a scope, the last one first."""
    lines: list[_Line] = []
    for part, child in reversed(scope.below.items()):
        label, inner = _folded(part, child)
        items: list[tuple[str, Row | None]] = [(f"{label}/", None)] if inner.below else []
        if inner.row is not None:
            items.append((label, inner.row))
        for text, row in items:
            mark, rest = (marks.fork, marks.bar) if lines else (marks.last, marks.blank)
            lines.append(_Line(guides + mark, guides + rest, safe(text), row, inner))
    return lines


def _folded(part: str, scope: Scope) -> tuple[str, Scope]:
    """Follow scopes that hold nothing but one other part."""
    parts = [part]
    while scope.row is None and len(scope.below) == 1:
        ((part, scope),) = scope.below.items()
        parts.append(part)
    return "/".join(parts), scope


def _description(line: _Line, dtype_cells: int) -> str:
    row = line.row
    if row is None:
        return counted(_inner_tensors(line), "tensor")
    return f"{row.dtype:<{dtype_cells}}  {shape_text(row.shape)}"


def _size(line: _Line) -> str:
    row = line.row
    if row is None:
        return human_size(line.scope.nbytes - (line.scope.row.nbytes if line.scope.row else 0))
    return human_size(row.nbytes)


def _inner_tensors(line: _Line) -> int:
    return line.scope.tensors - (line.scope.row is not None)


def _style(line: _Line) -> str:
    return "dim" if line.row is None else "cyan"
