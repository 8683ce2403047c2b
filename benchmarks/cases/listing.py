"""P3: opening and listing many tensors.

The bulk contenders ask the core for all names and shapes at once; handles make a Python object for
each tensor, with dtype and offset at hand. TensorFlow lists names and shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fastckpt
from data import Dataset
from measure import Contender, Factory, Inputs, Question, Settings, Target, case
from peers import tensorflow_peer


def names(prefix: str) -> list[str]:
    """Open and list the names."""
    with fastckpt.open(prefix) as checkpoint:
        return list(checkpoint)


def handle_shapes(prefix: str) -> list[tuple[str, Any]]:
    """Open and ask a handle for each shape."""
    with fastckpt.open(prefix) as checkpoint:
        return [(tensor.name, tensor.shape) for tensor in checkpoint.tensors()]


def bulk_shapes(prefix: str) -> Any:
    """List names and shapes, by ``fastckpt.list_variables`` where it exists."""
    list_variables = getattr(fastckpt, "list_variables", None)
    if list_variables is not None:
        return list_variables(prefix)
    with fastckpt.open(prefix) as checkpoint:
        return [(x.name, x.shape) for x in checkpoint.tensors()]


WAYS: dict[str, Callable[[str], Any]] = {
    "open + names": names,
    "open + names + shapes": bulk_shapes,
    "open + handles + shapes": handle_shapes,
}
SPEEDUPS = {"open + names": 50.0, "open + names + shapes": 20.0, "open + handles + shapes": None}


def contender(name: str, dataset: str = "checkpoint", suffix: str = "") -> Factory:
    """Return the factory of one way to list."""
    way = WAYS[name]

    def make(inputs: Inputs) -> Contender:
        prefix = inputs[dataset]
        return Contender(name + suffix, lambda _: way(prefix))

    return make


def check(inputs: Inputs) -> None:
    """All ways agree."""
    listed = [(name, tuple(shape)) for name, shape in bulk_shapes(inputs["checkpoint"])]
    assert names(inputs["checkpoint"]) == [name for name, _ in listed]
    assert handle_shapes(inputs["checkpoint"]) == listed


def against_tensorflow(settings: Settings, storage: str) -> Question:
    """Ask TensorFlow too."""
    return Question(
        f"open and list {settings.tensors} tensors",
        [
            tensorflow_peer.by(tensorflow_peer.list_variables),
            tensorflow_peer.by(tensorflow_peer.shape_map),
            *(contender(name) for name in WAYS),
        ],
        [
            *(Target(name, "TF list_variables", bound=SPEEDUPS[name]) for name in WAYS),
            *(Target(name, "TF shape map") for name in WAYS),
        ],
        {"checkpoint": Dataset("small", storage, settings.tensors)},
        unit="runs",
        check=check,
    )


def growth(settings: Settings, storage: str) -> Question:
    """Compare ten times as many tensors with as many."""
    many = settings.tensors * 10
    return Question(
        f"open and list {many} tensors, time beside {settings.tensors}",
        [
            *(contender(name) for name in WAYS),
            *(contender(name, "large", ", x10") for name in WAYS),
        ],
        [Target(f"{name}, x10", name, "fraction", 13.0) for name in WAYS],
        {
            "checkpoint": Dataset("small", storage, settings.tensors),
            "large": Dataset("small", storage, many),
        },
        unit="runs",
    )


@case("P3", "open and list many small tensors")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask on the first kind of storage: the index is read into memory anyway."""
    storage = next(iter(settings.storage))
    yield against_tensorflow(settings, storage)
    yield growth(settings, storage)
