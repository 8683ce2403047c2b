"""P8: CRC-32C, in C and through Python, beside the fastest packages.

In C every contender is called through a function pointer by one timing loop
(``cpp/crc_timing.h``). Calls start at 0; "chained" ones continue the CRC before, as strings do.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from functools import cache, partial

import fastckpt
import native
from measure import Contender, Factory, Inputs, Question, Settings, Target, Unavailable, case
from peers import crc_peers

SIZES = (*range(64, 257, 64), 512, *(1 << power for power in (10, 12, 14, 16, 20, 24, 30)))
SMOKE_SIZES = (64, 1 << 12)
PYTHON_SIZES = (1 << 12, 1 << 20)
SMALL = 512  # up to here calls that wait for one another are another question
TIE = 0.97  # of awscrt: the noise of two equal loops
OURS_IN_PYTHON = "fastckpt (Python)"
PORTABLE_BYTES_PER_SECOND = 2e9
SAMPLE_NANOSECONDS = 2e6
SHORT_ROUNDS = 31  # short samples are many, or one interruption decides


@cache
def buffers(size: int) -> crc_peers.Buffers:
    """Return touched memory of that size, the same for all contenders."""
    return crc_peers.Buffers(size)


@cache
def in_c(size: int) -> dict[str, crc_peers.Contender]:
    """Return the contenders at C level by name."""
    return {c.name: c for c in crc_peers.c_contenders(native.crc_timing(), buffers(size))}


def timed(found: crc_peers.Contender, size: int, peer: str) -> Contender:
    """Adapt a contender: a sample takes 2 ms, and gives the seconds of one call."""
    once = found.nanoseconds(size, 1 if size > 1 << 20 else 1000)
    calls = max(1, int(SAMPLE_NANOSECONDS / max(once, 0.1)))

    def run(_: None) -> float:
        found.nanoseconds(size, 1)  # the neighbour left its own data in the caches
        return found.nanoseconds(size, calls) / 1e9

    return Contender(found.name, run, peer=peer, own_clock=True)


def c_contender(_: Inputs, size: int, name: str) -> Contender:
    """Return one contender at C level."""
    found = in_c(size)
    if name not in found:
        raise Unavailable(f"{name} cannot be reached at C level")
    return timed(found[name], size, name.partition(" ")[0])


def portable(_: Inputs, size: int) -> Contender:
    """Return the kernel that every machine has."""
    library = ctypes.CDLL(str(native.crc_timing()))
    library.fastckpt_crc_time.restype = ctypes.c_double
    library.fastckpt_crc_function.restype = ctypes.c_void_p
    function = ctypes.c_void_p(library.fastckpt_crc_function(b"portable"))
    memory = buffers(size)

    def nanoseconds(count: int, calls: int) -> float:
        spent: float = library.fastckpt_crc_time(
            function,
            crc_peers.CRC_DATA_SIZE,
            ctypes.c_void_p(memory.destination_address),
            ctypes.c_void_p(memory.source_address),
            ctypes.c_size_t(count),
            ctypes.c_size_t(calls),
        )
        return spent

    return timed(crc_peers.Contender("portable", nanoseconds), size, "fastckpt")


@cache
def in_python(size: int) -> dict[str, crc_peers.Contender]:
    """Return the contenders that a Python program calls, ours among them."""
    memory = buffers(size)
    own: Callable[[bytes], int] = fastckpt._core.crc32c
    if own(crc_peers.CHECK_DATA) != crc_peers.CHECK_VALUE:
        raise AssertionError("fastckpt returns a wrong CRC-32C")

    def nanoseconds(_: int, calls: int) -> float:
        start = time.perf_counter_ns()
        for _ in range(calls):
            own(memory.source)
        return (time.perf_counter_ns() - start) / calls

    found = {c.name: c for c in crc_peers.python_contenders(memory)}
    found[OURS_IN_PYTHON] = crc_peers.Contender(OURS_IN_PYTHON, nanoseconds)
    return found


def python_contender(_: Inputs, size: int, name: str) -> Contender:
    """Return one contender as a Python program calls it."""
    found = in_python(size)
    if name not in found:
        raise Unavailable(f"{name} is not installed")
    return timed(found[name], size, name.partition(" ")[0])


def at_c_level(size: int, rounds: int | None) -> Question:
    """Ask in C."""
    names = ["fastckpt", "awscrt", "google-crc32c"]
    targets = [
        Target("fastckpt", "awscrt", bound=1.5 if size <= 200 else TIE),
        Target("fastckpt", "google-crc32c"),
    ]
    if size <= SMALL:
        names += ["fastckpt chained", "awscrt chained"]
        targets.append(Target("fastckpt chained", "awscrt chained"))
    contenders: list[Factory] = [partial(c_contender, size=size, name=name) for name in names]
    contenders += [partial(portable, size=size), partial(c_contender, size=size, name="memcpy")]
    targets.append(Target("portable", kind="rate", bound=PORTABLE_BYTES_PER_SECOND))
    targets.append(Target("fastckpt", "memcpy"))
    name = f"CRC of {size} bytes, in C"
    return Question(name, contenders, targets, work=size, cache="none", repeat=rounds)


def through_python(size: int) -> Question:
    """Ask in Python."""
    peers = ("awscrt (Python)", "google-crc32c (Python)", "crc32c (Python)")
    return Question(
        f"CRC of {size} bytes, through Python",
        [partial(python_contender, size=size, name=name) for name in (OURS_IN_PYTHON, *peers)],
        [Target(OURS_IN_PYTHON, name) for name in peers],
        work=size,
        cache="none",
    )


@case("P8", "CRC-32C")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask for each size."""
    sizes = SMOKE_SIZES if settings.smoke else SIZES
    for size in sizes:
        is_short = size <= 1 << 20 and not settings.smoke
        yield at_c_level(size, SHORT_ROUNDS if is_short else None)
    yield from map(through_python, (size for size in sizes if size in PYTHON_SIZES))
