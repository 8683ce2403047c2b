"""What a reader finds at a prefix."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable
from typing import Any, get_args

import numpy as np

from fastckpt import names
from fastckpt.checkpoint import Checkpoint, open_checkpoint
from fastckpt.errors import CheckpointError, CheckpointNotFoundError
from fastckpt.tools.crashtest.scene import Generation, companion, files_of, save, tensors

__all__ = ["Violation", "check_next_save", "demand", "read"]


class Violation(Exception):  # noqa: N818 - it is found, not raised by a mistake
    """A promise that does not hold; the text says what was found instead."""


def demand(found: str, allowed: Collection[str]) -> None:
    """Accept what a reader found, or not.

    Raises
    ------
    Violation
        It is none of those that are `allowed`.
    """
    if found not in allowed:
        raise Violation(f"the checkpoint is {found}, and should be {' or '.join(sorted(allowed))}")


def check_next_save(prefix: str, found: str, num_shards: int) -> None:
    """Save over what a crash left; nothing but the files of that save may remain.

    Raises
    ------
    Violation
        The save fails, is not what is read afterwards, or leaves other files.
    """
    following: Generation = "new" if found != "new" else "old"
    try:
        save(prefix, following, num_shards, sync=False)
    except (CheckpointError, OSError) as error:
        raise Violation(f"the next save fails: {error}") from error
    demand(read(prefix), {following})
    with open_checkpoint(prefix) as checkpoint:
        wanted = files_of(prefix, checkpoint.num_shards)
    folder = os.path.dirname(prefix)
    left = {os.path.join(folder, name) for name in os.listdir(folder)} ^ wanted
    if left:
        raise Violation(f"the next save leaves behind or lacks {_listed(left)}")


def read(prefix: str) -> str:
    """Read the checkpoint at a prefix: a generation when all of it is, or "absent".

    Raises
    ------
    Violation
        It cannot be read, is a mix, or does not fit its companion.
    """
    found = _read_tensors(prefix)
    _check_companion(prefix, found)
    return found


def _read_tensors(prefix: str) -> str:
    try:
        with open_checkpoint(prefix, num_threads=1) as checkpoint:
            return _read_all(checkpoint)
    except CheckpointNotFoundError as error:
        if os.path.lexists(names.index_file(prefix)):
            raise Violation(f"a reader gets an error: {error}") from error
        return "absent"
    except CheckpointError as error:
        raise Violation(f"a reader gets an error: {error}") from error


def _read_all(checkpoint: Checkpoint) -> str:
    report = checkpoint.verify(num_threads=1)
    if not report.ok:
        raise Violation(f"verify finds {report.failures[0]}")
    found: dict[str, list[str]] = {}
    for name, value in checkpoint.items():
        found.setdefault(_generation_of(name, value), []).append(name)
    if len(found) != 1 or len(checkpoint) != len(_contents("old")):
        counts = ", ".join(f"{len(listed)} tensors are {which}" for which, listed in found.items())
        raise Violation(f"a mix: {counts}, of {len(_contents('old'))}")
    return next(iter(found))


def _generation_of(name: str, value: Any) -> str:
    content = _content(value)
    for generation in get_args(Generation):
        if _contents(generation).get(name) == content:
            return str(generation)
    return "neither"


@functools.cache
def _contents(generation: Generation) -> dict[str, Any]:
    return {name: _content(value) for name, value in tensors(generation).items()}


def _content(value: Any) -> Any:
    """What makes two tensors equal."""
    array = np.asarray(value)
    if array.dtype.kind in "OU":
        return [x.encode() if isinstance(x, str) else x for x in array.tolist()]
    return array.tobytes()


def _check_companion(prefix: str, found: str) -> None:
    """Look that it is whole, and that the checkpoint did not appear before it."""
    ages = ("absent", *get_args(Generation))
    known = {companion(generation): generation for generation in get_args(Generation)}
    path = names.meta_file(prefix)
    try:
        with open(path, "rb") as file:
            there = known.get(file.read(), "damaged")
    except FileNotFoundError:
        there = "absent"
    if there not in ages[ages.index(found) :]:
        raise Violation(f"the checkpoint is {found}, and {os.path.basename(path)} is {there}")


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(sorted(map(os.path.basename, paths)))
