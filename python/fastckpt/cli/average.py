"""``fastckpt average``: the average of several checkpoints."""

from __future__ import annotations

import os
from typing import Any

import click

from fastckpt.cli.bar import Bar
from fastckpt.cli.surgery import check_output, output_options, print_dry_run, print_written
from fastckpt.cli.terminal import Column, print_json_rows, print_table, write
from fastckpt.cli.text import counted, human_size, safe, short_path
from fastckpt.errors import InvalidArgumentError
from fastckpt.storage import read_state
from fastckpt.tools.averaging import Average, average

_COLUMNS = (Column("checkpoint"), Column("weight", right=True))


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[float] | None:
    """Read numbers such as 1,1,2.5."""
    try:
        return None if value is None else [float(word) for word in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers", ctx, param) from None


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.option(
    "--last",
    type=click.IntRange(1),
    metavar="N",
    help="The last N checkpoints of the directory SRC, by its state file.",
)
@click.option(
    "--weights",
    callback=_numbers,
    metavar="W,...",
    help="How much each checkpoint counts; all the same by default.",
)
@output_options
def command(
    sources: tuple[str, ...],
    *,
    last: int | None,
    weights: list[float] | None,
    output: str | None,
    overwrite: bool,
    dry_run: bool,
    num_shards: int | None,
    as_json: bool,
) -> None:
    """Write the average of checkpoints that hold the same tensors.

    Floating-point and complex tensors are added up in float64 or wider and rounded once; all
    others, such as step counters, are those of the last SRC. The result replaces what is at DST
    at one stroke, when it is complete.

    The last five of a run: fastckpt average run --last 5 -o run/average
    """
    prefixes = list(sources) if last is None else _last(sources, last)
    target = check_output(output, overwrite=overwrite, dry_run=dry_run)
    with Bar("average") as bar:
        done = average(
            prefixes,
            target,
            weights=weights,
            dry_run=dry_run,
            num_shards=num_shards,
            progress=bar,
        )
    if as_json:
        print_json_rows(_head(done, output, dry_run=dry_run), "sources", _rows(done))
        return
    counts = f"{len(done.averaged)} averaged", f"{len(done.taken)} taken from the last"
    if not dry_run:
        print_written(done.destination, done.tensors, done.nbytes, *counts)
        return
    shares = zip(done.sources, done.weights, strict=True)
    print_table(_COLUMNS, [(short_path(path), f"{share:.6g}") for path, share in shares])
    if done.taken:
        write("\n")
        print_table((Column("taken from the last"),), [(safe(name),) for name in done.taken])
    what = ", ".join([counted(done.tensors, "tensor"), human_size(done.nbytes), *counts])
    write("\n")
    print_dry_run(f"nothing written; the result has {what}")


def _last(sources: tuple[str, ...], count: int) -> list[str]:
    if len(sources) != 1 or not os.path.isdir(sources[0]):
        raise click.UsageError("--last N goes with one directory")
    state = read_state(sources[0])
    kept = state.all_model_checkpoint_paths if state else []
    if len(kept) < count:
        raise InvalidArgumentError(
            f"the state file of {sources[0]!r} lists {counted(len(kept), 'checkpoint')}, and "
            f"--last asks for {count}",
            path=sources[0],
        )
    return kept[-count:]


def _head(done: Average, output: str | None, *, dry_run: bool) -> dict[str, Any]:
    return {
        "destination": output,
        "dry_run": dry_run,
        "total": {"tensors": done.tensors, "nbytes": done.nbytes},
        "averaged": done.averaged,
        "taken": done.taken,
    }


def _rows(done: Average) -> list[dict[str, Any]]:
    shares = zip(done.sources, done.weights, strict=True)
    return [{"prefix": path, "weight": share} for path, share in shares]
