"""Static shape and dtype of a tensor in a graph, by TensorFlow's names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, overload

from fastckpt import protos
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.dtypes import DType
from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.op_registry import REF

__all__ = ["TensorDType", "TensorShape"]


class TensorDType(DType):
    """Dtype of a tensor, reference types included: the part of ``tf.DType`` that names it.

    Parameters
    ----------
    number : int
        A DataType number of TensorFlow; above 100 the reference form.

    Raises
    ------
    InvalidArgumentError
        No such DataType.

    Examples
    --------
    >>> TensorDType(101).name, TensorDType(101).base_dtype == "float32", TensorDType(101) == 1
    ('float32_ref', True, False)
    """

    __slots__ = ("_offset",)

    def __init__(self, number: int) -> None:
        self._offset = REF if REF < number < 2 * REF else 0
        super().__init__(number - self._offset)

    @property
    def name(self) -> str:
        """TensorFlow's name, such as ``"float32"`` or ``"float32_ref"``."""
        return super().name + ("_ref" if self._offset else "")

    @property
    def as_datatype_enum(self) -> int:
        """TensorFlow's number."""
        return self._number + self._offset

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy scalar type of the values, see :class:`fastckpt.dtypes.DType`."""
        return self.base_dtype.as_numpy_dtype if self._offset else super().as_numpy_dtype

    @property
    def base_dtype(self) -> TensorDType:
        """The same type, not by reference."""
        return TensorDType(self._number)

    @property
    def is_ref(self) -> bool:
        """Whether tensors of it refer to the storage of a variable."""
        return bool(self._offset)

    def __eq__(self, other: object) -> bool:
        if not self._offset:
            return super().__eq__(other)
        return getattr(other, "as_datatype_enum", other) in (self.as_datatype_enum, self.name)

    def __hash__(self) -> int:
        return hash(self.as_datatype_enum)

    def __int__(self) -> int:
        return self.as_datatype_enum


class TensorShape:
    """What is known of a tensor's shape: the part of ``tf.TensorShape`` that tells it.

    Parameters
    ----------
    dims : None, int, iterable of int or None, TensorShapeProto or TensorShape
        Sizes, None for one that is not known; None alone where not even the rank is.

    Notes
    -----
    Iterating and indexing give int or None. Equal to any sequence of the same sizes.

    Examples
    --------
    >>> TensorShape([None, 3]).as_list(), TensorShape(None).rank, TensorShape([2]) == (2,)
    ([None, 3], None, True)
    """

    __slots__ = ("_dims",)

    def __init__(self, dims: Any) -> None:
        self._dims = _sizes(dims)

    @property
    def rank(self) -> int | None:
        """Number of dimensions; None where it is not known."""
        return None if self._dims is None else len(self._dims)

    @property
    def ndims(self) -> int | None:
        """The same as `rank`."""
        return self.rank

    @property
    def dims(self) -> list[int | None] | None:
        """Sizes; None where the rank is not known."""
        return None if self._dims is None else list(self._dims)

    def as_list(self) -> list[int | None]:
        """Give the sizes, None for those not known; an InvalidArgumentError without a rank."""
        return list(self._known("as_list() is not defined on an unknown TensorShape."))

    def as_proto(self) -> Any:
        """Give a TensorShapeProto."""
        proto = protos.message_class("TensorShapeProto")()
        if self._dims is None:
            proto.unknown_rank = True
        for size in self._dims or ():
            proto.dim.add(size=-1 if size is None else size)
        return proto

    def is_fully_defined(self) -> bool:
        """Whether every size is known."""
        return self._dims is not None and None not in self._dims

    def num_elements(self) -> int | None:
        """Give the number of elements; None where a size is not known."""
        if self._dims is None or None in self._dims:
            return None
        return math.prod(size for size in self._dims if size is not None)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor can have this shape and the other."""
        left, right = self._dims, _sizes(other)
        if left is None or right is None:
            return True
        return len(left) == len(right) and all(
            a == b or a is None or b is None for a, b in zip(left, right, strict=True)
        )

    def __len__(self) -> int:
        return len(self._known("Cannot take the length of shape with unknown rank."))

    def __iter__(self) -> Iterator[int | None]:
        return iter(self._known("Cannot iterate over a shape with unknown rank."))

    @overload
    def __getitem__(self, key: int) -> int | None: ...

    @overload
    def __getitem__(self, key: slice) -> TensorShape: ...

    def __getitem__(self, key: int | slice) -> int | TensorShape | None:
        if self._dims is None:
            return TensorShape(None) if isinstance(key, slice) else None
        return TensorShape(self._dims[key]) if isinstance(key, slice) else self._dims[key]

    def __bool__(self) -> bool:
        return self._dims is not None

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == _sizes(other)
        except (InvalidArgumentError, TypeError):
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._dims)

    def __repr__(self) -> str:
        return f"TensorShape({self.dims})"

    def __str__(self) -> str:
        return "<unknown>" if self._dims is None else str(self._dims)

    def _known(self, message: str) -> tuple[int | None, ...]:
        if self._dims is None:
            raise InvalidArgumentError(message)
        return self._dims


def _sizes(dims: Any) -> tuple[int | None, ...] | None:
    """Sizes as they are kept; negative ones are not known."""
    if dims is None or isinstance(dims, TensorShape):
        return None if dims is None else dims._dims  # noqa: SLF001 - of this class
    if hasattr(dims, "unknown_rank"):
        return None if dims.unknown_rank else tuple(_size(dim.size) for dim in dims.dim)
    if isinstance(dims, int):
        return (_size(dims),)
    if isinstance(dims, str) or not isinstance(dims, Iterable):
        raise WrongTypeError(f"not a shape: {dims!r}; pass a list of int or None")
    return tuple(map(_size, dims))


def _size(size: Any) -> int | None:
    # A Dimension of TensorFlow 1 has its size in an attribute.
    size = getattr(size, "value", size)
    return None if size is None or size < 0 else int(size)
