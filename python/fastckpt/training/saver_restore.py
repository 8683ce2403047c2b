"""How a Saver's variables get their values: all is looked at before anything is assigned."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastckpt import dtypes
from fastckpt._core import BundleReader
from fastckpt.checkpoint.bulk import owned_arrays, verified_arrays
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.graph.objects_message import OBJECT_GRAPH_KEY
from fastckpt.training.saver_objects import map_names
from fastckpt.training.saver_report import RestoreReport, complaint, left_out
from fastckpt.training.variables import Target, assign_values

__all__ = ["assign_stored", "holds_objects", "restore_into"]

_Named = Mapping[str, Sequence[Target]]
_Rows = Sequence[tuple[Target, int]]

_TF_NAMES = {number: dtypes.tf_name(number) for number in dtypes.NUMBERS}

_log = logging.getLogger("fastckpt")


def holds_objects(path: str) -> bool:
    """Whether a checkpoint is one of tf.train.Checkpoint."""
    with open_checkpoint(path) as checkpoint:
        return OBJECT_GRAPH_KEY in checkpoint


def restore_into(
    named: _Named,
    path: str,
    session: Any = None,
    *,
    reshape: bool = False,
    strict: bool = True,
    num_threads: int | None = None,
) -> tuple[RestoreReport, dict[str, Any]]:
    """Restore variables from a checkpoint.

    Parameters
    ----------
    named : mapping of str to list of Target
        What is wanted, by the key it is stored under.
    path : str
        As `existing_checkpoint` gives it.
    session : tf.compat.v1.Session, optional
        Where the values of graph variables live.
    reshape : bool
        A stored tensor of as many elements fits.
    strict : bool
        Raise unless everything can be restored; nothing is assigned then. Otherwise restore what
        can be.
    num_threads : int, optional
        Threads that read.

    Returns
    -------
    RestoreReport
        Without `values`.
    dict of str to object
        For each restored key what holds its value now, where immutable values were replaced; else
        empty.

    Raises
    ------
    TensorNotFoundError, InvalidArgumentError
        Names are missing; tensors do not fit. The message has all of them.
    DataLossError, CheckpointNotFoundError
        Stored bytes are damaged or missing; nothing was assigned.
    """
    with open_checkpoint(path, num_threads=num_threads) as checkpoint:
        found = _find(checkpoint, {key: key for key in named})
        if len(found) < len(named) and OBJECT_GRAPH_KEY in checkpoint:
            found = _find_by_objects(checkpoint, named, strict=strict)
        report = _compare(checkpoint.bundle, named, found, reshape=reshape)
        if not report.ok or not strict:
            wanted = {checkpoint.bundle.name(x) for x in found.values()} | {OBJECT_GRAPH_KEY}
            report.unexpected = [name for name in checkpoint if name not in wanted]
        if strict and not report.ok:
            raise complaint(checkpoint, report)
        if not report.ok:
            _log.warning("%s", left_out(checkpoint, report))
            found = {key: found[key] for key in report.restored}
        return report, assign_stored(checkpoint.bundle, found, named, session, reshape=reshape)


def assign_stored(
    bundle: BundleReader,
    found: Mapping[str, int],
    named: _Named,
    session: Any = None,
    *,
    reshape: bool = False,
) -> dict[str, Any]:
    """Read the entries of all keys, then assign them to targets that they fit.

    Gives what holds each value where immutable ones were replaced, else nothing.
    """
    rows = [(target, entry) for key, entry in found.items() for target in named[key]]
    values = _read(bundle, rows, reshape=reshape)
    targets = [target for target, _ in rows]
    holders = assign_values(list(zip(targets, values, strict=True)), session)
    if not any(group.replaces for group in {target.group for target in targets}):
        return {}
    remaining = iter(holders)
    return {key: _one_or_all(named[key], remaining) for key in found}


def _find(checkpoint: Checkpoint, stored_names: Mapping[str, str]) -> dict[str, int]:
    """Give the entry of each key whose stored name the checkpoint has."""
    ids = checkpoint.bundle.find_all(stored_names.values())
    return {key: x for key, x in zip(stored_names, ids, strict=True) if x is not None}


def _find_by_objects(checkpoint: Checkpoint, named: _Named, *, strict: bool) -> dict[str, int]:
    """Find what tf.train.Checkpoint stored, by the names that the variables had then."""
    from fastckpt.graph.objects import names_to_keys

    keys = map_names(list(named), names_to_keys(checkpoint), strict=strict)
    _log.warning(
        "Restoring an object-based checkpoint using a name-based saver. This may be somewhat "
        "fragile: names of variables depend on the order in which they were made. Where it gives "
        "the wrong values, pass a var_list whose keys are those of the checkpoint."
    )
    return _find(checkpoint, keys)


def _compare(
    bundle: BundleReader, named: _Named, found: Mapping[str, int], *, reshape: bool
) -> RestoreReport:
    report = RestoreReport(missing=[key for key in named if key not in found])
    stored = bundle.types_and_shapes(found.values())
    for key, (number, shape) in zip(found, stored, strict=True):
        form = _TF_NAMES[number], shape
        for target in named[key]:
            # Nearly all have the very form, and asking for a reason takes much longer.
            reason = None if target.form == form else target.mismatch(*form, reshape=reshape)
            if reason is not None:
                report.mismatched[key] = reason
                break
        else:
            report.restored.append(key)
    return report


def _read(bundle: BundleReader, rows: _Rows, *, reshape: bool) -> list[Any]:
    """Read, and verify, what each target is to have: views to be copied, or owned arrays."""
    values: list[Any] = [None] * len(rows)
    owned = [i for i, (x, _) in enumerate(rows) if x.slice is None and x.group.keeps]
    viewed = [i for i, (x, _) in enumerate(rows) if x.slice is None and not x.group.keeps]
    for places, read in ((owned, owned_arrays), (viewed, verified_arrays)):
        arrays = read(bundle, [rows[i][1] for i in places])
        for i, array in zip(places, arrays, strict=True):
            values[i] = _shaped(rows[i][0], array) if reshape else array
    for i, (target, entry) in enumerate(rows):
        if target.slice is not None:
            values[i] = StoredTensor(bundle, entry, bundle.name(entry))[_region(target)]
    return values


def _shaped(target: Target, array: Any) -> Any:
    shape = target.shape
    return array if shape is None or None in shape else array.reshape(shape)


def _region(target: Target) -> tuple[slice, ...]:
    """Where a slice lies in the stored tensor."""
    starts = target.slice.start if target.slice else ()
    sizes = target.shape or ()
    return tuple(
        slice(start, start + (size or 0)) for start, size in zip(starts, sizes, strict=True)
    )


def _one_or_all(targets: Sequence[Target], holders: Iterator[Any]) -> Any:
    """Take the holders of one key: of its one target, or of all its slices."""
    return next(holders) if len(targets) == 1 else [next(holders) for _ in targets]
