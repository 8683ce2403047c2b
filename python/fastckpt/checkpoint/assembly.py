"""Putting a tensor, or a region of it, together from its stored parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt._core import BundleReader
from fastckpt.checkpoint.region import Range, Selection, intersect
from fastckpt.errors import InvalidArgumentError, TensorNotFoundError, UnsupportedError

Array = NDArray[Any]
# One number for each dimension.
Positions = tuple[int, ...]

# No entry has this id.
MISSING = -1

# Below this many bytes, threads of their own cost more than they save.
_PARALLEL_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """One element of a variant tensor, as stored.

    Attributes
    ----------
    type_name : str
        The C++ type that can decode it, such as ``"tensorflow::TensorList"``.
    data : bytes
        The serialised VariantTensorDataProto.
    """

    type_name: str
    data: bytes


class Part(NamedTuple):
    """One stored slice: its place in the full tensor, and the entry that holds its bytes.

    The id is MISSING where the index lacks the slice.
    """

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    id: int


class _Piece(NamedTuple):
    part: Part
    inside: list[Range]
    target: tuple[Any, ...]


def find_parts(bundle: BundleReader, entry_id: int) -> list[Part]:
    """Find the stored slices of an entry, in stored order."""
    return [
        Part(starts, sizes, MISSING if part is None else part)
        for starts, sizes, part in bundle.parts(entry_id)
    ]


def missing_slice(name: str) -> TensorNotFoundError:
    """Make the error for a slice that the tensor's entry lists and the index lacks."""
    return TensorNotFoundError(
        f"a stored slice of tensor {name!r} is missing from the index; the other slices can be "
        "read by indexing",
        key=name,
    )


def read_selection(
    bundle: BundleReader, parts: list[Part], selection: Selection, number: int, name: str
) -> Array:
    """Read the selected positions into a fresh array, from the parts that hold them.

    Raises
    ------
    InvalidArgumentError
        The stored slices do not cover the selection.
    """
    pieces = [
        _Piece(part, found[0], tuple(found[1]))
        for part in parts
        if (found := intersect(selection.ranges, part.starts, part.sizes)) is not None
    ]
    _check_covered(pieces, selection.counts, name)
    # An empty part has no elements to select, and may have a checksum all the same.
    empty = [part.id for part in parts if 0 in part.sizes]
    needed = empty + [piece.part.id for piece in pieces]
    if MISSING in needed:
        raise missing_slice(name)
    for entry in needed:
        bundle.check_present(entry)
    bundle.ensure_all_verified(empty)
    out = empty_array(selection.counts, dtypes.numpy_dtype(number), name)
    if out.dtype.hasobject:
        _fill_objects(bundle, number, pieces, out)
    elif _stacks(pieces, selection.counts):
        _fill_stack(bundle, pieces, out)
    else:
        _fill_pieces(bundle, pieces, out)
    return out


def bytes_of(array: Array) -> NDArray[np.uint8]:
    """View a non-empty C-contiguous array as its bytes; ml_dtypes export no buffer themselves."""
    return array.reshape(-1).view(np.uint8)


def empty_array(shape: tuple[int, ...], dtype: np.dtype[Any], name: str | None = None) -> Array:
    """Allocate an array; UnsupportedError where NumPy has no array of that shape."""
    try:
        return np.empty(shape, dtype)
    except ValueError as error:
        raise UnsupportedError(f"NumPy cannot hold shape {shape}: {error}", key=name) from error


def object_array(elements: list[Any], shape: tuple[int, ...]) -> Array:
    """Make an object array of `shape` from its elements in C order."""
    array = empty_array((len(elements),), np.dtype(object))
    array[:] = elements
    return array.reshape(shape)


def _check_covered(pieces: list[_Piece], counts: tuple[int, ...], name: str) -> None:
    wanted = math.prod(counts)
    held = sum(math.prod(r.size for r in piece.inside) for piece in pieces)
    if held != wanted:
        raise InvalidArgumentError(
            f"the stored slices of tensor {name!r} hold {held} of the {wanted} elements asked "
            "for; the checkpoint does not have sufficient slices",
            key=name,
        )


def _stacks(pieces: list[_Piece], counts: tuple[int, ...]) -> bool:
    """Whether every piece is a whole part that fills whole rows of the result."""
    return all(
        tuple(r.size for r in piece.inside) == piece.part.sizes
        and piece.part.sizes[1:] == counts[1:]
        and all(r.step == 1 for r in piece.inside)
        for piece in pieces
    )


def _fill_stack(bundle: BundleReader, pieces: list[_Piece], out: Array) -> None:
    """Copy whole parts, checking them in the same pass."""
    filled = [piece for piece in pieces if out[*piece.target, ...].nbytes]
    targets = [bytes_of(out[*piece.target, ...]) for piece in filled]
    bundle.load_into([piece.part.id for piece in filled], targets).wait()


def _fill_pieces(bundle: BundleReader, pieces: list[_Piece], out: Array) -> None:
    bundle.ensure_regions_verified(map(_region, pieces))

    def fill(piece: _Piece) -> None:
        bundle.read_region(*_region(piece), out[piece.target])

    if len(pieces) > 1 and out.nbytes >= _PARALLEL_BYTES:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(bundle.num_threads) as pool:
            list(pool.map(fill, pieces))
    else:
        for piece in pieces:
            fill(piece)


def _region(piece: _Piece) -> tuple[int, Positions, Positions, Positions]:
    """The piece as the core names it: entry id, starts, counts and steps."""
    starts, counts, steps = zip(*piece.inside, strict=True)
    return piece.part.id, starts, counts, steps


def _fill_objects(bundle: BundleReader, number: int, pieces: list[_Piece], out: Array) -> None:
    for part, inside, target in pieces:
        stored = object_array(_elements(bundle, number, part.id), part.sizes)
        wanted = tuple(slice(s, s + (n - 1) * step + 1, step) for s, n, step in inside)
        out[target] = stored[wanted]


def _elements(bundle: BundleReader, number: int, entry_id: int) -> list[Any]:
    if number == dtypes.STRING:
        return bundle.strings(entry_id)
    return [
        VariantRecord(type_name.decode("utf-8", "backslashreplace"), data)
        for type_name, data in bundle.variants(entry_id)
    ]
