"""What the commands share that write a checkpoint anew: rename, drop, keep."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from fastckpt.cli import failures
from fastckpt.cli.bar import Bar
from fastckpt.cli.paragraphs import joined, print_rows
from fastckpt.cli.terminal import Column, print_json_rows, print_table, styled, write
from fastckpt.cli.text import counted, human_size, safe, short_path
from fastckpt.errors import InvalidArgumentError
from fastckpt.storage.local import checkpoint_exists
from fastckpt.tools.surgery import Surgery

__all__ = [
    "check_output",
    "operate",
    "output_options",
    "print_dry_run",
    "print_written",
    "surgery_options",
]

# What becomes of the result, and of it alone.
_OUTPUT_OPTIONS = (
    click.option(
        "--output", "-o", metavar="DST", help="Prefix of the result; that of SRC is allowed."
    ),
    click.option("--overwrite", is_flag=True, help="Replace the checkpoint that is at DST."),
    click.option("--dry-run", "-n", is_flag=True, help="Say what would be done, write nothing."),
    click.option(
        "--shards",
        "num_shards",
        type=click.IntRange(1, 100_000),
        metavar="N",
        help="Data files of the result; by default as many as SRC has.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Write one JSON document."),
)

_GRAPH_OPTION = click.option(
    "--object-graph",
    type=click.Choice(["refuse", "update", "drop", "keep"]),
    default="refuse",
    show_default=True,
    help="What becomes of a tf.train.Checkpoint's object graph that names tensors which change: "
    "let it follow, leave it out, or leave it as it is.",
)

Function = Callable[..., Any]


def output_options(function: Function) -> Function:
    """Add the options of every command that writes a checkpoint."""
    return functools.reduce(lambda made, option: option(made), reversed(_OUTPUT_OPTIONS), function)


def surgery_options(function: Function) -> Function:
    """Add the options of rename, drop and keep."""
    return output_options(_GRAPH_OPTION(function))


def check_output(output: str | None, *, overwrite: bool, dry_run: bool) -> str:
    """Check where the result goes; a dry run needs no place."""
    if output is None:
        if dry_run:
            return "-"
        raise click.UsageError("say where the result goes: --output DST (or try --dry-run first)")
    if not overwrite and not dry_run and checkpoint_exists(output):
        raise InvalidArgumentError(
            f"there is a checkpoint at {output!r} already; --overwrite replaces it", path=output
        )
    return output


def operate(
    label: str,
    function: Callable[..., Surgery],
    source: str,
    subject: Any,
    *,
    output: str | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run one of the three, and tell what it did."""
    target = check_output(output, overwrite=overwrite, dry_run=dry_run)
    with Bar(label) as bar:
        done = function(source, target, subject, dry_run=dry_run, progress=bar, **options)
    if as_json:
        _print_json(done, output, dry_run=dry_run)
        return
    for note in done.notes:
        failures.warn(note)
    if dry_run:
        _print_changes(done)
    _print_summary(done, dry_run=dry_run)


def print_written(path: str, tensors: int, nbytes: int, *more: str) -> None:
    """Write the line that says what was written, and where."""
    what = ", ".join([counted(tensors, "tensor"), human_size(nbytes), *more])
    text = joined(f"{short_path(path)}: {what}", len("written  "))
    write(f"{styled('written', 'bold', 'green')}  {text}\n")


def print_dry_run(what: str) -> None:
    """Write the line that says what would have been done."""
    write(f"{styled('dry run', 'bold')}  {joined(what, len('dry run  '))}\n")


def _print_changes(done: Surgery) -> None:
    if done.renamed:
        columns = (Column("name"), Column("new name", folds=True))
        names = [(safe(old), safe(new)) for old, new in done.renamed]
        print_rows(columns, names, "->\N{NO-BREAK SPACE}{0[0]}".format)
        write("\n")
    if done.dropped:
        print_table((Column("dropped"),), [(safe(name),) for name in done.dropped])
        write("\n")


def _print_summary(done: Surgery, *, dry_run: bool) -> None:
    changes = []
    if done.renamed:
        changes.append(f"{len(done.renamed)} renamed")
    if done.dropped:
        changes.append(f"{len(done.dropped)} dropped")
    if not dry_run:
        print_written(done.destination, done.tensors, done.nbytes, *changes)
        return
    what = ", ".join([counted(done.tensors, "tensor"), human_size(done.nbytes), *changes])
    print_dry_run(f"nothing written; the result has {what}")


def _print_json(done: Surgery, output: str | None, *, dry_run: bool) -> None:
    head = {
        "source": done.source,
        "destination": output,
        "dry_run": dry_run,
        "total": {"tensors": done.tensors, "nbytes": done.nbytes},
        "notes": done.notes,
        "dropped": done.dropped,
    }
    print_json_rows(head, "renamed", map(list, done.renamed))
