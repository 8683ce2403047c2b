"""``fastckpt.Variable``: an array with a name, which a Saver without a `var_list` finds."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint import lists
from fastckpt.checkpoint.inputs import prepare
from fastckpt.errors import InvalidArgumentError
from fastckpt.training.variables import collection
from fastckpt.training.variables.arrays import ArrayTarget
from fastckpt.training.variables.protocol import Target

__all__ = ["Variable", "adapt", "initial_array"]

# What TensorFlow makes of Python's numbers, where NumPy takes the wider type.
_NARROWED = {np.dtype("float64"): np.dtype("float32"), np.dtype("int64"): np.dtype("int32")}


class Variable:
    """A value under a name: what a ``tf.Variable`` is to a Saver, without TensorFlow.

    Parameters
    ----------
    value : array-like
        The initial value; it is copied. Python numbers and lists of them become float32 and
        int32 (int64 where int32 is too small), as in TensorFlow; arrays keep their dtype. Text
        becomes an array of ``bytes`` objects.
    name : str, optional
        The key it is saved under; ``"Variable"`` by default. Where a name was given before,
        ``_1``, ``_2`` … is put behind it, as TensorFlow does.
    trainable : bool
        Whether an optimizer is meant to change it.
    dtype : str or dtype-like, optional
        Convert the initial value to this type.

    Attributes
    ----------
    name : str
        Its key, without the ``":0"`` of TensorFlow.
    trainable : bool
        As given.

    Notes
    -----
    Variables are found by a Saver as long as something refers to them; see
    :func:`reset_default_collection`. Shape and dtype never change. Variables are equal when they
    are the same one, and can be put in a set.

    Examples
    --------
    >>> w = Variable([1.0, 2.0], name="w")
    >>> w.assign(w.value + 1)
    <Variable 'w' shape=(2,) dtype=float32, numpy=array([2., 3.], dtype=float32)>
    """

    __slots__ = ("__weakref__", "_value", "name", "trainable")

    def __init__(
        self,
        value: Any,
        name: str | None = None,
        trainable: bool = True,  # noqa: FBT001, FBT002 - TensorFlow's order of arguments
        dtype: Any = None,
    ) -> None:
        self._value = initial_array(value, dtype)
        self.name = collection.unique_name("Variable" if name is None else name)
        self.trainable = bool(trainable)
        collection.add(self)

    @property
    def value(self) -> NDArray[Any]:
        """The array itself, not a copy: what is written into it is the variable's value.

        Setting it assigns.
        """
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(value)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype; ``object`` for strings."""
        return self._value.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self._value.shape

    def numpy(self) -> NDArray[Any]:
        """Copy the value."""
        return self._value.copy()

    def assign(self, value: Any) -> Self:
        """Replace the value, and give the variable.

        Raises
        ------
        InvalidArgumentError
            Another shape (nothing is broadcast), or a dtype that does not convert within its kind:
            float64 becomes float32, but no float becomes an int.
        """
        array = _as_array(value)
        if array.shape != self.shape:
            raise InvalidArgumentError(
                f"Cannot assign value to variable {self.name!r}: Shape mismatch. The variable "
                f"shape {self.shape}, and the assigned value shape {array.shape} are incompatible",
                key=self.name,
            )
        self._check_kind(array)
        self._value[...] = array
        return self

    def assign_add(self, delta: Any) -> Self:
        """Add to the value, which `delta` must have the shape of."""
        return self.assign(self._value + self._same_shape(delta))

    def assign_sub(self, delta: Any) -> Self:
        """Subtract from the value, which `delta` must have the shape of."""
        return self.assign(self._value - self._same_shape(delta))

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,  # noqa: FBT001 - NumPy's protocol
    ) -> NDArray[Any]:
        if copy is False and dtype is not None and np.dtype(dtype) != self.dtype:
            raise ValueError(f"an array of {dtype} cannot be had without a copy")
        # NumPy before 2 has no copy=None.
        array = self._value if dtype is None else self._value.astype(dtype, copy=False)
        return array.copy() if copy and array is self._value else array

    def __repr__(self) -> str:
        return (
            f"<Variable {self.name!r} shape={self.shape} dtype={self.dtype.name}, "
            f"numpy={self._value!r}>"
        )

    def _same_shape(self, delta: Any) -> NDArray[Any]:
        array = _as_array(delta)
        if array.shape != self.shape:
            raise InvalidArgumentError(
                f"{self.name!r} has shape {self.shape}, and what is added {array.shape}",
                key=self.name,
            )
        self._check_kind(array)
        return array

    def _check_kind(self, array: NDArray[Any]) -> None:
        text = array.dtype.hasobject != self.dtype.hasobject
        if text or not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise InvalidArgumentError(
                f"a value of {array.dtype.name} does not become the {self.dtype.name} of "
                f"variable {self.name!r}; convert it first: value.astype({self.dtype.name!r})",
                key=self.name,
            )


def adapt(variable: Variable) -> list[Target]:
    """Make a target of a variable."""
    return [
        ArrayTarget(
            variable.value,
            name=variable.name,
            trainable=variable.trainable,
            # Not its number: a Saver keeps what it saves alive.
            identity=variable,
        )
    ]


def initial_array(value: Any, dtype: Any) -> NDArray[Any]:
    """Make the array of a variable from its initial value, as :class:`Variable` says."""
    if dtype is not None:
        number = getattr(dtype, "as_datatype_enum", None) or dtypes.number_of(dtype)
        return _as_array(value).astype(dtypes.numpy_dtype(number))
    array = _as_array(value)
    if lists.is_literal(value) and not _holds_arrays(value):
        array = _narrowed(array)
    return array.astype(array.dtype.newbyteorder("="))


def _as_array(value: Any) -> NDArray[Any]:
    found = prepare("value", value)
    if found.array is not None:
        # Bool and ml_dtypes come as unsigned integers of the same width.
        return found.array.view(_plain_dtype(found.number, found.array.dtype))
    if found.elements is None:
        raise InvalidArgumentError("variants cannot be the value of a variable")
    array = np.empty(len(found.elements), object)
    array[:] = found.elements
    return array.reshape(found.shape)


def _plain_dtype(number: int, stored: np.dtype[Any]) -> np.dtype[Any]:
    dtype = dtypes.numpy_dtype(number)
    return dtype.newbyteorder(stored.byteorder) if stored.byteorder in "<>" else dtype


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_arrays(x) for x in value)
    return isinstance(value, np.ndarray | np.generic)


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    target = _NARROWED.get(array.dtype)
    if target is None:
        return array
    narrow = array.astype(target)
    # An int that int32 cannot hold makes it int64, as it does in TensorFlow.
    return array if target.kind == "i" and (narrow != array).any() else narrow
