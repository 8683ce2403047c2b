"""What plain loops reach on this machine, in the same run: they check nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from ctypes import c_char_p
from pathlib import Path
from typing import Any

import fastckpt
import native
from measure import CEILING, Contender, Unavailable

# The fastest call size for reads into memory that is touched already.
PREAD_CALL_BYTES = 1 << 20
WRITE_CALL_BYTES = 1 << 20
# More in one call or at a time is no faster on any device that was tried.
DIRECT_CALL_BYTES, DIRECT_DEPTH = 4 << 20, 4
DIRECT_UNIT = 4096


def shard_of(prefix: str) -> str:
    """Return the only data shard of a checkpoint."""
    (shard,) = Path(prefix).parent.glob(Path(prefix).name + ".data-*")
    return str(shard)


def map_read(prefix: str, threads: int) -> Contender:
    """Map the shard, read every word, unmap it."""
    path = os.fsencode(shard_of(prefix))
    native.ceiling()
    return Contender(
        f"map and read, T{threads}",
        lambda _: native.call("ceiling_map_read", path, threads),
        peer=CEILING,
        note="plain loop, verifies nothing",
    )


def resident_read(prefix: str, threads: int) -> Contender:
    """Read every word of a shard that is mapped and has been read before."""
    shard = native.ResidentMap(shard_of(prefix))
    return Contender(
        f"read resident map, T{threads}",
        lambda _: shard.read(threads),
        peer=CEILING,
        note="plain loop, verifies nothing",
    )


def places(prefix: str) -> tuple[list[int], list[int]]:
    """Return offsets and sizes of all tensors in file order."""
    with fastckpt.open(prefix) as checkpoint:
        found = sorted((t.offset or 0, t.nbytes) for t in checkpoint.tensors())
    return [offset for offset, _ in found], [size for _, size in found]


def pread_into(prefix: str, addresses: Sequence[int], threads: int, name: str) -> Contender:
    """Read all tensors, in file order, to memory that exists."""
    offsets, sizes = places(prefix)
    path, count = os.fsencode(shard_of(prefix)), len(sizes)
    tables = native.words(offsets), native.words(sizes), native.words(addresses)

    def run(_: None) -> None:
        native.call("ceiling_pread", path, *tables, count, PREAD_CALL_BYTES, threads)

    return Contender(name, run, peer=CEILING, note="verifies nothing")


def pread_fresh(prefix: str, threads: int) -> Contender:
    """Read the whole shard into fresh memory on huge pages, as ``load`` allocates it."""
    path = shard_of(prefix)
    size = os.path.getsize(path)
    native.ceiling()

    def run(_: None) -> Any:
        memory = native.FreshMemory(size)
        tables = native.words([0]), native.words([size]), native.words([memory.address])
        native.call("ceiling_pread", os.fsencode(path), *tables, 1, PREAD_CALL_BYTES, threads)
        return memory

    return Contender(f"pread fresh, T{threads}", run, peer=CEILING, note="verifies nothing")


def plain_write(paths: Sequence[str], tensors: Mapping[str, Any]) -> Callable[[], None]:
    """Return a call that writes all tensors to new files through the page cache."""
    names = (c_char_p * len(paths))(*map(os.fsencode, paths))
    addresses = native.words([array.ctypes.data for array in tensors.values()])
    sizes = native.words([array.nbytes for array in tensors.values()])
    arguments = names, len(paths), addresses, sizes, len(sizes), WRITE_CALL_BYTES
    native.storage()
    return lambda: native.call("storage_write", *arguments)


def direct_write(path: str, size: int) -> Callable[[], None]:
    """Return a call that writes as many bytes to a new file past the page cache, and syncs it."""
    memory = native.FreshMemory(-(-size // DIRECT_UNIT) * DIRECT_UNIT)
    native.call("ceiling_touch", memory.address, memory.size)

    def write() -> None:
        arguments = os.fsencode(path), memory.address, size, DIRECT_CALL_BYTES, DIRECT_DEPTH
        native.call("storage_direct_write", *arguments)

    require_direct(write)
    Path(path).unlink()
    return write


def direct_read(path: str, *, keep: bool) -> Callable[[], Any]:
    """Return a call that reads a file past the page cache, to fresh memory or a small window."""
    size = os.path.getsize(path)
    whole = -(-size // DIRECT_CALL_BYTES) * DIRECT_CALL_BYTES
    window = whole if keep else 4 * DIRECT_DEPTH * DIRECT_CALL_BYTES
    reused = None if keep else native.FreshMemory(window)

    def read() -> Any:
        memory = reused or native.FreshMemory(window)
        arguments = memory.address, window, size, DIRECT_CALL_BYTES, DIRECT_DEPTH
        native.call("storage_direct_read", os.fsencode(path), *arguments)
        return memory

    require_direct(read)
    return read


def require_direct(call: Callable[[], Any]) -> None:
    """Raise Unavailable where the file system takes no direct requests."""
    try:
        call()
    except OSError as error:
        raise Unavailable(f"no direct I/O on this file system ({error.strerror})") from error
