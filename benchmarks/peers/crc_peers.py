"""CRC-32C of this library beside awscrt, google-crc32c and crc32c.

Two comparisons, never mixed:

* at C level, where the functions of all contenders run in one timing loop written in C (pass the
  ``crc_timing`` library that ``benchmarks/cpp`` builds as ``--library``);
* through Python, from 4 KiB, where a call costs 100-150 ns before any byte is read.

One thread; the contenders take turns within each round; the figure is the median over rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES = (
    64,
    100,
    128,
    200,
    256,
    512,
    *(1 << power for power in (10, 12, 14, 16, 18, 20, 24, 28, 30)),
)
SMALLEST_THROUGH_PYTHON = 4096
CHECK_DATA, CHECK_VALUE = b"123456789", 0xE3069283  # as RFC 3720 has it

# The calling conventions of benchmarks/cpp/crc_timing.h.
CRC_DATA_SIZE, CRC_DATA_SIZE_CHAINED, DATA_SIZE_CRC, DATA_SIZE_CRC_CHAINED = range(4)
TO_FROM_SIZE = 5


class UnreachableError(Exception):
    """A contender is not installed, or its C function cannot be located."""


@dataclass(frozen=True)
class Contender:
    """A CRC function: its name and the nanoseconds that one call on a number of bytes takes."""

    name: str
    nanoseconds: Callable[[int, int], float]
    smallest: int = 0


class Buffers:
    """Two touched ranges of memory that all contenders share."""

    def __init__(self, nbytes: int) -> None:
        pattern = os.urandom(min(nbytes, 1 << 20))
        self.source = (pattern * (nbytes // len(pattern) + 1))[:nbytes]
        self.destination = bytearray(nbytes)
        array = (ctypes.c_uint8 * nbytes).from_buffer(self.destination)
        self.destination_address = ctypes.addressof(array)
        self.source_address = ctypes.cast(ctypes.c_char_p(self.source), ctypes.c_void_p).value or 0


def google_function() -> int:
    """Return the address of google-crc32c's ``crc32c_extend``."""
    spec = importlib.util.find_spec("google_crc32c")
    if spec is None or spec.origin is None:
        raise UnreachableError("google-crc32c is not installed")
    folder = Path(spec.origin).parent.parent / "google_crc32c.libs"
    for path in sorted(folder.glob("libcrc32c*")):
        function = ctypes.CDLL(str(path)).crc32c_extend
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise UnreachableError(f"google-crc32c has no shared library in {folder}")


def awscrt_function() -> int:
    """Return the address of awscrt's ``aws_checksums_crc32c_ex``.

    The function is local to the extension module, so its distance from an exported one comes from
    the symbol table of the file.
    """
    anchor, target = "aws_py_checksums_crc32c", "aws_checksums_crc32c_ex"
    try:
        path = importlib.import_module("_awscrt").__file__
        listing = subprocess.run(
            ["nm", str(path)], capture_output=True, text=True, check=True
        ).stdout
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        raise UnreachableError(f"awscrt: {error}") from error
    offsets = {
        fields[2]: int(fields[0], 16)
        for fields in map(str.split, listing.splitlines())
        if len(fields) == 3
    }
    if anchor not in offsets or target not in offsets:
        raise UnreachableError("awscrt: its symbol table does not name the CRC-32C function")
    loaded = ctypes.cast(getattr(ctypes.CDLL(str(path)), anchor), ctypes.c_void_p).value or 0
    return loaded - offsets[anchor] + offsets[target]


def check(name: str, address: int, convention: int) -> None:
    """Raise when the function at `address` is not a CRC-32C of that calling convention."""
    data, size = ctypes.c_char_p(CHECK_DATA), ctypes.c_size_t(len(CHECK_DATA))
    crc = ctypes.c_uint32(0)
    if convention in (CRC_DATA_SIZE, CRC_DATA_SIZE_CHAINED):
        value = ctypes.CFUNCTYPE(
            ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t
        )(address)(crc, data, size)
    else:
        value = ctypes.CFUNCTYPE(
            ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32
        )(address)(data, size, crc)
    if value != CHECK_VALUE:
        raise UnreachableError(f"{name}: the function found returns {value:#x} for the check data")


def c_contenders(library: Path, buffers: Buffers) -> Iterator[Contender]:
    """Yield the contenders at C level; name on standard error those that cannot be reached."""
    timing = ctypes.CDLL(str(library))
    timing.fastckpt_crc_time.restype = ctypes.c_double
    timing.fastckpt_crc_function.restype = ctypes.c_void_p

    def contender(name: str, address: int, convention: int) -> Contender:
        def nanoseconds(size: int, calls: int) -> float:
            spent: float = timing.fastckpt_crc_time(
                ctypes.c_void_p(address),
                convention,
                ctypes.c_void_p(buffers.destination_address),
                ctypes.c_void_p(buffers.source_address),
                ctypes.c_size_t(size),
                ctypes.c_size_t(calls),
            )
            return spent

        return Contender(name, nanoseconds)

    def own_function() -> int:
        return int(timing.fastckpt_crc_function(b"extend"))

    sources: Sequence[tuple[str, Callable[[], int], int]] = (
        ("fastckpt", own_function, CRC_DATA_SIZE),
        ("awscrt", awscrt_function, DATA_SIZE_CRC),
        ("google-crc32c", google_function, CRC_DATA_SIZE),
        ("fastckpt chained", own_function, CRC_DATA_SIZE_CHAINED),
        ("awscrt chained", awscrt_function, DATA_SIZE_CRC_CHAINED),
    )
    for name, find, convention in sources:
        try:
            address = find()
            check(name, address, convention)
        except UnreachableError as reason:
            print(f"left out at C level: {reason}", file=sys.stderr)
            continue
        yield contender(name, address, convention)
    memcpy = ctypes.cast(ctypes.CDLL(None).memcpy, ctypes.c_void_p).value or 0
    yield contender("memcpy", memcpy, TO_FROM_SIZE)


def python_contenders(buffers: Buffers) -> Iterator[Contender]:
    """Yield the contenders as a Python program calls them."""

    def contender(name: str, function: Callable[[bytes], int]) -> Contender:
        def nanoseconds(size: int, calls: int) -> float:
            data = buffers.source if size == len(buffers.source) else buffers.source[:size]
            start = time.perf_counter_ns()
            for _ in range(calls):
                function(data)
            return (time.perf_counter_ns() - start) / calls

        return Contender(f"{name} (Python)", nanoseconds, SMALLEST_THROUGH_PYTHON)

    for name, module, attribute in (
        ("awscrt", "awscrt.checksums", "crc32c"),
        ("google-crc32c", "google_crc32c", "value"),
        ("crc32c", "crc32c", "crc32c"),
    ):
        try:
            function = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            print(f"left out through Python: {error}", file=sys.stderr)
            continue
        if function(CHECK_DATA) != CHECK_VALUE:
            raise SystemExit(f"{name} returns a wrong CRC-32C")
        yield contender(name, function)


def measure(contenders: Sequence[Contender], size: int, rounds: int) -> dict[str, list[float]]:
    """Return the rates of each contender in GB/s (10^9 bytes), sorted."""
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    calls = {}
    for contender in contenders:
        contender.nanoseconds(size, 1)
        once = contender.nanoseconds(size, 1 if size > 1 << 20 else 1000)
        calls[contender.name] = max(1, int(2e6 / once))
    order = random.Random(0)
    for _ in range(rounds):
        for contender in order.sample(contenders, len(contenders)):
            contender.nanoseconds(size, 1)  # the one before left its own data in the caches
            spent = contender.nanoseconds(size, calls[contender.name])
            rates[contender.name].append(size / spent)
    return {name: sorted(values) for name, values in rates.items()}


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of those distributions among `names` that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--library", type=Path, help="the crc_timing library, for the C level")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--max-bytes", type=int, default=1 << 28)
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both comparisons and print them."""
    options = parse(arguments)
    buffers = Buffers(options.max_bytes)
    contenders = list(python_contenders(buffers))
    if options.library is not None:
        contenders = [*c_contenders(options.library, buffers), *contenders]
    results: list[dict[str, Any]] = []
    for size in (size for size in SIZES if size <= options.max_bytes):
        taking_part = [contender for contender in contenders if size >= contender.smallest]
        for name, rates in measure(taking_part, size, options.rounds).items():
            results.append(
                {
                    "contender": name,
                    "size": size,
                    "median": statistics.median(rates),
                    "best": rates[-1],
                    "worst": rates[0],
                }
            )
            if not options.json:
                print(
                    f"{size:>11} {name:<24} {results[-1]['median']:8.2f} GB/s "
                    f"({rates[0]:.2f} .. {rates[-1]:.2f})",
                    flush=True,
                )
    if options.json:
        peers = versions(("awscrt", "google-crc32c", "crc32c"))
        print(
            json.dumps(
                {"benchmark": "crc_peers", "unit": "GB/s", "versions": peers, "results": results},
                indent=1,
            )
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
