"""``fastckpt diff``: what differs between two checkpoints."""

from __future__ import annotations

import json
import math
from typing import Any

import click

import fastckpt
from fastckpt.cli import failures
from fastckpt.cli.bar import Bar
from fastckpt.cli.paragraphs import joined, print_rows
from fastckpt.cli.terminal import Column, print_json_rows, styled, write
from fastckpt.cli.text import counted, human_size, safe, shape_text, short_path
from fastckpt.tools.diff import Change, DiffReport, Side, diff

_COLUMNS = (Column("name"), Column("change"), Column("what", folds=True))


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--atol", type=click.FloatRange(0), default=0.0, metavar="X",
              help="Numbers that are no more than X apart are the same.")  # fmt: skip
@click.option("--rtol", type=click.FloatRange(0), default=0.0, metavar="X",
              help="The same, as a fraction of the number in B.")  # fmt: skip
@click.option("--read-all", is_flag=True, help="Compare bytes even where checksums are equal.")
@click.option("--quiet", "-q", is_flag=True, help="Write nothing; the exit status tells.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    a: str, b: str, *, atol: float, rtol: float, read_all: bool, quiet: bool, as_json: bool
) -> int:
    """Tell what differs between two checkpoints.

    Tensors of equal dtype, shape and checksum are equal, and are not read; of others the elements
    are compared. The exit status is 0 when all are the same, 1 when something differs, and 2 when
    that cannot be told: a checkpoint is missing or damaged.
    """
    try:
        with Bar("diff") as bar:
            report = diff(a, b, atol=atol, rtol=rtol, read_all=read_all, progress=bar)
    except fastckpt.CheckpointError as error:
        failures.print_error(error, as_json=as_json)
        return failures.USAGE
    if as_json:
        _print_json(report)
    else:
        if not quiet:
            _print(report)
        for failure in report.failures:
            failures.warn(f"{failure.name}: {failure}")
    if report.failures:
        return failures.USAGE
    return failures.DAMAGED if report.changes else failures.OK


def _print(report: DiffReport) -> None:
    if report.changes:
        print_rows(_COLUMNS, map(_cells, report.changes), " ".join)
        write("\n")
    counts: dict[str, int] = {}
    for change in report.changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    words = [f"{number} {kind}" for kind, number in counts.items()]
    if report.failures:
        words.append(f"{len(report.failures)} not compared")
    same = f"{counted(report.same, 'tensor')} the same"
    verdict = ("same", "green") if report.equal else ("different", "yellow")
    text = ", ".join([*words, same])
    indent = len(verdict[0]) + 2
    write(f"{styled(verdict[0], 'bold', verdict[1])}  {joined(text, indent)}\n")
    paths = f"a {short_path(report.a)}\nb {short_path(report.b)}"
    write(f"{styled(paths, 'dim')}\n")


def _cells(change: Change) -> tuple[str, str, str]:
    return safe(change.name), change.kind, _what(change)


def _what(change: Change) -> str:
    if change.kind != "changed":
        return " -> ".join(_side_text(side) for side in (change.a, change.b) if side is not None)
    size = math.prod(change.a.shape) if change.a else 0
    text = f"{change.elements} of {size}"
    if change.max_abs is None:
        return text
    exact = isinstance(change.max_abs, int)
    return f"{text}, by up to {change.max_abs if exact else f'{change.max_abs:.3g}'}"


def _side_text(side: Side) -> str:
    return f"{side.dtype} {shape_text(side.shape)} {human_size(side.nbytes)}"


def _print_json(report: DiffReport) -> None:
    head = {
        "a": report.a,
        "b": report.b,
        "equal": report.equal,
        "same": report.same,
        "unread": report.unread,
        "failures": [
            {"name": x.name, **failures.describe_error(x.error)} for x in report.failures
        ],
    }
    print_json_rows(head, "changes", map(_json_row, report.changes))


def _json_row(change: Change) -> dict[str, Any]:
    return {
        "name": change.name,
        "kind": change.kind,
        "a": None if change.a is None else change.a._asdict(),
        "b": None if change.b is None else change.b._asdict(),
        "elements": change.elements,
        "max_abs": _json_number(change.max_abs),
    }


def _json_number(value: float | None) -> float | str | None:
    """Give a number, or the word for one that JSON lacks."""
    if value is None or math.isfinite(value):
        return value
    return json.dumps(value).strip('"')
