"""SaveableObjects of TensorFlow, such as those of lookup tables, in a graph or eager."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.protocol import Group, Pair, SliceInfo, Target
from fastckpt.training.variables.slots import Slot
from fastckpt.training.variables.tensorflow_graph import GraphGroup, fed, run
from fastckpt.training.variables.tensorflow_variables import adapt, device_of, tensorflow

__all__ = ["from_saveable", "from_trackable"]


class _Saveable(GraphGroup):
    """One SaveableObject: several tensors, restored by one operation of its own making.

    The operation is added to the graph at once, as TensorFlow's Saver does.
    """

    def __init__(self, saveable: Any, tensors: Sequence[Any]) -> None:
        graph = tensors[0].graph
        super().__init__(graph, keeps=True)
        tf1 = tensorflow().compat.v1
        with graph.as_default(), tf1.name_scope("fastckpt/"):
            self._sources = [tf1.placeholder(x.dtype.base_dtype, None) for x in tensors]
            self._operation: str = tf1.group(saveable.restore(self._sources, None)).name

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:
        """Raise unless all tensors are there, which its operation takes at once."""
        self.session(session)
        _check_all(pairs, len(self._sources))

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:
        """Run the operation with all values fed."""
        sources = [self._sources[target.position] for target, _ in pairs]
        values = [
            fed(np.dtype(source.dtype.as_numpy_dtype), value, keeps=self.keeps)
            for source, (_, value) in zip(sources, pairs, strict=True)
        ]
        run(self.session(session), [self._operation], [x.name for x in sources], values)
        return [target.origin for target, _ in pairs]


class _EagerSaveable(Group):
    """One SaveableObject outside of graphs: it restores when it is asked to."""

    def __init__(self, saveable: Any) -> None:
        self._saveable = saveable

    def read(
        self,
        targets: Sequence[Any],
        session: Any = None,  # noqa: ARG002
        *,
        share: bool = False,  # noqa: ARG002
    ) -> list[Any]:
        values = [self._saveable.specs[target.position].tensor for target in targets]
        return [value.numpy() for value in values]

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:  # noqa: ARG002
        _check_all(pairs, len(self._saveable.specs))

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:  # noqa: ARG002
        constant = tensorflow().constant
        by_position = sorted(pairs, key=lambda pair: int(pair[0].position))
        self._saveable.restore(
            [constant(value, target.tf_dtype) for target, value in by_position], None
        )
        return [target.origin for target, _ in pairs]


class _SaveableTarget(Target):
    __slots__ = ("element_name", "is_ref", "position")

    def __init__(self, group: Group, saveable: Any, position: int, element: str) -> None:
        spec = saveable.specs[position]
        self.position = position
        self.element_name = element
        self.is_ref = False
        super().__init__(
            group,
            saveable,
            tf_dtype=spec.dtype.base_dtype.name,
            shape=None,
            name=saveable.name,
            slice=_parsed(spec.slice_spec),
            device=device_of(spec.device),
            trainable=False,
            identity=None if saveable.op is None else (id(saveable.op), position),
        )
        self.key = spec.name


def from_saveable(saveable: Any) -> list[Target]:
    """Make a target of each tensor of a SaveableObject; its own names are their keys."""
    if tensorflow().executing_eagerly() and _are_made_when_asked_for(saveable.specs):
        eager = _EagerSaveable(saveable)
        return [_SaveableTarget(eager, saveable, i, "") for i in range(len(saveable.specs))]
    tensors = [spec.tensor for spec in saveable.specs]
    if not tensors or any(x is None for x in tensors):
        raise UnsupportedError(f"the SaveableObject {saveable.name!r} has no tensor to save")
    if any(hasattr(x, "numpy") for x in tensors):
        eager = _EagerSaveable(saveable)
        return [_SaveableTarget(eager, saveable, i, "") for i in range(len(tensors))]
    group = _Saveable(saveable, tensors)
    return [_SaveableTarget(group, saveable, i, x.name) for i, x in enumerate(tensors)]


def from_trackable(value: Any, slot: Slot | None) -> list[Target] | None:
    """Make targets of what a trackable object says is to be saved; None where it says nothing.

    In a list its parts are named after themselves, under a key after that key.
    """
    utilities = importlib.import_module("tensorflow.python.training.saving.saveable_object_util")
    if slot is None:
        parts = utilities.saveable_objects_from_trackable(value, tf1_saver=True).values()
        found = [adapt(part() if callable(part) else part, None) or [] for part in parts]
    else:
        saveables = utilities.saveable_objects_for_op(value, slot.key)
        found = [from_saveable(saveable) for saveable in saveables]
    return [target for targets in found for target in targets] or None


def _are_made_when_asked_for(specs: Sequence[Any]) -> bool:
    """Whether to ask for a tensor computes it anew, which is then left to the save."""
    return bool(specs) and all(callable(getattr(spec, "_tensor", None)) for spec in specs)


def _check_all(pairs: Sequence[Pair], count: int) -> None:
    if len(pairs) != count:
        raise InvalidArgumentError(
            f"{pairs[0][0].label} is one of {count} tensors of a SaveableObject, which are "
            "restored together; the checkpoint does not hold them all",
            key=pairs[0][0].key,
        )


def _parsed(spec: str) -> SliceInfo | None:
    """Read a slice specification such as ``"5 2 0,3:0,2"``."""
    if not spec:
        return None
    *full_shape, extents = spec.split(" ")
    starts = (0 if x == "-" else int(x.partition(",")[0]) for x in extents.split(":"))
    return SliceInfo("", tuple(int(x) for x in full_shape), tuple(starts))
