"""A made-up model to save: names, sizes and dtypes as a small language model has them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_BYTES", "Model", "make_model"]

MIN_BYTES = 1 << 20

_LAYERS = 12
_PARTS = 4
_PARTITIONED = "model/embedding/table"

# Width of the model from its bytes: parameters take 2 bytes as bfloat16 and 4 for their moments as
# float32, a layer has 12 width^2 of them, and the embedding 24 width^2 in bfloat16.
_BYTES_PER_SQUARE = (2 + 4) * 12 * _LAYERS + 2 * 24

# Values repeat from here on; no file system that compresses makes anything of them.
_NOISE_ITEMS = 1 << 20


class Model(NamedTuple):
    """Tensors in the order in which they are saved, and one that is saved in parts.

    Attributes
    ----------
    tensors : dict
        Whole tensors: arrays, and one list of strings.
    table_name, table
        The partitioned tensor, cut along its first dimension at multiples of `part_rows`.
    nbytes : int
        Bytes of all numbers.
    """

    tensors: dict[str, Any]
    table_name: str
    table: NDArray[Any]
    part_rows: int
    nbytes: int

    def parts(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give the slices of the partitioned tensor and the row at which each begins."""
        for start in range(0, len(self.table), self.part_rows):
            yield start, self.table[start : start + self.part_rows]


def make_model(nbytes: int) -> Model:
    """Make a model of about `nbytes`, at least 1 MiB of them."""
    width = max(int(math.sqrt(nbytes / _BYTES_PER_SQUARE)) // 16 * 16, 32)
    noise = _Noise(width)
    tensors: dict[str, Any] = {
        "global_step": np.int64(120_000),
        "learning_rate": np.float32(3e-4),
        "data/order": np.random.default_rng(1).permutation(np.int64(64 * width)),
    }
    for name, shape in _parameters(width):
        tensors[f"model/{name}"] = noise.take(shape, "bfloat16")
        tensors[f"optimizer/moments/{name}"] = noise.take(shape, "float32")
    vocabulary = 24 * width
    tensors["tokenizer/vocabulary"] = [f"token_{i:06d}" for i in range(vocabulary)]
    table = noise.take((vocabulary, width), "bfloat16")
    total = table.nbytes + sum(getattr(x, "nbytes", 0) for x in tensors.values())
    return Model(tensors, _PARTITIONED, table, vocabulary // _PARTS, total)


def _parameters(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for i in range(_LAYERS):
        layer = f"layer_{i:02d}"
        for part in ("query", "key", "value", "output"):
            yield f"{layer}/attention/{part}/kernel", (width, width)
            yield f"{layer}/attention/{part}/bias", (width,)
        yield f"{layer}/mlp/expand/kernel", (width, 4 * width)
        yield f"{layer}/mlp/expand/bias", (4 * width,)
        yield f"{layer}/mlp/contract/kernel", (4 * width, width)
        yield f"{layer}/mlp/contract/bias", (width,)
        for part in ("attention/norm", "mlp/norm"):
            yield f"{layer}/{part}/gamma", (width,)
            yield f"{layer}/{part}/beta", (width,)
    yield "norm/gamma", (width,)
    yield "norm/beta", (width,)


class _Noise:
    """Arrays of any shape from one block of random numbers: filling them costs a copy."""

    def __init__(self, seed: int) -> None:
        import ml_dtypes

        numbers = np.random.default_rng(seed).standard_normal(_NOISE_ITEMS, np.float32)
        self._blocks = {"float32": numbers, "bfloat16": numbers.astype(ml_dtypes.bfloat16)}
        self._start = 0

    def take(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Make an array of its own memory; each begins elsewhere in the block."""
        block = self._blocks[dtype]
        array = np.empty(math.prod(shape), block.dtype)
        self._start = (self._start + 7919) % (_NOISE_ITEMS // 2)
        source = block[self._start :]
        for begin in range(0, array.size, source.size):
            piece = array[begin : begin + source.size]
            piece[:] = source[: piece.size]
        return array.reshape(shape)
