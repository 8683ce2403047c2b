"""What the tests of conversions share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

import fastckpt

RNG = np.random.default_rng(17)

# Every dtype of numbers, and the bits of a byte that count.
NUMBERS: dict[str, tuple[Any, int]] = {
    **{
        name: (np.dtype(name), 0xFF)
        for name in (
            *("float16", "float32", "float64", "complex64", "complex128"),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        )
    },
    "bool": (np.dtype(bool), 1),
    **{
        name: (np.dtype(getattr(ml_dtypes, name)), 0xFF)
        for name in (
            *("bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz"),
            *("float8_e4m3b11fnuz", "float8_e5m2fnuz"),
        )
    },
    "float4_e2m1fn": (np.dtype(ml_dtypes.float4_e2m1fn), 0x0F),
    "int4": (np.dtype(ml_dtypes.int4), 0x0F),
    "uint4": (np.dtype(ml_dtypes.uint4), 0x0F),
    "int2": (np.dtype(ml_dtypes.int2), 0x03),
    "uint2": (np.dtype(ml_dtypes.uint2), 0x03),
    "qint8": (np.dtype(np.int8), 0xFF),
    "quint8": (np.dtype(np.uint8), 0xFF),
    "qint16": (np.dtype(np.int16), 0xFF),
    "quint16": (np.dtype(np.uint16), 0xFF),
    "qint32": (np.dtype(np.int32), 0xFF),
}

SHAPES: tuple[tuple[int, ...], ...] = ((), (0, 3), (6,), (2, 3, 4))


def random_bits(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """An array of random bits, not all of which are numbers."""
    numpy_dtype, mask = NUMBERS[dtype]
    raw = RNG.bytes(int(np.prod(shape)) * numpy_dtype.itemsize)
    return (np.frombuffer(raw, np.uint8) & mask).view(numpy_dtype).reshape(shape)


def all_numbers(names: Any = NUMBERS) -> dict[str, Any]:
    """Every dtype in every shape, as `fastckpt.save` takes it."""
    return {
        f"{dtype}/{shape}": (random_bits(dtype, shape), dtype)
        for dtype in names
        for shape in SHAPES
        # Half bytes come in pairs.
        if not (dtype == "float4_e2m1fn" and shape == ())
    }


def save(prefix: Path, tensors: Any) -> Path:
    fastckpt.save(prefix, tensors, sync=False)
    return prefix


def assert_holds(prefix: Path | str, tensors: dict[str, Any]) -> None:
    """Check names, dtypes, shapes and every bit of a checkpoint."""
    with fastckpt.open(prefix) as checkpoint:
        assert checkpoint.verify().ok
        assert sorted(checkpoint) == sorted(tensors)
        for name, (array, dtype) in tensors.items():
            tensor = checkpoint.tensor(name)
            assert (tensor.tf_dtype, tensor.shape) == (dtype, array.shape), name
            assert tensor.read().tobytes() == array.tobytes(), name
