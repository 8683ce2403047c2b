"""``fastckpt convert``: to and from safetensors and npz."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from fastckpt.cli import failures
from fastckpt.cli.bar import Bar
from fastckpt.cli.paragraphs import print_rows
from fastckpt.cli.surgery import print_dry_run, print_written
from fastckpt.cli.terminal import Column, print_json_rows, write
from fastckpt.cli.text import counted, human_size, safe
from fastckpt.errors import InvalidArgumentError
from fastckpt.storage.local import checkpoint_exists
from fastckpt.tools.convert import FORMATS, Conversion, convert
from fastckpt.tools.convert.tensors import Refused


def _metadata(
    ctx: click.Context, param: click.Parameter, value: Sequence[str]
) -> dict[str, str] | None:
    """Read words such as format=pt."""
    for word in value:
        if "=" not in word:
            raise click.BadParameter(f"{word!r} is not KEY=VALUE", ctx, param)
    return dict(word.split("=", 1) for word in value) or None


@click.command()
@click.argument("source", metavar="A")
@click.argument("destination", metavar="B")
@click.option("--to", type=click.Choice(FORMATS), help="Format of B; by default its ending tells.")
@click.option(
    "--only",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Convert these tensors alone: a name, a scope, or * and ? in it; may be repeated.",
)
@click.option("--skip-unsupported", is_flag=True, help="Leave out what B cannot hold.")
@click.option(
    "--as-bytes",
    is_flag=True,
    help="npz: store bfloat16, float8 … as unsigned integers of their bits.",
)
@click.option(
    "--metadata",
    multiple=True,
    callback=_metadata,
    metavar="KEY=VALUE",
    help="safetensors: an entry of the metadata, such as format=pt; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is at B.")
@click.option("--dry-run", "-n", is_flag=True, help="Say what would be done, write nothing.")
@click.option(
    "--shards",
    "num_shards",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Data files where B is a checkpoint.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    source: str,
    destination: str,
    *,
    patterns: tuple[str, ...],
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert a checkpoint to a .safetensors or .npz file, or one of these to a checkpoint.

    B is a checkpoint where its ending is no other format's; a V1 checkpoint becomes one of the V2
    format. Every bit is kept, and all checksums are compared. Tensors that B cannot hold are an
    error that names them. What is at B is replaced at one stroke, when the result is complete.
    """
    if not overwrite and not dry_run and (os.path.exists(destination) or _is_taken(destination)):
        raise InvalidArgumentError(
            f"{destination!r} is there already; --overwrite replaces it", path=destination
        )
    with Bar("convert") as bar:
        done = convert(
            source,
            destination,
            patterns=patterns or None,
            dry_run=dry_run,
            progress=bar,
            **options,
        )
    if as_json:
        _print_json(done, dry_run=dry_run)
        return
    for note in done.notes:
        failures.warn(note)
    if done.skipped:
        columns = (Column("left out"), Column("why", folds=True))
        print_rows(columns, [(safe(x.name), safe(x.reason)) for x in done.skipped], " ".join)
        write("\n")
    skipped = [f"{len(done.skipped)} left out"] if done.skipped else []
    if not dry_run:
        print_written(done.destination, done.tensors, done.nbytes, *skipped)
        return
    what = ", ".join([counted(done.tensors, "tensor"), human_size(done.nbytes), *skipped])
    print_dry_run(f"nothing written; from {done.source_format} to {done.format}: {what}")


def _is_taken(destination: str) -> bool:
    return not destination.endswith("/") and checkpoint_exists(destination)


def _print_json(done: Conversion, *, dry_run: bool) -> None:
    head = {
        "source": done.source,
        "source_format": done.source_format,
        "destination": done.destination,
        "format": done.format,
        "dry_run": dry_run,
        "total": {"tensors": done.tensors, "nbytes": done.nbytes},
        "notes": done.notes,
    }
    print_json_rows(head, "skipped", map(_json_row, done.skipped))


def _json_row(item: Refused) -> dict[str, str]:
    return {"name": item.name, "reason": item.reason}
