"""``fastckpt crashtest``: what is left of saves that are killed, and of ones the power cuts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import click

from fastckpt.cli import failures
from fastckpt.cli.terminal import Column, is_terminal, print_json_rows, print_table, styled, write
from fastckpt.cli.text import counted, safe
from fastckpt.tools.crashtest.run import Row, run_all

_COLUMNS = (
    Column("saves that are"),
    Column("shards", right=True),
    Column("prefix"),
    Column("cases", right=True),
    Column("none or old left", right=True),
    Column("new left", right=True),
    Column("violations", right=True),
)

_MAX_SHARDS = 1000
# One cause has many cases.
_MAX_LISTED = 20

_NOTE = """
Killed on this file system: a reader must find the checkpoint from before or the one that was being
saved, whole, and the next save must leave no other files. Power cuts are simulated in memory: what
the trace of a save brought to the device for certain, and any part of the rest. They show that the
order of writes, syncs and renames is right, not that this file system and its device keep what
they acknowledge; only cutting real power tells that.
"""


def _shard_list(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """Read numbers such as 1,4,16."""
    words = value.split(",")
    if all(word.isdecimal() and 1 <= int(word) <= _MAX_SHARDS for word in words):
        return list(dict.fromkeys(map(int, words)))
    problem = f"{value!r} is no list of numbers from 1 to {_MAX_SHARDS}"
    raise click.BadParameter(problem, ctx, param)


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--random",
    "instants",
    type=click.IntRange(0, 1_000_000),
    default=60,
    show_default=True,
    metavar="N",
    help="Saves to kill at random instants, besides those before each change to a file.",
)
@click.option(
    "--shards",
    callback=_shard_list,
    default="1,4,16",
    show_default=True,
    metavar="N,...",
    help="Numbers of data files to save into.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(directory: str, *, instants: int, shards: list[int], seed: int, as_json: bool) -> int:
    """Kill saves in DIRECTORY, cut the power in a simulation, and read what is left.

    Everything happens in a directory that is made below DIRECTORY and removed in the end; a few
    MiB at a time. The exit status is 1 when a promise does not hold.
    """
    with _Line() as line:
        rows = run_all(directory, shards=shards, instants=instants, seed=seed, report=line.show)
    is_ok = not any(row.violations for row in rows)
    if as_json:
        head = {"ok": is_ok, "directory": directory, "seed": seed}
        print_json_rows(head, "rows", map(_json, rows))
    else:
        _print(rows)
    return failures.OK if is_ok else failures.DAMAGED


def _print(rows: Sequence[Row]) -> None:
    print_table(_COLUMNS, map(_cells, rows))
    write(_NOTE + "\n")
    found = [(row, violation) for row in rows for violation in row.violations]
    for row, violation in found[:_MAX_LISTED]:
        write(f"{styled('VIOLATION', 'bold', 'red')}  {_subject(row)}: {safe(violation)}\n")
    if len(found) > _MAX_LISTED:
        write(f"and {counted(len(found) - _MAX_LISTED, 'other')}; --json lists all\n")
    verdict = styled("BROKEN", "bold", "red") if found else styled("ok", "bold", "green")
    amount = counted(len(found), "violation") if found else "no violation"
    write(f"{verdict}  {counted(sum(row.cases for row in rows), 'case')}, {amount}\n")


def _cells(row: Row) -> tuple[str, ...]:
    before = row.found.get(row.case.before, 0)
    after = row.found.get("new", 0) + row.found.get("next", 0)
    numbers = (row.cases, before, after, len(row.violations))
    return (row.part, str(row.case.num_shards), _prefix(row), *map(str, numbers))


def _subject(row: Row) -> str:
    return f"{row.part}, {counted(row.case.num_shards, 'shard')}, {_prefix(row)} prefix"


def _prefix(row: Row) -> str:
    return "overwritten" if row.case.overwrite else "new"


def _json(row: Row) -> dict[str, Any]:
    return {
        "part": row.part,
        "num_shards": row.case.num_shards,
        "overwrite": row.case.overwrite,
        "cases": row.cases,
        "found": row.found,
        "violations": row.violations,
    }


class _Line:
    """One line on a terminal that tells how far the test is, and is gone in the end."""

    def __init__(self) -> None:
        self._is_shown = is_terminal(sys.stderr)

    def show(self, part: str, count: int) -> None:
        """Tell how many cases of a part are done."""
        if self._is_shown:
            sys.stderr.write(f"\r\x1b[Ksaves {part}: {count}")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
