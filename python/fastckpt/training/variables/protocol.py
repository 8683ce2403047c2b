"""What a Saver saves and restores: targets, and the groups that read and assign them at once."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from fastckpt import dtypes

__all__ = ["Group", "Pair", "SliceInfo", "StaticShape", "Target"]

# A shape as far as it is known: None for a dimension that is not, None for no rank at all.
StaticShape = tuple[int | None, ...] | None


class SliceInfo(NamedTuple):
    """Where one slice of a partitioned variable lies.

    Attributes
    ----------
    full_name : str
        Key of the whole tensor.
    full_shape : tuple of int
        Shape of the whole tensor.
    start : tuple of int
        Where the slice begins along each dimension; it is as long as the target's shape.
    """

    full_name: str
    full_shape: tuple[int, ...]
    start: tuple[int, ...]


class Group:
    """Targets of one framework that are read and assigned together.

    One group stands for one adapter and one context, such as one TensorFlow graph; targets of one
    group go to :meth:`read` and :meth:`assign` in one call. Groups compare by identity.

    Attributes
    ----------
    replaces : bool
        The values are immutable, as JAX arrays are: :meth:`assign` gives new objects, to be handed
        to the caller (see `restored`).
    needs_session : bool
        :meth:`read` and :meth:`assign` need a ``tf.compat.v1.Session`` of the targets' graph.
    keeps : bool
        :meth:`assign` may go on using the memory of writable arrays that it is given, so that
        handing over owned arrays saves a copy. Read-only views are copied in any case.
    shared_names : bool
        Names need not be unique in the framework, so that a list may hold an object twice and two
        objects of one name are a mistake of their own: eager variables of TensorFlow.
    """

    replaces: bool = False
    needs_session: bool = False
    keeps: bool = False
    shared_names: bool = False

    def is_in(self, graph: Any) -> bool:  # noqa: ARG002
        """Whether the targets are variables of this graph of TensorFlow."""
        return False

    def read(
        self, targets: Sequence[Target], session: Any = None, *, share: bool = False
    ) -> list[Any]:
        """Read the values, in the order of `targets`.

        Parameters
        ----------
        targets : sequence of Target
            Of this group.
        session : tf.compat.v1.Session, optional
            Where the values of graph variables live.
        share : bool
            The caller is done with the values before the program goes on. A session then gives
            reference variables without a copy too; its other values are always apart.

        Returns
        -------
        list of array-like
            What ``CheckpointWriter.add`` takes together with the target's `tf_dtype`. NumPy arrays
            and CPU tensors of torch come without a copy: they change when the program goes on.

        Raises
        ------
        UninitializedError
            A variable of a graph has no value yet.
        """
        raise NotImplementedError

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:
        """Raise for what :meth:`assign` would refuse, such as a read-only array; writes nothing.

        Dtypes and shapes are not looked at: :meth:`Target.mismatch` does that.
        """

    def assign(self, pairs: Sequence[Pair], session: Any = None) -> list[Any]:
        """Write the values into their targets, all of them or with an error that says which.

        Parameters
        ----------
        pairs : sequence of (Target, ndarray)
            Values of the target's dtype and shape; for strings arrays of ``bytes`` objects. They
            may be read-only views of a checkpoint: they are copied.
        session : tf.compat.v1.Session, optional
            Where the values of graph variables live.

        Returns
        -------
        list
            The object that holds each value afterwards, in the order of `pairs`: the same as
            before, or a new one where the group `replaces`.
        """
        raise NotImplementedError


class Target:
    """One thing that can be saved and restored under one key.

    Parameters
    ----------
    group : Group
        What reads and assigns it.
    origin : object
        The array, tensor or variable itself.
    tf_dtype : str
        TensorFlow's name of its dtype, such as ``"qint8"``.
    shape : tuple or None
        Its shape; None where it is statically unknown, a None inside for a dimension that is.
    name : str, optional
        The key it has unless told otherwise: a variable's name without ``":0"``. None where the
        object has none, such as a bare ndarray.
    slice : SliceInfo, optional
        Where it lies, for a slice of a partitioned variable; its key is ``slice.full_name``.
    device : str
        Canonical device, such as ``"/job:worker/device:GPU:0"``, or ``""``.
    trainable : bool
        Whether an optimizer changes it.
    identity : hashable, optional
        Equal for targets that are the same thing; None where two keys for one thing are in order.
        The object itself by default.

    Attributes
    ----------
    key : str or None
        What it is stored under, once `name_targets` has said so. An adapter sets it where an
        object decides that by itself, as a SaveableObject of TensorFlow does.
    """

    __slots__ = (
        "_shape", "_tf_dtype", "device", "group", "identity", "key", "name", "origin", "slice",
        "trainable",
    )  # fmt: skip

    def __init__(
        self,
        group: Group,
        origin: Any,
        *,
        tf_dtype: str,
        shape: StaticShape,
        name: str | None = None,
        slice: SliceInfo | None = None,  # noqa: A002 - the word of the format
        device: str = "",
        trainable: bool = True,
        identity: Hashable = "",
    ) -> None:
        self.group = group
        self.origin = origin
        self._tf_dtype = tf_dtype
        self._shape = shape
        self.name = name
        self.key: str | None = None
        self.slice = slice
        self.device = device
        self.trainable = trainable
        self.identity = id(origin) if identity == "" else identity

    @property
    def tf_dtype(self) -> str:
        """TensorFlow's name of the dtype."""
        return self._tf_dtype

    @property
    def shape(self) -> StaticShape:
        """The shape, as far as it is known."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype for `tf_dtype`: ``object`` for strings, int8 for qint8."""
        return dtypes.numpy_dtype(dtypes.number_of(self.tf_dtype))

    @property
    def full_shape(self) -> StaticShape:
        """Shape of the whole tensor that is stored under the key."""
        return self.shape if self.slice is None else self.slice.full_shape

    @property
    def form(self) -> tuple[str, StaticShape]:
        """`tf_dtype` and `full_shape`: a stored tensor of the very same two fits."""
        return self.tf_dtype, self.full_shape

    def mismatch(
        self, tf_dtype: str, shape: Iterable[int], *, reshape: bool = False
    ) -> str | None:
        """Say why a stored tensor cannot be restored into this target; None where it can.

        Parameters
        ----------
        tf_dtype : str
            TensorFlow's name of the stored dtype.
        shape : iterable of int
            Shape of the whole stored tensor.
        reshape : bool
            Only the number of elements has to agree.

        Notes
        -----
        The sentences are TensorFlow's in short; the key is for the caller to add. Nothing is ever
        cast. A resource variable of another static shape is refused as well, where TensorFlow lets
        it take the stored shape without a word.
        """
        stored, mine = tuple(shape), self.full_shape
        if not self.accepts_dtype(tf_dtype):
            return (
                f"expected dtype {self.tf_dtype} does not equal original dtype {tf_dtype}; "
                f"make the variable {tf_dtype}"
            )
        if mine is None or mine == stored or _fits(mine, stored):
            return None
        if reshape and _same_size(mine, stored):
            return None
        if reshape:
            return (
                f"Input to reshape is a tensor with {_size(stored)} values, but the requested "
                f"shape {_text(mine)} has {_size(mine)}"
            )
        if self.slice is not None:
            return (
                f"Shape in shape_and_slice spec {_text(mine)} does not match the shape stored in "
                f"checkpoint: {_text(stored)}"
            )
        return (
            "Assign requires shapes of both tensors to match. "
            f"lhs shape= {_text(mine)} rhs shape= {_text(stored)}"
        )

    @property
    def label(self) -> str:
        """What messages call it."""
        return repr(self.key or self.name or type(self.origin).__name__)

    def with_key(self, key: str, *, whole: bool = False) -> Self:
        """Give a copy stored under `key`, unless it has one; with `whole` not as a slice."""
        target = copy.copy(self)
        target.key = self.key or key
        if whole:
            target.slice = None
        return target

    def accepts_dtype(self, tf_dtype: str) -> bool:
        """Whether a stored tensor of this dtype can be restored into the target."""
        return self.tf_dtype == tf_dtype

    def __repr__(self) -> str:
        shape = "unknown" if self.shape is None else _text(self.shape)
        return f"<{type(self).__name__} {self.name!r} {self.tf_dtype} {shape}>"


Pair = tuple[Target, Any]


def _fits(mine: tuple[int | None, ...], stored: tuple[int, ...]) -> bool:
    if len(mine) != len(stored):
        return False
    return all(x is None or x == y for x, y in zip(mine, stored, strict=True))


def _same_size(mine: tuple[int | None, ...], stored: tuple[int, ...]) -> bool:
    return None in mine or _size(mine) == _size(stored)


def _size(shape: tuple[int | None, ...]) -> int:
    count = 1
    for x in shape:
        count *= 1 if x is None else x
    return count


def _text(shape: tuple[int | None, ...]) -> str:
    return f"[{','.join('?' if x is None else str(x) for x in shape)}]"
