"""What has a value without a session, as tensors and variables of TensorFlow 2 have."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.compat import modes

__all__ = ["Valued"]


class Valued(abc.ABC):
    """Something with a value that NumPy and Python take."""

    @abc.abstractmethod
    def value_eagerly(self) -> NDArray[Any]:
        """Give the value itself, as it is without a session."""

    def numpy(self) -> Any:
        """Copy the value; of what has no dimensions, a scalar of NumPy or ``bytes``."""
        value = self.value_eagerly().copy()
        return value if value.ndim else value[()]

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,  # noqa: FBT001 - NumPy's protocol
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError("what TensorFlow's names stand for is copied into arrays")
        return np.array(self.value_eagerly(), dtype)

    def __int__(self) -> int:
        return int(self.value_eagerly())

    def __float__(self) -> float:
        return float(self.value_eagerly())

    def __bool__(self) -> bool:
        # In a graph TensorFlow refuses; there it says that something is there.
        return bool(modes.in_graph() or self.value_eagerly())
