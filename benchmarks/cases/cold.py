"""P9: loading and verifying a large checkpoint of which nothing is in the page cache.

Before each sample the files are synced and their pages dropped. The ceilings read the shard in
requests of 4 MiB past the page cache, four at a time: into fresh memory beside ``load``, into a
small window beside views, which need no memory of their own. Only on a disk: a tmpfs is never
cold. What stands behind the disk, such as a host's page cache, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np

import fastckpt
import native
from data import Dataset, large_tensors, stored_bytes
from measure import CEILING, Contender, Inputs, PeerFactory, Question, Settings, Target, case
from peers import ceiling_peer, safetensors_peer, tensorflow_peer
from scratch import cold

Backend = Literal["auto", "mmap", "pread", "direct"]
LOADS: dict[Backend, float | None] = {"auto": 0.95, "direct": 0.95, "pread": None, "mmap": None}
VIEWS_BOUND = 0.85
LOOP = {True: "direct read loop, fresh memory", False: "direct read loop"}
ROUNDS = 5


def load(inputs: Inputs, backend: Backend, threads: int) -> Contender:
    """Open and load everything."""
    prefix = inputs["checkpoint"]

    def run(_: None) -> Any:
        return fastckpt.load(prefix, backend=backend, num_threads=threads)

    return cold(Contender(f"load, {backend}", run), prefix)


def views(inputs: Inputs, threads: int) -> Contender:
    """Open, take a verified view of every tensor, close: mapped pages cannot be dropped."""
    prefix = inputs["checkpoint"]

    def run(_: None) -> None:
        with fastckpt.open(prefix, backend="mmap", num_threads=threads) as checkpoint:
            for name in checkpoint:
                checkpoint[name]

    return cold(Contender("views", run), prefix)


def loop(inputs: Inputs, *, keep: bool) -> Contender:
    """Read the shard past the page cache."""
    prefix = inputs["checkpoint"]
    read = ceiling_peer.direct_read(ceiling_peer.shard_of(prefix), keep=keep)
    contender = Contender(
        LOOP[keep], lambda _: read(), peer=CEILING, note="plain loop, verifies nothing"
    )
    return cold(contender, prefix)


def tensorflow(inputs: Inputs) -> Contender:
    """Read with TensorFlow."""
    prefix = inputs["checkpoint"]
    return cold(tensorflow_peer.get_all_kept(prefix), prefix)


def safetensors(inputs: Inputs) -> Contender:
    """Load the other format's file."""
    path = inputs["safetensors"]
    return cold(safetensors_peer.load_all(path), path)


def check(inputs: Inputs, nbytes: int) -> None:
    """Past the page cache come the same bytes."""
    loaded = fastckpt.load(inputs["checkpoint"], backend="direct")
    for name, expected in large_tensors(nbytes):
        np.testing.assert_array_equal(loaded[name], expected)


def load_question(settings: Settings) -> Question:
    """Ask for fresh arrays."""
    threads, work = settings.most_threads, stored_bytes(settings.nbytes)
    names = {backend: f"load, {backend}" for backend in LOADS}
    return Question(
        f"cold load, {settings.storage['disk']}",
        [
            PeerFactory(tensorflow_peer.PEER, tensorflow),
            *(partial(load, backend=backend, threads=threads) for backend in LOADS),
            partial(loop, keep=True),
        ],
        [
            *(Target(names[backend], LOOP[True], bound=LOADS[backend]) for backend in LOADS),
            *(Target(names[backend], "TF get_tensor, kept") for backend in LOADS),
        ],
        {"checkpoint": Dataset("large", "disk", settings.nbytes)},
        work=work,
        cache="cold",
        repeat=min(settings.repeat, ROUNDS),
        check=partial(check, nbytes=settings.nbytes),
        before_sample=partial(native.claim_memory, work * 9 // 8),
    )


def safetensors_question(settings: Settings) -> Question:
    """Stand beside safetensors, which does less: it has no checksum to verify."""
    work = stored_bytes(settings.nbytes)
    return Question(
        f"cold load beside safetensors (unverified), {settings.storage['disk']}",
        [
            PeerFactory(safetensors_peer.PEER, safetensors),
            partial(load, backend="auto", threads=settings.most_threads),
        ],
        [Target("load, auto", "safetensors load_file")],
        {
            "checkpoint": Dataset("large", "disk", settings.nbytes),
            "safetensors": Dataset("large", "disk", settings.nbytes, "safetensors"),
        },
        work=work,
        cache="cold",
        repeat=min(settings.repeat, ROUNDS),
        before_sample=partial(native.claim_memory, work * 9 // 8),
    )


def views_question(settings: Settings) -> Question:
    """Ask for views."""
    work = stored_bytes(settings.nbytes)
    return Question(
        f"cold views, {settings.storage['disk']}",
        [partial(views, threads=settings.most_threads), partial(loop, keep=False)],
        [Target("views", LOOP[False], bound=VIEWS_BOUND)],
        {"checkpoint": Dataset("large", "disk", settings.nbytes)},
        work=work,
        cache="cold",
        # The page cache takes fresh memory, as arrays do.
        before_sample=partial(native.claim_memory, work * 9 // 8),
    )


@case("P9", "cold load")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask on a disk."""
    if "disk" in settings.storage:
        yield load_question(settings)
        yield views_question(settings)
        yield safetensors_question(settings)
