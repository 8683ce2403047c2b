"""The checkpoints that benchmarks read: deterministic, made in a folder of the run.

``writer="large calls"`` lays a bundle out as this library's writer does: tensors at multiples of
64 bytes, written in calls of at least 1 MiB (which decides the size of the page cache's folios,
and with it the speed of every mapped read). ``writer="tensorflow"`` is a file by TensorFlow.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from measure import Settings, Unavailable

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from oracle.bundle import index_path, shard_path
from oracle.coding import mask
from oracle.entry import Entry, Header
from oracle.table import build_table

MIB = 1 << 20
ALIGNMENT = 64
CALL_BYTES = 8 * MIB
PATTERN_BYTES = 32 * MIB
FLOAT32 = 1  # TensorFlow's types.proto, DT_FLOAT
SMALL_SHAPE = (8, 8)
EQUAL_TENSORS = 16

OWN_LAYOUT = "large calls"
Writer = Literal["large calls", "tensorflow", "safetensors"]


@dataclass(frozen=True)
class Dataset:
    """A file or checkpoint by its content: equal descriptions share one copy within a run."""

    kind: Literal["large", "equal", "small", "empty"]  # "empty": a folder to write to
    storage: str
    size: int = 0  # bytes of the large and equal kinds, number of tensors of the small kind
    writer: Writer = "large calls"


def tensor_sizes(nbytes: int) -> list[int]:
    """Bytes of each tensor of a large checkpoint: half in 8 pieces, the rest in smaller ones.

    At 2 GiB: 8 x 128 MiB, 16 x 32 MiB, 64 x 8 MiB, 512 x 4 KiB, in an order that mixes them.
    """
    unit = max(nbytes // 2048 // 4096 * 4096, 4096)
    groups = [[128 * unit] * 8, [32 * unit] * 16, [8 * unit] * 64, [4096] * 512]
    mixed: list[int] = []
    for part in range(8):
        for group in groups:
            share = len(group) // 8
            mixed += group[part * share : (part + 1) * share]
    return mixed


def stored_bytes(nbytes: int) -> int:
    """Bytes of all tensors of a large checkpoint of about `nbytes`."""
    return sum(tensor_sizes(nbytes))


def large_tensors(nbytes: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the tensors of a large checkpoint in name order."""
    yield from windows(tensor_sizes(nbytes))


def windows(sizes: Sequence[int]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield names and arrays of those sizes; the arrays are windows of one random pattern."""
    longest = max(sizes)
    pattern = np.random.default_rng(1).random(min(PATTERN_BYTES, longest) // 4, np.float32)
    repeated = np.tile(pattern, longest // pattern.nbytes + 2)
    for number, size in enumerate(sizes):
        start = number * 977 % pattern.size
        rows = repeated[start : start + size // 4].reshape(-1, 1024)
        yield f"model/block_{number:04d}/kernel", rows


def small_tensors(count: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield `count` tensors of 256 bytes with names of 33 characters."""
    values = np.random.default_rng(2).random((4096, *SMALL_SHAPE), np.float32)
    for number in range(count):
        yield f"model/layer_{number // 8:07d}/kernel_{number % 8}/vals", values[number % 4096]


def crc_function() -> Callable[[Any], int]:
    """Return a CRC-32C by somebody else: awscrt, google-crc32c, or the slow one of the tests."""
    for module, name in (("awscrt.checksums", "crc32c"), ("google_crc32c", "value")):
        try:
            found: Callable[[Any], int] = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        return found
    from oracle.coding import crc32c

    return crc32c


class ShardFile:
    """Collects bytes and writes them in large calls."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._buffer = bytearray()
        self.offset = 0

    def add(self, data: bytes | memoryview) -> int:
        """Append `data` at the next aligned offset, which is returned."""
        start = -(-self.offset // ALIGNMENT) * ALIGNMENT
        self._buffer += bytes(start - self.offset)
        for at in range(0, len(data), CALL_BYTES):
            self._buffer += data[at : at + CALL_BYTES]
            if len(self._buffer) >= CALL_BYTES:
                self._flush(CALL_BYTES)
        self.offset = start + len(data)
        return start

    def close(self) -> None:
        """Write the rest."""
        self._flush(len(self._buffer))
        os.close(self._descriptor)

    def _flush(self, size: int) -> None:
        with memoryview(self._buffer) as view:
            done = 0
            while done < size:
                done += os.write(self._descriptor, view[done:size])
        del self._buffer[:size]


def write_bundle(prefix: Path, tensors: Iterator[tuple[str, NDArray[np.float32]]]) -> None:
    """Write float32 tensors, sorted by name, as a bundle of one shard."""
    crc32c = crc_function()
    shard = ShardFile(shard_path(prefix, 0, 1))
    pairs = [(b"", Header().encode())]
    for name, array in tensors:
        stored = array.tobytes()
        entry = Entry(FLOAT32, array.shape, 0, shard.add(memoryview(stored)), len(stored))
        entry.masked_crc = mask(crc32c(stored))
        pairs.append((name.encode(), entry.encode()))
    shard.close()
    index_path(prefix).write_bytes(build_table(pairs))


def write_with_tensorflow(prefix: Path, dataset: Dataset) -> None:
    """Let TensorFlow save the tensors, in a process of its own."""
    from peers import tensorflow_peer

    tensorflow_peer.require()
    folder, target = str(Path(__file__).parent), str(prefix)
    code = (
        f"import sys; sys.path.insert(0, {folder!r}); import data;"
        "from peers import tensorflow_peer;"
        f"tensors = data.tensors_of({dataset.kind!r}, {dataset.size});"
        f"tensorflow_peer.save({target!r}, list(tensors))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def write_with_safetensors(path: Path, dataset: Dataset) -> None:
    """Write the tensors as one safetensors file."""
    from peers import safetensors_peer

    safetensors_peer.save(str(path), dict(tensors_of(dataset.kind, dataset.size)))


def tensors_of(kind: str, size: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the tensors that a description stands for."""
    if kind == "equal":
        return windows([size // EQUAL_TENSORS] * EQUAL_TENSORS)
    return large_tensors(size) if kind == "large" else small_tensors(size)


def settle(file: Path) -> None:
    """Let the disk have a file: its writeback must not run into the samples."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def owned_tensors(kind: str, size: int) -> dict[str, NDArray[np.float32]]:
    """Return the tensors as a program has them: every array in memory of its own."""
    return {name: array.copy() for name, array in tensors_of(kind, size)}


class Store:
    """The datasets of a run, in one temporary folder for each kind of storage."""

    def __init__(self, folders: dict[str, Path], settings: Settings) -> None:
        self._settings = settings
        self._folders = {
            storage: Path(tempfile.mkdtemp(prefix="fastckpt-bench-", dir=folder))
            for storage, folder in folders.items()
        }
        self._made: dict[Dataset, Path] = {}

    def get(self, dataset: Dataset) -> Path:
        """Return the prefix or file of a dataset, making it at the first call."""
        if dataset not in self._made:
            if dataset.storage not in self._folders:
                raise Unavailable(f"no {dataset.storage} folder")
            if dataset.writer != OWN_LAYOUT and not self._settings.wants(dataset.writer):
                raise Unavailable(f"--peer leaves out {dataset.writer}, which writes the file")
            folder = self._folders[dataset.storage] / f"{len(self._made)}-{dataset.kind}"
            folder.mkdir(exist_ok=True)
            self._write(folder / "model", dataset)
            self._made[dataset] = folder / "model"
        return self._made[dataset]

    def _write(self, path: Path, dataset: Dataset) -> None:
        if dataset.writer == "tensorflow":
            write_with_tensorflow(path, dataset)
        elif dataset.writer == "safetensors":
            write_with_safetensors(path, dataset)
        elif dataset.kind != "empty":
            write_bundle(path, tensors_of(dataset.kind, dataset.size))
        for file in path.parent.iterdir():
            settle(file)

    def keep_only(self, wanted: set[Dataset]) -> None:
        """Remove the files of all other datasets: page cache and tmpfs are memory."""
        for dataset in set(self._made) - wanted:
            shutil.rmtree(self._made.pop(dataset).parent)

    def close(self) -> None:
        """Remove everything."""
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
