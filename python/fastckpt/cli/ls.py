"""``fastckpt ls``: the tensors of a checkpoint as a table, a tree, plain columns or JSON."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

import fastckpt
from fastckpt.checkpoint.listing import list_rows
from fastckpt.cli import failures
from fastckpt.cli.paragraphs import print_rows
from fastckpt.cli.rows import Row, choose, row_json, sort_rows
from fastckpt.cli.terminal import Column, is_terminal, print_json_rows, styled, width, write
from fastckpt.cli.text import cells, counted, human_size, safe, shape_text, short_path

_COLUMNS = (
    Column("name"),
    Column("dtype", style="cyan"),
    Column("shape", folds=True),
    Column("size", right=True),
    Column("shard", right=True, style="dim"),
)
_LONG_COLUMNS = (
    *_COLUMNS[:3],
    Column("bytes", right=True),
    Column("shard", right=True, style="dim"),
    Column("offset", right=True, style="dim"),
    Column("crc32c", right=True, style="dim"),
)

_CHUNK_ROWS = 1000


@click.command()
@click.argument("path")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--tree", is_flag=True, help="Draw the scopes of the names, with subtotals.")
@click.option("--objects", is_flag=True, help="Draw the objects of tf.train.Checkpoint.")
@click.option(
    "--sort",
    "order",
    type=click.Choice(["name", "size", "file"]),
    default="name",
    show_default=True,
    help="Order: by name, largest first, or as the bytes lie in the files.",
)
@click.option("--long", "-l", "is_long", is_flag=True, help="Exact bytes, offsets, checksums.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    path: str,
    patterns: tuple[str, ...],
    *,
    tree: bool,
    objects: bool,
    order: str,
    is_long: bool,
    as_json: bool,
) -> int:
    """List the tensors of a checkpoint.

    A PATTERN is a name, a scope (everything below it), or has * and ? in it, which match slashes
    too. Off a terminal, and beyond 1000 tensors, rows are plain aligned columns.

    What is intact of a damaged index is listed; the exit status is 1 then.
    """
    if tree and (as_json or is_long or order != "name"):
        raise click.UsageError("--tree goes with none of --json, --long and --sort")
    if objects and (tree or patterns or as_json or is_long or order != "name"):
        raise click.UsageError("--objects goes with no pattern and no other option")
    with fastckpt.open(path, on_damage="skip") as checkpoint:
        if objects:
            from fastckpt.cli.objects import print_objects

            print_objects(checkpoint)
            return failures.OK
        listing = _Listing(checkpoint, patterns, order)
        if as_json:
            listing.print_json()
        elif tree:
            from fastckpt.cli.tree import print_tree

            print_tree(listing.rows())
        elif is_long:
            rows = map(_long_cells, listing.rows())
            print_rows(_LONG_COLUMNS, rows, _long_sentence, folded=True)
        else:
            print_rows(_COLUMNS, _cells(listing.rows()), _sentence, folded=True)
        if not as_json:
            listing.print_totals()
        return listing.damaged(quiet=as_json)


class _Listing:
    """The rows that were asked for, and what they amount to."""

    def __init__(
        self, checkpoint: fastckpt.Checkpoint, patterns: tuple[str, ...], order: str
    ) -> None:
        self._checkpoint = checkpoint
        self._num_tensors = len(checkpoint)
        self._nbytes = checkpoint.nbytes
        rows: Iterable[Row] = list_rows(checkpoint)
        if patterns:
            wanted = frozenset(choose(checkpoint, patterns))
            rows = [row for row in rows if row.name in wanted]
            self._num_tensors = len(rows)
            self._nbytes = sum(row.nbytes for row in rows)
        self._rows = sort_rows(rows, order)

    def rows(self) -> Iterable[Row]:
        """Give the rows, once."""
        return self._rows

    def print_totals(self) -> None:
        """Write the last line: how much it is, and of which checkpoint."""
        checkpoint = self._checkpoint
        what = [counted(self._num_tensors, "tensor"), human_size(self._nbytes)]
        if self._num_tensors == len(checkpoint):
            what.append(counted(checkpoint.num_shards, "shard"))
        amount, path = ", ".join(what), short_path(checkpoint.prefix)
        is_narrow = is_terminal() and cells(amount + path) + 2 > width()
        gap = "\n" if is_narrow else "  "
        write(f"\n{styled(amount, 'bold')}{gap}{styled(path, 'dim')}\n")

    def print_json(self) -> None:
        """Write the whole listing as one document."""
        checkpoint = self._checkpoint
        head = {
            "prefix": checkpoint.prefix,
            "format": checkpoint.format,
            "byteorder": checkpoint.byteorder,
            "num_shards": checkpoint.num_shards,
            "files": checkpoint.files,
            "total": {"tensors": self._num_tensors, "nbytes": self._nbytes},
            "damage": [_damage_json(part) for part in checkpoint.damage],
        }
        print_json_rows(head, "tensors", map(row_json, self._rows))

    def damaged(self, *, quiet: bool) -> int:
        """Tell what is damaged or missing unless `quiet`, and give the exit code."""
        if not quiet:
            self._tell_missing()
            for part in self._checkpoint.damage:
                # An error of one entry names its tensor; that of a block says what is lost.
                failures.warn(str(part if part.error.key is None else part.error))
        return failures.DAMAGED if self._checkpoint.damage else failures.OK

    def _tell_missing(self) -> None:
        """Warn where the data is not there: a listing needs the index alone."""
        checkpoint = self._checkpoint
        files = checkpoint.files if checkpoint.format == "v2" else []
        gone = [os.path.basename(path) for path in files if not os.path.exists(path)]
        if gone:
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            failures.warn(
                f"{gone[0]!r}{more} of {short_path(checkpoint.prefix)!r} not found: tensors in it "
                "can be listed, not read; fastckpt doctor says more"
            )


def _cells(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    # Whole columns at a time: 100 000 rows are to take no time that anybody notices.
    body = iter(rows)
    while chunk := list(itertools.islice(body, _CHUNK_ROWS)):
        names, dtypes, shapes, sizes, shards, *_ = zip(*chunk, strict=True)
        shown = names if "".join(names).isprintable() else map(safe, names)
        texts = map(shape_text, shapes), map(human_size, sizes), map(_shard_text, shards)
        yield from zip(shown, dtypes, *texts, strict=True)


@functools.cache
def _shard_text(shard: int | None) -> str:
    return "slices" if shard is None else str(shard)


def _long_cells(row: Row) -> tuple[str, ...]:
    ((*start, _, shard),) = _cells([row])
    if row.offset is None:
        return *start, str(row.nbytes), shard, "-", "-"
    return *start, str(row.nbytes), shard, str(row.offset), f"{row.crc32c:08x}"


def _sentence(texts: Sequence[str]) -> str:
    dtype, shape, size, shard = texts
    return _unbroken(dtype, shape, size, _place(shard))


def _long_sentence(texts: Sequence[str]) -> str:
    dtype, shape, size, shard, offset, crc = texts
    place = [] if offset == "-" else [f"offset {offset}", f"crc32c {crc}"]
    return _unbroken(dtype, shape, f"{size} bytes", _place(shard), *place)


def _place(shard: str) -> str:
    return "in slices" if shard == "slices" else f"shard {shard}"


def _unbroken(*words: str) -> str:
    """Join words between which a line may be broken, and within which it may not."""
    return " ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)


def _damage_json(part: fastckpt.Damage) -> dict[str, Any]:
    return {**failures.describe_error(part.error), "after": part.after, "up_to": part.up_to}
