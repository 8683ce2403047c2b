"""What a tensor holds, in words: values as text or JSON, and what numbers amount to."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.cli.text import safe
from fastckpt.tools.stats import array_numbers

__all__ = ["json_values", "statistics", "values_text"]

Array = NDArray[Any]

# Beyond so many elements NumPy writes the first and last ones; strings are cut as well.
_MAX_ELEMENTS = 60
_MAX_STRING = 60

# First and last elements along each axis, by the number of axes: about _MAX_ELEMENTS in all.
_EDGE_ITEMS = {0: 3, 1: 3, 2: 3, 3: 2}

# Elements that are widened to float64 at a time.
_CHUNK = 1 << 20


def values_text(array: Array, *, full: bool, columns: int) -> str:
    """Write the values as NumPy does, strings as text where they are UTF-8."""

    def element(value: object) -> str:
        text = _string_text(value)
        return text if full or len(text) <= _MAX_STRING else f"{text[:_MAX_STRING]}…"

    return np.array2string(
        _readable(array),
        max_line_width=max(columns, 20),
        threshold=sys.maxsize if full else _MAX_ELEMENTS,
        edgeitems=_EDGE_ITEMS.get(array.ndim, 1),
        formatter={"object": element} if array.dtype == object else None,
        separator=" ",
    )


def statistics(array: Array, tf_dtype: str) -> dict[str, Any] | None:
    """Count and sum up numbers; None where the elements are not real numbers.

    Returns
    -------
    dict or None
        ``min``, ``max`` and ``mean`` of the finite elements, None where there is none; how many
        are ``zero``, ``nan`` and ``inf``.
    """
    numbers = array_numbers(array, tf_dtype)
    if numbers is None:
        return None
    mean = numbers.mean
    return {
        "min": numbers.min,
        "max": numbers.max,
        "mean": mean if mean is not None and math.isfinite(mean) else None,
        "zero": numbers.zeros,
        "nan": numbers.nans,
        "inf": numbers.infs,
    }


def json_values(array: Array, tf_dtype: str) -> Any:
    """Give the values as nested lists that JSON can hold.

    Strings that are not UTF-8 become ``{"hex": …}``, complex numbers ``[real, imaginary]``, and
    numbers that are not finite the words ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
    """
    wide = _wide_type(tf_dtype)
    return _json_value((array if wide is None else array.astype(wide)).tolist())


def _readable(array: Array) -> Array:
    """Give NumPy's own types where they can stand for those it cannot align."""
    if array.dtype.kind != "V" or array.size > _CHUNK:
        return array
    return array.astype(np.float32 if "float" in array.dtype.name else np.int8)


def _wide_type(tf_dtype: str) -> type[np.generic] | None:
    """The NumPy type that holds all values of a real type; those of ml_dtypes lack functions."""
    name = tf_dtype.removeprefix("q")
    if name.startswith(("float", "bfloat")):
        return np.float64
    if name.startswith("uint"):
        return np.uint64
    return np.int64 if name.startswith(("int", "bool")) else None


def _string_text(value: object) -> str:
    if not isinstance(value, bytes):
        return safe(repr(value))
    try:
        return safe(f'"{value.decode()}"')
    except UnicodeDecodeError:
        return repr(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_json_value(x) for x in value]
    if isinstance(value, bytes):
        return _json_string(value)
    if isinstance(value, complex):
        return [_json_value(value.real), _json_value(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _json_string(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
