"""P5 and P6: saving a large checkpoint, to the page cache and durably.

Every sample writes new files in an empty folder; removing those of the sample before is not timed.
P5: nobody syncs. P6: everybody does, peers by an fsync of each file and of the folder when they
are done. The ceilings write the same bytes and compute no checksum: to the page cache with a
thread for each file, durably in requests of 4 MiB past the page cache, four at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import fastckpt
import native
from data import Dataset, stored_bytes
from measure import (
    CEILING,
    Contender,
    Factory,
    Inputs,
    PeerFactory,
    Question,
    Settings,
    Target,
    case,
)
from peers import ceiling_peer, numpy_peer, safetensors_peer, tensorflow_peer, torch_peer
from scratch import SCRATCH, Scratch, durable, tensors, writer

SHARDS = (1, 2)
SPEEDUPS = {1: 2.3, 2: 4.0}
PLAIN_FRACTIONS = {1: 0.95, 2: 0.90}
BACKENDS = {"auto": 0.85, "direct": 0.9}
NO_CRC = "computes no checksum"
TF_SAVE = "TF Saver.save"
DIRECT_LOOP = "direct write loop"
# A sample moves the data several times, and half of it before the clock starts.
ROUNDS = 5

# Makes a call that writes the tensors to a path.
Prepared = Callable[[str, dict[str, Any]], Callable[[], Any]]


def ours(inputs: Inputs, nbytes: int, name: str, **options: Any) -> Contender:
    """Save with this library."""
    scratch, arrays = Scratch.of(inputs, nbytes), tensors("large", nbytes)
    path = scratch.path("model")
    return writer(name, scratch, lambda: fastckpt.save(path, arrays, **options), "fastckpt")


def theirs(
    inputs: Inputs, nbytes: int, name: str, make: Prepared, peer: str, *, sync: bool, note: str
) -> Contender:
    """Save with a peer."""
    scratch = Scratch.of(inputs, nbytes)
    call = make(scratch.path("model"), tensors("large", nbytes))
    contender = writer(name, scratch, call, peer, note)
    return durable(contender, scratch) if sync else contender


def prepared_safetensors(path: str, arrays: dict[str, Any]) -> Callable[[], Any]:
    """Return a call of ``save_file``."""
    safetensors_peer.load_module()
    return lambda: safetensors_peer.save(path, arrays)


def prepared_numpy(path: str, arrays: dict[str, Any]) -> Callable[[], Any]:
    """Return a call of ``np.savez``."""
    return lambda: numpy_peer.save(path, arrays)


PEERS: dict[str, tuple[str, Prepared, str]] = {
    TF_SAVE: (tensorflow_peer.PEER, tensorflow_peer.prepared_saver, "variables exist before"),
    "safetensors save_file": (safetensors_peer.PEER, prepared_safetensors, NO_CRC),
    "np.savez": (numpy_peer.PEER, prepared_numpy, "CRC-32"),
    "torch.save": (torch_peer.PEER, torch_peer.prepared_save, "CRC-32"),
}


def peers(nbytes: int, *, sync: bool) -> list[Factory]:
    """Return all peers."""
    return [
        PeerFactory(
            peer,
            partial(theirs, nbytes=nbytes, name=name, make=make, peer=peer, sync=sync, note=note),
        )
        for name, (peer, make, note) in PEERS.items()
    ]


def plain(inputs: Inputs, nbytes: int, files: int) -> Contender:
    """Write the same bytes to as many files, and compute nothing."""
    scratch = Scratch.of(inputs, nbytes)
    paths = [scratch.path(f"plain-{number}") for number in range(files)]
    call = ceiling_peer.plain_write(paths, tensors("large", nbytes))
    return writer(plain_name(files), scratch, call, CEILING, NO_CRC)


def plain_name(files: int) -> str:
    """Return the name of that contender."""
    return f"plain write, {files} file{'s' * (files > 1)}"


def direct_loop(inputs: Inputs, nbytes: int) -> Contender:
    """Write as many bytes past the page cache."""
    scratch = Scratch.of(inputs, nbytes)
    scratch.prepare()
    call = ceiling_peer.direct_write(scratch.path("plain"), stored_bytes(nbytes))
    return writer(DIRECT_LOOP, scratch, call, CEILING, NO_CRC)


def claimed(nbytes: int) -> int:
    """Return what the page cache needs for a sample: no contender is to wait for the host's."""
    return stored_bytes(nbytes) * 9 // 8


def check(inputs: Inputs, nbytes: int, **options: Any) -> None:
    """What is saved loads as it was, for each number of shards."""
    scratch, expected = Scratch.of(inputs, nbytes), tensors("large", nbytes)
    for shards in SHARDS:
        scratch.prepare()
        path = fastckpt.save(scratch.path("model"), expected, num_shards=shards, **options)
        loaded = fastckpt.load(path)
        assert loaded.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(loaded[name], array)
    scratch.prepare()


@case("P5", "save to the page cache")
def to_cache(settings: Settings) -> Iterator[Question]:
    """Ask for each storage and number of shards; ``sync=False``."""
    nbytes, threads = settings.nbytes, settings.most_threads
    for storage, file_system in settings.storage.items():
        contenders, targets = peers(nbytes, sync=False), []
        for shards in SHARDS:
            name = f"save, {shards} shard{'s' * (shards > 1)}"
            options: dict[str, Any] = {"num_shards": shards, "num_threads": threads, "sync": False}
            contenders.append(partial(ours, nbytes=nbytes, name=name, **options))
            contenders.append(partial(plain, nbytes=nbytes, files=shards))
            targets.append(Target(name, TF_SAVE, bound=SPEEDUPS[shards]))
            targets.append(Target(name, plain_name(shards), bound=PLAIN_FRACTIONS[shards]))
            targets += [Target(name, peer) for peer in PEERS if peer != TF_SAVE]
        yield Question(
            f"save without sync, {file_system}",
            contenders,
            targets,
            {SCRATCH: Dataset("empty", storage)},
            work=stored_bytes(nbytes),
            repeat=min(settings.repeat, ROUNDS),
            check=partial(check, nbytes=nbytes, sync=False),
            before_sample=partial(native.claim_memory, claimed(nbytes)),
        )


@case("P6", "durable save")
def durably(settings: Settings) -> Iterator[Question]:
    """Ask on a disk; one shard is a file of the same kind as the loop's."""
    if "disk" not in settings.storage:
        return
    nbytes, threads = settings.nbytes, settings.most_threads
    contenders, targets = peers(nbytes, sync=True), []
    contenders.append(partial(direct_loop, nbytes=nbytes))
    for backend, bound in BACKENDS.items():
        for shards in SHARDS:
            name = f"save, {backend}, {shards} shard{'s' * (shards > 1)}"
            options: dict[str, Any] = {
                "num_shards": shards, "num_threads": threads, "backend": backend,
            }  # fmt: skip
            contenders.append(partial(ours, nbytes=nbytes, name=name, **options))
            targets.append(Target(name, DIRECT_LOOP, bound=bound if shards == 1 else None))
            targets += [Target(name, f"{peer} + fsync") for peer in PEERS]
    yield Question(
        f"durable save, {settings.storage['disk']}",
        contenders,
        targets,
        {SCRATCH: Dataset("empty", "disk")},
        work=stored_bytes(nbytes),
        repeat=min(settings.repeat, ROUNDS),
        check=partial(check, nbytes=nbytes, backend="direct"),
        before_sample=partial(native.claim_memory, claimed(nbytes)),
    )
