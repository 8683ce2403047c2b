"""One save of a Saver: checked and read first, then written, then remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastckpt.checkpoint.async_save import AsyncSave, start_save
from fastckpt.storage.replace import replace_file
from fastckpt.training.saver_saving import Layout, Pieces, named_inputs, open_writing

__all__ = ["Job", "run_now", "start"]


class Job(NamedTuple):
    """What is to be written.

    Attributes
    ----------
    prefix : str
        Of the checkpoint.
    path : str
        What the save returns.
    pieces : Pieces
        The tensors.
    num_files : int or None
        Data files; None for the single file of V1.
    layout : Layout
        Of the files.
    meta : (str, bytes), optional
        Path and content of the meta graph.
    debug : (str, bytes), optional
        Path and content of its debug info.
    """

    prefix: str
    path: str
    pieces: Pieces
    num_files: int | None
    layout: Layout
    meta: tuple[str, bytes] | None
    debug: tuple[str, bytes] | None


def run_now(job: Job, then: Callable[[], object]) -> str:
    """Write, and call `then` once the checkpoint is complete."""
    _write_debug(job)
    with open_writing(job.prefix, job.pieces, job.num_files, job.layout, job.meta) as writing:
        writing.add_all(zip(job.pieces.keys, job.pieces.items, strict=True), progress=None)
    then()
    return job.path


def start(job: Job, then: Callable[[], object]) -> AsyncSave:
    """Copy what may change, and do the rest in a thread; one at a time in a process."""
    _write_debug(job)
    return start_save(
        job.path,
        named_inputs(job.pieces),
        lambda: open_writing(job.prefix, job.pieces, job.num_files, job.layout, job.meta),
        num_threads=job.layout.num_threads,
        then=then,
    )


def _write_debug(job: Job) -> None:
    if job.debug is not None:
        replace_file(*job.debug, sync=job.layout.sync)
