"""``fastckpt prune``: old checkpoints of a directory go; first it is said which."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from typing import Any

import click

from fastckpt.cli import failures
from fastckpt.cli.paragraphs import print_rows
from fastckpt.cli.pruning import Fate, Plan, Row, apply, plan
from fastckpt.cli.surgery import print_dry_run
from fastckpt.cli.terminal import Column, print_json_rows, styled, write
from fastckpt.cli.text import counted, human_size, short_path

_COLUMNS = (
    Column("checkpoint"),
    Column("saved"),
    Column("size", right=True),
    Column("what", folds=True),
)

_WORDS: dict[Fate, str] = {
    "keep": "keep",
    "preserve": "keep for good",
    "delete": "delete",
    "gone": "gone already",
    "elsewhere": "elsewhere, left alone",
}


@click.command()
@click.argument("directory")
@click.option(
    "--keep", type=click.IntRange(1), required=True, metavar="N", help="How many newest ones stay."
)
@click.option(
    "--keep-every-hours",
    "every_hours",
    type=click.FloatRange(0, min_open=True),
    metavar="H",
    help="Of the others, keep one every H hours for good.",
)
@click.option("--yes", "-y", is_flag=True, help="Delete; without it nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    directory: str, *, keep: int, every_hours: float | None, yes: bool, as_json: bool
) -> int:
    """Delete old checkpoints of a directory.

    Goes by the state file: what that does not list is left alone, and so are checkpoints outside
    of DIRECTORY. The latest one always stays. The state file is written before anything is
    deleted. Without --yes it is only said what would be done.

    While a job saves into DIRECTORY leave this to its Saver: the job writes the state file anew,
    from what it knows.
    """
    made = plan(directory, keep=keep, every_hours=every_hours)
    failed = {row.prefix: error for row, error in apply(made) if error} if yes else {}
    if as_json:
        _print_json(made, failed, applied=yes)
    else:
        _print(made, failed, applied=yes)
        for error in failed.values():
            failures.warn(str(error))
    return failures.USAGE if failed else failures.OK


def _print(made: Plan, failed: dict[str, Any], *, applied: bool) -> None:
    print_rows(_COLUMNS, map(_cells, made.rows), _sentence)
    gone = [row for row in made.deleted if row.prefix not in failed]
    amount = f"{counted(len(gone), 'checkpoint')}, {human_size(sum(x.nbytes for x in gone))}"
    if applied:
        write(f"\n{styled('deleted', 'bold', 'green')}  {amount}\n")
    elif made.after == made.before:
        write(f"\n{styled('nothing to do', 'bold', 'green')}\n")
    else:
        write("\n")
        print_dry_run(f"{amount} would be deleted; --yes does it")


def _cells(row: Row) -> tuple[str, ...]:
    size = human_size(row.nbytes) if row.nbytes else "-"
    return short_path(row.prefix), _time_text(row.time), size, _WORDS[row.fate]


def _sentence(texts: Sequence[str]) -> str:
    saved, size, what = texts
    return f"{what}, saved {saved}, {size}"


def _time_text(time: float | None) -> str:
    if time is None:
        return "-"
    try:
        moment = dt.datetime.fromtimestamp(time).astimezone()
    except (OverflowError, OSError, ValueError):
        return "?"
    return f"{moment:%Y-%m-%d %H:%M}"


def _print_json(made: Plan, failed: dict[str, Any], *, applied: bool) -> None:
    gone = [row for row in made.deleted if row.prefix not in failed]
    head = {
        "directory": os.path.abspath(made.directory),
        "applied": applied,
        "total": {"deleted": len(gone), "nbytes": sum(row.nbytes for row in gone)},
        "failures": [
            {"prefix": prefix, **failures.describe_error(error)}
            for prefix, error in failed.items()
        ],
    }
    print_json_rows(head, "checkpoints", map(_json_row, made.rows))


def _json_row(row: Row) -> dict[str, Any]:
    return {
        "prefix": row.prefix, "time": row.time, "nbytes": row.nbytes, "fate": row.fate,
    }  # fmt: skip
