"""P11: the most memory that saving, opening and streaming take beyond what was there before.

Every sample is a process: its inputs exist, then the work is done, while another process reads its
RssAnon, the memory that no file backs. Pages of mapped files and of the page cache do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import child
from data import Dataset, stored_bytes, tensor_sizes
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
from peers import numpy_peer, safetensors_peer, tensorflow_peer
from scratch import SCRATCH, Scratch

BYTES_PER_THREAD = 64 << 20
PREFETCH_BYTES = 256 << 20
INDEX_FACTOR = 3.0
ROUNDS = 3
INDEX_FILE = "index file"

# "sync" changes nothing about memory, but much about the time that this takes.
SAVES: dict[str, dict[str, Any]] = {
    "save, 1 shard": {"num_shards": 1, "sync": False},
    "save, 2 shards": {"num_shards": 2, "sync": False},
    "save, direct": {"num_shards": 1, "backend": "direct"},
}
ASYNC = "save_async, first"
PEER_SAVES: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "TF SaveV2": (tensorflow_peer.PEER, "tensorflow save", tensorflow_peer.require),
    "safetensors save_file": (
        safetensors_peer.PEER, "safetensors save", safetensors_peer.load_module,
    ),
    "np.savez": (numpy_peer.PEER, "numpy save", lambda: None),
}  # fmt: skip


def peak(name: str, job: str, options: Mapping[str, Any], **more: Any) -> Contender:
    """Return a contender whose samples are bytes."""
    return Contender(
        name, lambda _: child.run(job, options, watch=True).extra_bytes, own_clock=True, **more
    )


def saving(inputs: Inputs, settings: Settings, name: str, job: str, **more: Any) -> Contender:
    """Save in a child."""
    scratch = Scratch.of(inputs, settings.nbytes)
    options = {
        "path": scratch.path("model"), "kind": "large", "size": settings.nbytes, "seed": None,
        "wait": True, "save": {**SAVES.get(name, {}), "num_threads": settings.most_threads},
    }  # fmt: skip
    return peak(name, job, options, prepare=scratch.prepare, **more)


def peer_saving(
    inputs: Inputs, settings: Settings, name: str, job: str, require: Callable[[], Any]
) -> Contender:
    """Save with a peer in a child."""
    require()
    return saving(inputs, settings, name, job, peer=PEER_SAVES[name][0])


def reading(inputs: Inputs, job: str, name: str, **options: Any) -> Contender:
    """Open or stream in a child."""
    return peak(name, job, {"path": inputs["checkpoint"], **options})


def opening_with_tensorflow(inputs: Inputs) -> Contender:
    """Open with TensorFlow in a child."""
    tensorflow_peer.require()
    options = {"path": inputs["checkpoint"]}
    return peak("TF open", "tensorflow open", options, peer=tensorflow_peer.PEER)


def index_size(inputs: Inputs) -> Contender:
    """Stand for the index: the bytes of its file."""
    size = Path(f"{inputs['checkpoint']}.index").stat().st_size
    return Contender(INDEX_FILE, lambda _: size, peer=CEILING, own_clock=True)


def question(settings: Settings, name: str, contenders: list[Factory], **more: Any) -> Question:
    """Return a question about memory."""
    return Question(
        name,
        contenders,
        unit="memory",
        warm_up=0,
        repeat=min(settings.repeat, ROUNDS),
        **more,
    )


def saves(settings: Settings, storage: str) -> Question:
    """Ask for saving."""
    bound = BYTES_PER_THREAD * settings.most_threads
    peers = [
        PeerFactory(
            peer, partial(peer_saving, settings=settings, name=name, job=job, require=require)
        )
        for name, (peer, job, require) in PEER_SAVES.items()
    ]
    own = [partial(saving, settings=settings, name=name, job="save") for name in SAVES]
    own.append(partial(saving, settings=settings, name=ASYNC, job="save_async"))
    limits = {**dict.fromkeys(SAVES, bound), ASYNC: bound + stored_bytes(settings.nbytes)}
    targets = [Target(name, kind="seconds", bound=limit) for name, limit in limits.items()]
    targets += [Target("save, 1 shard", name, "fraction") for name in PEER_SAVES]
    return question(
        settings,
        f"saving {stored_bytes(settings.nbytes) >> 20} MiB",
        [*peers, *own],
        targets=targets,
        needs={SCRATCH: Dataset("empty", storage)},
    )


@case("P11", "peak extra memory")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask on the first kind of storage that is not made of memory."""
    storage = "disk" if "disk" in settings.storage else next(iter(settings.storage))
    yield saves(settings, storage)
    yield question(
        settings,
        f"opening {settings.tensors} tensors",
        [
            PeerFactory(tensorflow_peer.PEER, opening_with_tensorflow),
            partial(reading, job="open", name="open"),
            index_size,
        ],
        targets=[
            Target("open", INDEX_FILE, "fraction", INDEX_FACTOR),
            Target("open", "TF open", "fraction"),
        ],
        needs={"checkpoint": Dataset("small", storage, settings.tensors)},
    )
    largest = max(tensor_sizes(settings.nbytes))
    yield question(
        settings,
        f"streaming {stored_bytes(settings.nbytes) >> 20} MiB, prefetch {PREFETCH_BYTES >> 20}",
        [partial(reading, job="stream", name="stream", prefetch_bytes=PREFETCH_BYTES)],
        targets=[Target("stream", kind="seconds", bound=PREFETCH_BYTES + largest)],
        needs={"checkpoint": Dataset("large", storage, settings.nbytes)},
    )
