"""``fastckpt demo``: what the library does, shown and timed on checkpoints that are there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click

import fastckpt
from fastckpt.cli.measure import Subject, Timing, choose_subject, measure, memory_rate
from fastckpt.cli.terminal import Column, print_table, styled, width, write
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

_GOLDEN_COLUMNS = (
    Column("checkpoint"),
    Column("written with", style="dim", folds=True),
    Column("tensors", right=True),
    Column("size", right=True),
    Column("shards", right=True),
    Column("checksums", style="green"),
)
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
def command(path: str | None) -> None:
    """Show what the library does, on your checkpoint or on small ones it brings.

    Opens, lists, views, loads and verifies, and tells how long each of that takes. Nothing is
    written. At most 1 GiB of tensors is read in each step.
    """
    if path is None:
        with as_file(files("fastckpt") / "golden") as root:
            _show_golden(root)
        return
    with fastckpt.open(path) as checkpoint:
        _show_one(checkpoint, path)
        subject = choose_subject(checkpoint)
    _show_times([subject])


def _show_golden(root: Path) -> None:
    manifest = tomllib.loads((root / "MANIFEST.toml").read_text(encoding="utf-8"))
    sections: dict[str, dict[str, Any]] = manifest["checkpoint"]
    _heading(f"Small checkpoints, written by TensorFlow {manifest['version']}, read without it")
    rows, subjects = [], []
    for name, section in sections.items():
        with fastckpt.open(root / section["prefix"]) as checkpoint:
            rows.append(_golden_row(name, section, checkpoint))
            subjects.append(choose_subject(checkpoint))
    print_table(_GOLDEN_COLUMNS, rows)
    write("\n")
    with fastckpt.open(subjects[0].prefix) as checkpoint:
        _show_one(checkpoint, next(iter(sections.values()))["prefix"])
    _show_times(subjects)
    write("These files are tiny: the times are those of calls, not of bytes. For your own:\n")
    write("  fastckpt demo PATH\n")


def _golden_row(
    name: str, section: dict[str, Any], checkpoint: fastckpt.Checkpoint
) -> tuple[str, ...]:
    return (
        name,
        re.sub(r"\btf\.(compat\.v1\.)?(train|raw_ops)\.", "", section["command"]),
        str(len(checkpoint)),
        human_size(checkpoint.nbytes),
        str(checkpoint.num_shards),
        "match" if checkpoint.verify() else "DIFFER",
    )


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
