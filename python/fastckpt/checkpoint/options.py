"""Checking the options that opening and reading take."""

from __future__ import annotations

import operator
import os
from typing import Literal, NamedTuple

from fastckpt.errors import InvalidArgumentError

Verify = Literal["lazy", "eager", "off"]
Backend = Literal["auto", "mmap", "pread", "direct"]
OnDamage = Literal["raise", "skip"]
WriteBackend = Literal["auto", "direct"]

# Numbers of io::Backend in src/io/source.h.
_BACKENDS = {"auto": 0, "mmap": 1, "pread": 2, "direct": 3}

# More threads than this gain nothing: memory is the limit.
_MAX_DEFAULT_THREADS = 8


class Options(NamedTuple):
    """The options of one open checkpoint, checked."""

    verify: Verify
    backend: Backend
    on_damage: OnDamage
    num_threads: int

    @property
    def backend_number(self) -> int:
        """The core's number for the backend."""
        return _BACKENDS[self.backend]


def check_options(verify: str, backend: str, on_damage: str, num_threads: int | None) -> Options:
    """Check options given by a caller; InvalidArgumentError names the allowed values."""
    _check_choice("verify", verify, ("lazy", "eager", "off"))
    _check_choice("backend", backend, ("auto", "mmap", "pread", "direct"))
    _check_choice("on_damage", on_damage, ("raise", "skip"))
    return Options(verify, backend, on_damage, resolve_num_threads(num_threads))  # type: ignore[arg-type]


def check_write_backend(backend: str) -> None:
    """Check how bytes shall reach the device."""
    _check_choice("backend", backend, ("auto", "direct"))


def check_integer(option: str, value: object, least: int, most: int) -> int:
    """Give an integer option; InvalidArgumentError names the allowed range."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise InvalidArgumentError(
            f"{option} must be an integer from {least} to {most}, not {value!r}"
        )
    return number


def resolve_num_threads(num_threads: int | None) -> int:
    """Give the number of threads to use.

    Parameters
    ----------
    num_threads : int, optional
        At least 1. None means ``FASTCKPT_NUM_THREADS`` where that is set, otherwise the number of
        CPUs this process may use, at most 8.
    """
    if num_threads is None:
        setting = os.environ.get("FASTCKPT_NUM_THREADS", "").strip()
        if not setting:
            return min(_MAX_DEFAULT_THREADS, _num_cpus())
        if not setting.isdecimal() or int(setting) < 1:
            raise InvalidArgumentError(
                f"FASTCKPT_NUM_THREADS must be a positive integer, not {setting!r}"
            )
        return int(setting)
    try:
        number = operator.index(num_threads)
    except TypeError:
        number = 0
    if not 1 <= number <= 1024:
        raise InvalidArgumentError(
            f"num_threads must be an integer from 1 to 1024, not {num_threads!r}"
        )
    return number


def _num_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_choice(option: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(repr(x) for x in allowed)
        raise InvalidArgumentError(f"{option} must be one of {choices}, not {value!r}")
