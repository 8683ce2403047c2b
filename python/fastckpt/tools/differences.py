"""Where two arrays of one dtype and shape differ, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference", "Tolerance", "compare"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart two real or complex numbers may be: ``|a - b| <= atol + rtol * |b|``.

    With both zero, elements are the same when their bits are.
    """

    atol: float = 0.0
    rtol: float = 0.0

    def __bool__(self) -> bool:
        return self.atol > 0 or self.rtol > 0


@dataclass(slots=True)
class Difference:
    """How two tensors differ.

    Attributes
    ----------
    elements : int
        Elements that are not the same.
    max_abs : int, float or None
        The largest absolute difference; NaN where one side is NaN and the other is not. None for
        what is not numbers.
    """

    elements: int = 0
    max_abs: float | None = None

    def merge(self, other: Difference) -> None:
        """Take another piece of the tensors in."""
        self.elements += other.elements
        if other.max_abs is None:
            return
        known = self.max_abs
        if known is None or other.max_abs != other.max_abs or other.max_abs > known:
            self.max_abs = other.max_abs


def compare(a: Array, b: Array, tolerance: Tolerance) -> Difference:
    """Compare two flat arrays of one dtype, element by element.

    Notes
    -----
    Costs one pass over both where they are the same.
    """
    if a.dtype.hasobject:
        return Difference(sum(x != y for x, y in zip(a.tolist(), b.tolist(), strict=True)))
    differs = _bits_differ(a, b)
    if not differs.any():
        return Difference()
    off, size = _distance(a[differs], b[differs])
    if tolerance:
        # Of NaN no bound can be made; where both sides are, they are no distance apart.
        within = (off <= tolerance.atol + tolerance.rtol * size) | (off == 0)
        off = off[~within]
    if not off.size:
        return Difference()
    return Difference(off.size, _largest(off))


def _bits_differ(a: Array, b: Array) -> NDArray[np.bool_]:
    size = a.dtype.itemsize
    unit = np.dtype(f"u{min(size, 8)}")
    differs: NDArray[np.bool_] = a.view(unit) != b.view(unit)
    return differs if size <= 8 else np.any(differs.reshape(-1, size // 8), axis=1)


def _distance(a: Array, b: Array) -> tuple[Array, Array]:
    """Give the absolute differences, and the absolute values of `b`, in wide types."""
    kind, name = a.dtype.kind, a.dtype.name
    if kind in "bu" or name.startswith("uint"):
        wide = a.astype(np.uint64), b.astype(np.uint64)
        return np.where(wide[0] > wide[1], wide[0] - wide[1], wide[1] - wide[0]), wide[1]
    if kind == "i" or name.startswith("int"):
        a, b = a.astype(np.int64), b.astype(np.int64)
        # Modulo 2^64, where the largest difference fits.
        off = np.where(a > b, a.view("u8") - b.view("u8"), b.view("u8") - a.view("u8"))
        return off, np.abs(b.astype(np.float64))
    number = np.complex128 if kind == "c" else np.float64
    a, b = a.astype(number), b.astype(number)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(a - b)
    # NaNs of other bits, zeros of the other sign, and the same infinity are no distance apart.
    off[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    return off, np.abs(b)


def _largest(off: Array) -> float:
    largest: float = off.max().item()
    return largest
