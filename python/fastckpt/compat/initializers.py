"""What gives variables their first values: constants, and random numbers of NumPy."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.compat.dtypes import as_dtype
from fastckpt.graph.tensor_types import TensorShape

__all__ = [
    "constant_initializer",
    "ones_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "spread",
    "truncated_normal_initializer",
    "zeros_initializer",
]


def spread(array: NDArray[Any], shape: Any) -> NDArray[Any]:
    """Bring a single value, or as many as the shape has, into a shape."""
    sizes = [-1 if size is None else size for size in TensorShape(shape).as_list()]
    return array.reshape(sizes) if array.size > 1 else np.full(sizes, array)


# ruff: noqa: N801 - TensorFlow's names; they are classes there too, and programs pass them as such
class constant_initializer:
    """Fills with a value, or with the values of an array."""

    def __init__(self, value: Any = 0, dtype: Any = None, **_: Any) -> None:
        self._value = value
        self._dtype = dtype

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> NDArray[Any]:
        """Give the value for a shape."""
        number = int(as_dtype(dtype or self._dtype or np.float32))
        array = np.asarray(self._value).astype(dtypes.numpy_dtype(number))
        return spread(array, shape)


class zeros_initializer(constant_initializer):
    """Fills with zeros."""

    def __init__(self, dtype: Any = None) -> None:
        super().__init__(0, dtype)


class ones_initializer(constant_initializer):
    """Fills with ones."""

    def __init__(self, dtype: Any = None) -> None:
        super().__init__(1, dtype)


class _Random(abc.ABC):
    def __init__(self, seed: Any, dtype: Any) -> None:
        self._seed = seed
        self._dtype = dtype

    @abc.abstractmethod
    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[Any]:
        """Draw numbers."""

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> NDArray[Any]:
        number = int(as_dtype(dtype or self._dtype or np.float32))
        size = tuple(x or 0 for x in TensorShape(shape).as_list())
        drawn = np.asarray(self.draw(np.random.default_rng(self._seed), size))
        return drawn.astype(dtypes.numpy_dtype(number))


class random_normal_initializer(_Random):
    """Draws from a normal distribution; not the numbers of TensorFlow."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(seed, dtype)
        self.mean = mean
        self.stddev = stddev

    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[Any]:
        """Draw numbers."""
        return generator.normal(self.mean, self.stddev, size)


class truncated_normal_initializer(random_normal_initializer):
    """Draws from a normal distribution what is not further from the mean than two deviations."""

    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[Any]:
        """Draw numbers."""
        drawn = np.asarray(generator.normal(size=size))
        while (far := np.abs(drawn) > 2).any():
            drawn[far] = generator.normal(size=np.count_nonzero(far))
        return drawn * self.stddev + self.mean


class random_uniform_initializer(_Random):
    """Draws from an interval; not the numbers of TensorFlow."""

    def __init__(
        self, minval: float = 0, maxval: float | None = 1, seed: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(seed, dtype)
        self.minval = minval
        self.maxval = 1 if maxval is None else maxval

    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[Any]:
        """Draw numbers."""
        return generator.uniform(self.minval, self.maxval, size)
