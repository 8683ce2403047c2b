"""NumPy arrays as targets: read as they are, restored in place."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.protocol import Group, Pair, Target
from fastckpt.training.variables.slots import Slot

__all__ = ["ARRAYS", "ArrayTarget", "adapt"]

_OBJECT_KINDS = frozenset("OSUT")


class ArrayTarget(Target):
    """An ndarray, or what is in its place of the caller's dict by the time it is looked at."""

    __slots__ = ("slot",)

    def __init__(
        self,
        array: NDArray[Any],
        *,
        slot: Slot | None = None,
        name: str | None = None,
        trainable: bool = True,
        identity: Hashable = "",
    ) -> None:
        self.slot = slot
        super().__init__(
            ARRAYS,
            array,
            tf_dtype="",
            shape=None,
            name=name,
            trainable=trainable,
            identity=identity,
        )
        _ = self.tf_dtype  # raises for what no checkpoint can hold

    @property
    def value(self) -> Any:
        """The ndarray as it is now; a NumPy scalar where arithmetic on a 0-d array left one."""
        current = self.origin if self.slot is None else self.slot.get(self.origin)
        return current if isinstance(current, np.ndarray | np.generic) else self.origin

    @property
    def tf_dtype(self) -> str:
        """TensorFlow's name of the array's dtype."""
        return _tf_dtype(self.value.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def form(self) -> tuple[str, tuple[int, ...]]:
        """Dtype and shape of the array."""
        value = self.value
        return _tf_dtype(value.dtype), value.shape


class _Arrays(Group):
    def read(
        self,
        targets: Sequence[Any],
        session: Any = None,  # noqa: ARG002
        *,
        share: bool = False,  # noqa: ARG002
    ) -> list[Any]:
        return [target.value for target in targets]

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:  # noqa: ARG002
        for target, value in pairs:
            array = _array_of(target)
            if not isinstance(array, np.ndarray):
                continue
            if not array.flags.writeable:
                raise InvalidArgumentError(
                    f"the array of {target.label} is read-only and cannot be restored in place; "
                    "pass a copy to the Saver: np.array(array)",
                    key=target.key,
                )
            if array.dtype.kind in _OBJECT_KINDS:
                _as_text(target, array, value)

    def assign(self, pairs: Sequence[Pair], session: Any = None) -> list[Any]:  # noqa: ARG002
        return [_write(target, value) for target, value in pairs]


ARRAYS = _Arrays()


def adapt(value: NDArray[Any], slot: Slot | None) -> list[Target]:
    """Make a target of an ndarray."""
    if isinstance(value, np.ma.MaskedArray):
        raise UnsupportedError(
            "masked arrays cannot be saved, a checkpoint has no masks; save array.data and "
            "array.mask, each under a key of its own"
        )
    return [ArrayTarget(value, slot=slot)]


def _array_of(target: Any) -> Any:
    return target.value


def _write(target: Any, value: Any) -> Any:
    array = target.value
    if not isinstance(array, np.ndarray):
        scalar = np.asarray(value, array.dtype)[()]
        target.slot.put(scalar)
        return scalar
    if array.dtype.kind in _OBJECT_KINDS:
        array[...] = _as_text(target, array, value)
    elif array.dtype.names:
        array[array.dtype.names[0]][...] = np.reshape(value, array.shape)
    else:
        shaped = value if value.shape == array.shape else np.reshape(value, array.shape)
        np.copyto(array, shaped, casting="equiv")
    return array


def _as_text(target: Target, array: NDArray[Any], value: Any) -> NDArray[Any]:
    """Give strings as the array holds them; an error where it cannot hold them all."""
    items = np.asarray(value, object)
    if array.dtype.kind == "O":
        return items.reshape(array.shape)
    try:
        wanted = [_decoded(x, array.dtype) for x in items.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"a string of {target.label} is not UTF-8, so that an array of {array.dtype} cannot "
            "hold it; make the array one of objects: array.astype(object)",
            key=target.key,
        ) from error
    found = np.array(wanted, array.dtype)
    if found.tolist() != wanted:
        raise InvalidArgumentError(
            f"an array of {array.dtype} cannot hold the strings of {target.label} whole: they are "
            "longer, or end in NULs; make it an array of objects: array.astype(object)",
            key=target.key,
        )
    return found.reshape(array.shape)


def _decoded(item: bytes, dtype: np.dtype[Any]) -> bytes | str:
    return item if dtype.kind == "S" else item.decode("utf-8")


# NumPy takes microseconds to name a dtype, and every look at a target asks for it.
@functools.lru_cache(128)
def _tf_dtype(dtype: np.dtype[Any]) -> str:
    # TensorFlow's own form of a quantised array: one field, named after the type.
    if dtype.names is not None and len(dtype.names) == 1 and dtype.names[0].startswith("q"):
        return dtypes.tf_name(dtypes.number_of(dtype.names[0]))
    return dtypes.tf_name(dtypes.number_of(dtype))
