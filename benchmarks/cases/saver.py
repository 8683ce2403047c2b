"""P16: ``Saver`` beside TensorFlow's: through one session, and of NumPy arrays alone.

Both Savers have the same variables in the same session, save without sync, keep two checkpoints
and write the state file; each restores what it saved. *With a meta graph*: as by default, where
the export of the graph is most of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import numpy as np

import native
from data import Dataset, stored_bytes
from fastckpt.training.saver import Saver
from measure import Contender, Inputs, PeerFactory, Question, Settings, Target, case
from peers import tensorflow_peer
from scratch import SCRATCH, Scratch, tensors

# A quarter of what other cases write: several copies of it stand in memory.
SHARE = 4
SMALL = 300
KEPT = 2
STOCK, SESSION, ARRAYS = "TF Saver", "Saver, session", "Saver, arrays"
OPTIONS: dict[str, Any] = {"max_to_keep": KEPT}


class Setting:
    """Variables in a session, and the Savers of them."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        self._v1 = tensorflow_peer.load_module().compat.v1
        self.graph = self._v1.Graph()
        with self.graph.as_default():
            made = {
                name: self._v1.get_variable(
                    name, value.shape, value.dtype, self._v1.zeros_initializer()
                )
                for name, value in arrays.items()
            }
            self.savers = {
                STOCK: self._v1.train.Saver(made, **OPTIONS),
                SESSION: Saver(made, **OPTIONS, sync=False),
            }
            self.session = self._v1.Session()
        for name, variable in made.items():
            feed = {variable.initializer.inputs[1]: arrays[name]}
            self.session.run(variable.initializer, feed)


@cache
def arrays_of(kind: str, size: int) -> dict[str, Any]:
    """Return what is saved: the large checkpoint, or tensors of 4000 bytes."""
    if kind == "large":
        return {name: value.copy() for name, value in tensors("large", size).items()}
    return {f"layer{i:03d}/w": np.full(1000, i, np.float32) for i in range(size)}


@cache
def setting_of(kind: str, size: int) -> Setting:
    """Return the one session of a process."""
    return Setting(arrays_of(kind, size))


def contender(
    inputs: Inputs, name: str, kind: str, size: int, *, restores: bool, meta: bool
) -> Contender:
    """Save under the next number, or restore what was saved once."""
    scratch = Scratch.of(inputs, stored_bytes(size) if kind == "large" else size * 4000)
    prefix = scratch.path(name.replace(", ", "-").replace(" ", "-"))
    session: Any = None
    if name == ARRAYS:
        saver: Any = Saver(arrays_of(kind, size), **OPTIONS, sync=False)
    else:
        setting = setting_of(kind, size)
        session, saver = setting.session, setting.savers[name]
    steps = iter(range(1 << 30))

    def save(_: Any) -> Any:
        return saver.save(session, prefix, next(steps), write_meta_graph=meta)

    def restore(_: Any) -> None:
        saver.restore(session, saved)

    def in_graph(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Without its graph as the default one TensorFlow takes itself for eager."""

        def run(state: Any) -> Any:
            with nullcontext() if session is None else session.graph.as_default():
                return work(state)

        return run

    if restores:
        saved = in_graph(save)(None)
    peer = tensorflow_peer.PEER if name == STOCK else "fastckpt"
    return Contender(name, in_graph(restore if restores else save), peer=peer)


def question(
    storage: str, kind: str, size: int, title: str, *, restores: bool, meta: bool = False
) -> Question:
    """Ask for one piece of work of all three."""
    make = partial(contender, kind=kind, size=size, restores=restores, meta=meta)
    return Question(
        title,
        [
            PeerFactory(tensorflow_peer.PEER, partial(make, name=STOCK)),
            PeerFactory(tensorflow_peer.PEER, partial(make, name=SESSION)),
            partial(make, name=ARRAYS),
        ],
        [Target(SESSION, STOCK, "fraction", 1.0), Target(ARRAYS, STOCK)],
        {SCRATCH: Dataset("empty", storage)},
        work=stored_bytes(size) if kind == "large" else size,
        before_sample=partial(native.claim_memory, stored_bytes(size) * 9 // 8)
        if kind == "large"
        else None,
        unit="bytes" if kind == "large" else "tensors",
    )


@case("P16", "Saver.save and restore beside TensorFlow's")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask on the first kind of storage."""
    storage = next(iter(settings.storage))
    where = settings.storage[storage]
    nbytes = settings.nbytes // SHARE
    for kind, size in (("large", nbytes), ("small", 10 if settings.smoke else SMALL)):
        for restores in (False, True):
            what = "restore" if restores else "save"
            yield question(storage, kind, size, f"{what}, {kind}, {where}", restores=restores)
    size = 10 if settings.smoke else SMALL
    yield question(
        storage,
        "small",
        size,
        f"save with a meta graph, small, {where}",
        restores=False,
        meta=True,
    )
