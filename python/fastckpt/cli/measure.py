"""Timing what the library does with checkpoints that are there: reading alone, and repeated."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

import fastckpt
from fastckpt import _core
from fastckpt.names import index_file

__all__ = ["Measurement", "Subject", "Timing", "choose_subject", "measure", "memory_rate"]

# What is loaded is held in memory; a sample of a large checkpoint tells as much.
_MAX_BYTES = 1 << 30

# Rounds end after either.
_MAX_ROUNDS = 50
_MAX_SECONDS = 3.0

_MEMORY_BYTES = 64 << 20


class Subject(NamedTuple):
    """The tensors of one checkpoint that are read; all of them unless `is_whole` is false."""

    prefix: str
    viewable: list[str]
    readable: list[str]
    viewable_bytes: int
    readable_bytes: int
    is_whole: bool


class Timing(NamedTuple):
    """The median time of one step, and what it went through."""

    step: str
    tensors: int
    nbytes: int
    seconds: float


class Measurement(NamedTuple):
    """The timings of all steps, and the rounds they are medians of."""

    timings: list[Timing]
    rounds: int


def choose_subject(checkpoint: fastckpt.Checkpoint) -> Subject:
    """Choose tensors in file order, at most 1 GiB of them, and read each once to warm up.

    Left out are those that cannot be read yet, such as partitioned ones.
    """
    viewable: list[str] = []
    readable: list[str] = []
    viewable_bytes = readable_bytes = 0
    is_whole = True
    for tensor in sorted(checkpoint.tensors(), key=_place):
        if readable and readable_bytes + tensor.nbytes > _MAX_BYTES:
            is_whole = False
            break
        if _is_given(tensor.view):
            viewable.append(tensor.name)
            viewable_bytes += tensor.nbytes
        elif not _is_given(tensor.read):
            continue
        readable.append(tensor.name)
        readable_bytes += tensor.nbytes
    return Subject(checkpoint.prefix, viewable, readable, viewable_bytes, readable_bytes, is_whole)


def measure(subjects: Sequence[Subject]) -> Measurement:
    """Open, view, load and verify all subjects, again and again, each time from the start."""
    steps = {"open": _open, "view": _view, "load": _load, "verify": _verify}
    seconds: dict[str, list[float]] = {step: [] for step in steps}
    start = time.perf_counter()
    rounds = 0
    while not rounds or (rounds < _MAX_ROUNDS and time.perf_counter() - start < _MAX_SECONDS):
        for step, action in steps.items():
            seconds[step].append(sum(action(subject) for subject in subjects))
        rounds += 1
    timings = [
        Timing(step, *_amount(step, subjects), statistics.median(seconds[step])) for step in steps
    ]
    return Measurement(timings, rounds)


def memory_rate() -> tuple[str, int, float]:
    """Time the checksum alone, over memory: the kernel's name, the bytes and the seconds."""
    memory = np.ones(_MEMORY_BYTES, np.uint8)
    _core.crc32c(memory)
    seconds = statistics.median(_timed(lambda: _core.crc32c(memory)) for _ in range(5))
    return _core.crc_kernel(), memory.nbytes, seconds


def _open(subject: Subject) -> float:
    def opened() -> None:
        fastckpt.open(subject.prefix).close()

    return _timed(opened)


def _view(subject: Subject) -> float:
    # Opened anew, since what one open checkpoint has compared is not compared again.
    with fastckpt.open(subject.prefix) as checkpoint:
        return _timed(lambda: [checkpoint[name] for name in subject.viewable])


def _load(subject: Subject) -> float:
    with fastckpt.open(subject.prefix) as checkpoint:
        return _timed(lambda: checkpoint.load(subject.readable))


def _verify(subject: Subject) -> float:
    with fastckpt.open(subject.prefix) as checkpoint:
        names = None if subject.is_whole else subject.readable
        return _timed(lambda: checkpoint.verify(names))


def _amount(step: str, subjects: Sequence[Subject]) -> tuple[int, int]:
    if step == "view":
        return _sums((len(x.viewable), x.viewable_bytes) for x in subjects)
    if step == "load":
        return _sums((len(x.readable), x.readable_bytes) for x in subjects)
    if step == "open":
        return _sums(map(_index_amount, subjects))
    return _sums(map(_verify_amount, subjects))


def _index_amount(subject: Subject) -> tuple[int, int]:
    with fastckpt.open(subject.prefix) as checkpoint:
        return len(checkpoint), os.path.getsize(index_file(subject.prefix))


def _verify_amount(subject: Subject) -> tuple[int, int]:
    if not subject.is_whole:
        return len(subject.readable), subject.readable_bytes
    with fastckpt.open(subject.prefix) as checkpoint:
        return len(checkpoint), checkpoint.nbytes


def _sums(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    tensors, nbytes = zip(*pairs, strict=True)
    return sum(tensors), sum(nbytes)


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    # Kept until the clock has stopped: freeing what was read is not part of reading it.
    result = action()
    seconds = time.perf_counter() - start
    del result
    return seconds


def _is_given(reading: Callable[[], object]) -> bool:
    try:
        reading()
    except fastckpt.UnsupportedError:
        return False
    return True


def _place(tensor: fastckpt.StoredTensor) -> tuple[int, int]:
    return (-1 if tensor.shard is None else tensor.shard), tensor.offset or 0
