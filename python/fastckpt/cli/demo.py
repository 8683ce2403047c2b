"""``fastckpt demo``: what the library does, shown and timed on a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import click

import fastckpt
from fastckpt.cli.demo_room import parse_size
from fastckpt.cli.demo_write import Request, show_writing
from fastckpt.cli.measure import Subject, Timing, choose_subject, measure, memory_rate
from fastckpt.cli.terminal import Column, print_json_rows, print_table, styled, width, write
from fastckpt.cli.text import (
    counted,
    human_rate,
    human_size,
    human_time,
    safe,
    shape_text,
)
from fastckpt.cli.values import values_text

_MAX_LISTED = 5

_TENSOR_COLUMNS = (
    Column("largest tensors"),
    Column("dtype", style="cyan"),
    Column("shape", folds=True),
    Column("size", right=True),
)
_TIMING_COLUMNS = (
    Column("step"),
    Column("tensors", right=True),
    Column("bytes", right=True),
    Column("time", right=True),
    Column("rate", right=True, style="green"),
)

_EXPLANATION = """
open    finds the files, reads the index and compares the checksum of each block
view    gives arrays on the file's own pages: checksums compared, nothing copied
load    reads tensors into memory of their own, comparing while copying
verify  reads everything once more, with the padding between the tensors
"""


@click.command()
@click.argument("path", required=False)
@click.option(
    "--size",
    callback=parse_size,
    metavar="SIZE",
    help="Of the checkpoint to write, such as 64MiB; by default 1GiB where memory allows.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, writable=True),
    help="Where to write; by default a place for temporary files that is on a disk.",
)
@click.option(
    "--shards",
    "num_shards",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Data files; by default as many as save() would make.",
)
@click.option(
    "--threads",
    "num_threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Threads to use; by default FASTCKPT_NUM_THREADS, or the CPUs available, at most 8.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    path: str | None,
    *,
    size: int | None,
    directory: str | None,
    num_shards: int | None,
    num_threads: int | None,
    as_json: bool,
) -> None:
    """Show what the library does: on a checkpoint that it writes, or on yours.

    Without a PATH it makes up a model, saves it, reads it in every way and tells how long each
    step takes, TensorFlow's own beside it where that is installed. All files are removed at the
    end.

    With a PATH it opens, lists, views, loads and verifies that checkpoint. Nothing is written. At
    most 1 GiB of tensors is read in each step.
    """
    if path is None:
        show_writing(Request(size, directory, num_shards, num_threads, as_json))
        return
    options = {"size": size, "dir": directory, "shards": num_shards, "threads": num_threads}
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise click.UsageError(f"--{given[0]} goes with no PATH: nothing is written there")
    with fastckpt.open(path) as checkpoint:
        if not as_json:
            _show_one(checkpoint, path)
        subject = choose_subject(checkpoint)
        head = {"path": path, "tensors": len(checkpoint), "bytes": checkpoint.nbytes}
    if as_json:
        _print_json(head, subject)
    else:
        _show_times([subject])


def _print_json(head: dict[str, object], subject: Subject) -> None:
    found = measure([subject])
    rows = (
        {"step": x.step, "tensors": x.tensors, "bytes": x.nbytes, "seconds": x.seconds}
        for x in found.timings
    )
    print_json_rows({**head, "rounds": found.rounds}, "steps", rows)


def _show_one(checkpoint: fastckpt.Checkpoint, path: str) -> None:
    what = f"{counted(len(checkpoint), 'tensor')}, {human_size(checkpoint.nbytes)}"
    _heading(f"{safe(path)}: {what} in {counted(checkpoint.num_shards, 'shard')}")
    tensors = sorted(checkpoint.tensors(), key=lambda x: (-x.nbytes, x.name))
    rows = [
        (safe(x.name), x.tf_dtype, shape_text(x.shape), human_size(x.nbytes))
        for x in tensors[:_MAX_LISTED]
    ]
    print_table(_TENSOR_COLUMNS, rows)
    if len(tensors) > _MAX_LISTED:
        write(f"and {len(tensors) - _MAX_LISTED} more, see: fastckpt ls\n")
    write("\n")
    _show_view(tensors)


def _show_view(tensors: Sequence[fastckpt.StoredTensor]) -> None:
    """Show one array, of numbers rather than of a single one."""
    viewable = [x for x in tensors[:_MAX_LISTED] if x.shard is not None and x.can_view]
    if not viewable:
        return
    tensor = max(viewable, key=lambda x: x.ndim == 2)
    array = tensor.view()
    write(f">>> fastckpt.open(…)[{tensor.name!r}]\n".replace("…", "path"))
    write(f"{values_text(array, full=False, columns=width())}\n")
    flags = f"writeable {array.flags.writeable}, owndata {array.flags.owndata}"
    write(f"{styled(f'a view of the file: {flags}', 'dim')}\n\n")


def _show_times(subjects: Sequence[Subject]) -> None:
    found = measure(subjects)
    _heading("What it takes")
    write(_EXPLANATION.lstrip())
    write("\n")
    print_table(_TIMING_COLUMNS, [_timing_row(timing) for timing in found.timings])
    kernel, nbytes, seconds = memory_rate()
    write(f"\nMedian of {counted(found.rounds, 'round')}, files in the page cache")
    write("" if all(x.is_whole for x in subjects) else ", the first GiB of the tensors")
    write(".\nFor comparison: the checksum alone, on one thread, ")
    write(f"over {human_size(nbytes)} of memory:\n")
    write(f"  {human_rate(nbytes, seconds)} (kernel {kernel})\n")


def _timing_row(timing: Timing) -> tuple[str, ...]:
    return (
        timing.step,
        str(timing.tensors),
        human_size(timing.nbytes),
        human_time(timing.seconds),
        human_rate(timing.nbytes, timing.seconds),
    )


def _heading(text: str) -> None:
    write(f"{styled(text, 'bold')}\n")
