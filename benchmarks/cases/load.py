"""P2: verified loads into owned memory.

*Fresh*: every sample makes its arrays, opens and reads; nothing is freed while the clock runs.
Before each sample as much memory is touched and freed, because a virtual machine that has given
pages back to its host gets them again ten times slower: that would measure the neighbours. The
kernel still hands out zeroed pages, which is the larger part of everybody's time. *Into*: the
arrays exist and were written to before, so that only moving the bytes counts. safetensors and
pread verify nothing and stand beside as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

import fastckpt
import native
from data import Dataset, large_tensors, stored_bytes
from measure import Contender, Factory, Inputs, Question, Settings, Target, case
from peers import ceiling_peer, safetensors_peer, tensorflow_peer

# A sample takes a second and more, half of it before the clock starts.
FRESH_ROUNDS = 5

Arrays = dict[str, NDArray[np.float32]]


def load_fresh(inputs: Inputs, threads: int) -> Contender:
    """Open and load everything."""
    prefix = inputs["checkpoint"]
    return Contender(f"load, T{threads}", lambda _: fastckpt.load(prefix, num_threads=threads))


def touched_arrays(prefix: str) -> Arrays:
    """Make an array for each tensor, in file order, and write to all of its pages."""
    with fastckpt.open(prefix) as checkpoint:
        handles = sorted(checkpoint.tensors(), key=lambda tensor: tensor.offset or 0)
        return {tensor.name: np.ones(tensor.shape, tensor.dtype) for tensor in handles}


class Targets:
    """The arrays that all contenders of one process fill, made at first use."""

    def __init__(self) -> None:
        self._arrays: Arrays = {}

    def get(self, prefix: str) -> Arrays:
        """Return them."""
        if not self._arrays:
            self._arrays = touched_arrays(prefix)
        return self._arrays


def into_new_map(inputs: Inputs, threads: int, arrays: Targets) -> Contender:
    """Open, fill the arrays, close."""
    prefix, targets = inputs["checkpoint"], arrays.get(inputs["checkpoint"])

    def run(_: None) -> None:
        with fastckpt.open(prefix, num_threads=threads) as checkpoint:
            checkpoint.load_into(targets)

    return Contender(f"load_into, new map, T{threads}", run)


def into_resident(inputs: Inputs, threads: int, arrays: Targets) -> Contender:
    """Fill the arrays from a checkpoint whose map has been read before."""
    targets = arrays.get(inputs["checkpoint"])
    checkpoint = fastckpt.open(inputs["checkpoint"], num_threads=threads, verify="eager")
    return Contender(f"load_into, resident, T{threads}", lambda _: checkpoint.load_into(targets))


def pread_into(inputs: Inputs, threads: int, arrays: Targets) -> Contender:
    """Read into the same arrays."""
    targets = arrays.get(inputs["checkpoint"])
    addresses = [array.ctypes.data for array in targets.values()]
    return ceiling_peer.pread_into(
        inputs["checkpoint"], addresses, threads, f"pread into, T{threads}"
    )


def check(inputs: Inputs, nbytes: int) -> None:
    """Both ways give what was written."""
    loaded = fastckpt.load(inputs["checkpoint"])
    into = {name: np.ones_like(array) for name, array in loaded.items()}
    with fastckpt.open(inputs["checkpoint"]) as checkpoint:
        checkpoint.load_into(into)
    for name, expected in large_tensors(nbytes):
        np.testing.assert_array_equal(loaded[name], expected)
        np.testing.assert_array_equal(into[name], expected)


def needs(settings: Settings, storage: str) -> dict[str, Dataset]:
    """Return the checkpoint that is loaded."""
    return {"checkpoint": Dataset("large", storage, settings.nbytes)}


def fresh_question(settings: Settings, storage: str) -> Question:
    """Ask for fresh arrays."""
    contenders: list[Factory] = [
        tensorflow_peer.by(tensorflow_peer.get_all_kept),
        tensorflow_peer.by(tensorflow_peer.restore_all),
    ]
    targets = []
    for threads in settings.threads:
        ours, pread = f"load, T{threads}", f"pread fresh, T{threads}"
        contenders.append(partial(load_fresh, threads=threads))
        contenders.append(
            lambda inputs, t=threads: ceiling_peer.pread_fresh(inputs["checkpoint"], t)
        )
        single = 1.45 if storage == "tmpfs" else 1.7
        bound = 2.5 if threads > 1 else single
        targets.append(Target(ours, "TF get_tensor, kept", bound=bound))
        targets.append(Target(ours, "TF RestoreV2"))
        ceiling = 0.9 if storage == "tmpfs" else 0.95
        targets.append(Target(ours, pread, bound=ceiling))
    return Question(
        f"fresh arrays, {settings.storage[storage]}",
        contenders,
        targets,
        needs(settings, storage),
        work=stored_bytes(settings.nbytes),
        check=partial(check, nbytes=settings.nbytes),
        repeat=min(settings.repeat, FRESH_ROUNDS),
        before_sample=partial(native.claim_memory, stored_bytes(settings.nbytes) * 9 // 8),
    )


def safetensors_question(settings: Settings, storage: str) -> Question:
    """Stand beside safetensors, which does less: it has no checksum to verify."""
    dataset = Dataset("large", storage, settings.nbytes, "safetensors")
    threads = settings.most_threads
    return Question(
        f"fresh arrays beside safetensors (unverified), {settings.storage[storage]}",
        [
            safetensors_peer.by(safetensors_peer.load_all, "safetensors"),
            partial(load_fresh, threads=threads),
        ],
        [Target(f"load, T{threads}", "safetensors load_file")],
        {**needs(settings, storage), "safetensors": dataset},
        work=stored_bytes(settings.nbytes),
        repeat=min(settings.repeat, FRESH_ROUNDS),
        before_sample=partial(native.claim_memory, stored_bytes(settings.nbytes) * 9 // 8),
    )


def into_question(settings: Settings, storage: str) -> Question:
    """Ask for existing arrays."""
    arrays = Targets()
    contenders: list[Factory] = [tensorflow_peer.by(tensorflow_peer.get_all_dropped)]
    targets = []
    for threads in settings.threads:
        pread = f"pread into, T{threads}"
        contenders.append(partial(pread_into, threads=threads, arrays=arrays))
        for make, name in ((into_new_map, "new map"), (into_resident, "resident")):
            contenders.append(partial(make, threads=threads, arrays=arrays))
            ours, full = f"load_into, {name}, T{threads}", threads == settings.most_threads
            speedup = {"disk": 5.0, "tmpfs": 4.0}[storage] if full else None
            ceiling = 0.9 if (storage, name) == ("tmpfs", "new map") else 0.95
            targets.append(Target(ours, "TF get_tensor", bound=speedup))
            targets.append(Target(ours, pread, bound=ceiling))
    return Question(
        f"existing arrays, {settings.storage[storage]}",
        contenders,
        targets,
        needs(settings, storage),
        work=stored_bytes(settings.nbytes),
    )


@case("P2", "verified load into owned memory")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask for each storage."""
    for storage in settings.storage:
        yield fresh_question(settings, storage)
        yield into_question(settings, storage)
        yield safetensors_question(settings, storage)
