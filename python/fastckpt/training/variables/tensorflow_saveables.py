"""SaveableObjects of TensorFlow, such as those of lookup tables in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.protocol import Pair, SliceInfo, Target
from fastckpt.training.variables.tensorflow_graph import GraphGroup, fed, run
from fastckpt.training.variables.tensorflow_variables import device_of, tensorflow

__all__ = ["from_saveable"]


class _Saveable(GraphGroup):
    """One SaveableObject: several tensors, restored by one operation of its own making.

    The operation is added to the graph at once, as TensorFlow's Saver does.
    """

    def __init__(self, saveable: Any, tensors: Sequence[Any]) -> None:
        graph = tensors[0].graph
        super().__init__(graph)
        tf1 = tensorflow().compat.v1
        with graph.as_default(), tf1.name_scope("fastckpt/"):
            self._sources = [tf1.placeholder(x.dtype.base_dtype, None) for x in tensors]
            restored = saveable.restore(self._sources, None)
        self._operation: str = getattr(restored, "op", restored).name

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:
        """Raise unless all tensors are there, which its operation takes at once."""
        self.session(session)
        if len(pairs) != len(self._sources):
            raise InvalidArgumentError(
                f"{pairs[0][0].label} is one of {len(self._sources)} tensors of a SaveableObject, "
                "which are restored together; the checkpoint does not hold them all",
                key=pairs[0][0].key,
            )

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:
        """Run the operation with all values fed."""
        feed = {}
        for target, value in pairs:
            source = self._sources[target.position]
            feed[source.name] = fed(np.dtype(source.dtype.as_numpy_dtype), value)
        run(self.session(session), [self._operation], feed)
        return [target.origin for target, _ in pairs]


class _SaveableTarget(Target):
    __slots__ = ("element_name", "is_ref", "position")

    def __init__(self, group: _Saveable, saveable: Any, position: int, tensor: Any) -> None:
        spec = saveable.specs[position]
        self.position = position
        self.element_name = tensor.name
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
    tensors = [spec.tensor for spec in saveable.specs]
    if not tensors or any(x is None or hasattr(x, "numpy") for x in tensors):
        raise UnsupportedError(
            f"the SaveableObject {saveable.name!r} belongs to no graph; save the variables that "
            "it stands for"
        )
    group = _Saveable(saveable, tensors)
    return [_SaveableTarget(group, saveable, i, tensor) for i, tensor in enumerate(tensors)]


def _parsed(spec: str) -> SliceInfo | None:
    """Read a slice specification such as ``"5 2 0,3:0,2"``."""
    if not spec:
        return None
    *full_shape, extents = spec.split(" ")
    starts = (0 if x == "-" else int(x.partition(",")[0]) for x in extents.split(":"))
    return SliceInfo("", tuple(int(x) for x in full_shape), tuple(starts))
