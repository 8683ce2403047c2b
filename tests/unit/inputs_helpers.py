"""What the tests of inputs share: the dtypes by name, and checks of what `prepare` gives."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
from fastckpt import dtypes
from fastckpt.checkpoint.inputs import Input, prepare

ML_NAMES = [dtypes.tf_name(n) for n in dtypes.NUMBERS if n == 14 or n >= 24]
VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def dtype_named(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def assert_array(result: Input, name: str, expected: Any) -> None:
    """Check a plain tensor: the type, the shape, and the elements through the buffer protocol."""
    assert dtypes.tf_name(result.number) == name
    assert result.elements is None
    assert result.records is None
    assert result.array is not None
    # bool and ml_dtypes come as unsigned integers.
    assert (result.array.dtype.kind == "u") == (name in {*ML_NAMES, "bool"} or "uint" in name)
    memory = memoryview(result.array)
    assert result.shape == memory.shape == np.shape(expected)
    assert memory.itemsize == dtypes.item_size(result.number)
    swapped = result.array.byteswap() if not result.array.dtype.isnative else result.array
    assert swapped.tobytes() == np.asarray(expected).tobytes()


def assert_strings(result: Input, shape: tuple[int, ...], elements: list[bytes]) -> None:
    assert result == Input(dtypes.STRING, shape, None, elements, None)


def refusal(value: object, dtype: object = None) -> tuple[type[Exception], str]:
    """Give the class and the text of the error, which names the tensor."""
    with pytest.raises(fastckpt.CheckpointError) as caught:
        prepare("layer/w", value, dtype)
    assert caught.value.key == "layer/w"
    text = str(caught.value)
    assert text.startswith("tensor 'layer/w': ")
    return type(caught.value), text
