"""How a Saver's variables get their values: all is looked at before anything is assigned."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastckpt.checkpoint.bulk import owned_arrays, verified_arrays
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.graph.objects_message import OBJECT_GRAPH_KEY
from fastckpt.training.saver_objects import map_names
from fastckpt.training.saver_report import RestoreReport, complaint, left_out
from fastckpt.training.variables import Target, assign_values

__all__ = ["holds_objects", "restore_into"]

_Named = Mapping[str, Sequence[Target]]

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
        For each restored key what holds its value now.

    Raises
    ------
    TensorNotFoundError, InvalidArgumentError
        Names are missing; tensors do not fit. The message has all of them.
    DataLossError, CheckpointNotFoundError
        Stored bytes are damaged or missing; nothing was assigned.
    """
    with open_checkpoint(path, num_threads=num_threads) as checkpoint:
        found = _find(checkpoint, named)
        if len(found) < len(named) and OBJECT_GRAPH_KEY in checkpoint:
            found = _find_by_objects(checkpoint, named, strict=strict)
        report = _compare(named, found, reshape=reshape)
        if not report.ok or not strict:
            wanted = {handle.name for handle in found.values()} | {OBJECT_GRAPH_KEY}
            report.unexpected = [name for name in checkpoint if name not in wanted]
        if strict and not report.ok:
            raise complaint(checkpoint, report)
        if not report.ok:
            _log.warning("%s", left_out(checkpoint, report))
        holders = _assign({key: found[key] for key in report.restored}, named, session)
    return report, holders


def _find(checkpoint: Checkpoint, named: _Named) -> dict[str, StoredTensor]:
    return {key: checkpoint.tensor(key) for key in named if key in checkpoint}


def _find_by_objects(
    checkpoint: Checkpoint, named: _Named, *, strict: bool
) -> dict[str, StoredTensor]:
    """Find what tf.train.Checkpoint stored, by the names that the variables had then."""
    from fastckpt.graph.objects import names_to_keys

    keys = map_names(list(named), names_to_keys(checkpoint), strict=strict)
    _log.warning(
        "Restoring an object-based checkpoint using a name-based saver. This may be somewhat "
        "fragile: names of variables depend on the order in which they were made. Where it gives "
        "the wrong values, pass a var_list whose keys are those of the checkpoint."
    )
    return {
        name: checkpoint.tensor(key) for name, key in keys.items() if key in checkpoint
    }  # fmt: skip


def _compare(named: _Named, found: Mapping[str, StoredTensor], *, reshape: bool) -> RestoreReport:
    report = RestoreReport()
    for key, targets in named.items():
        handle = found.get(key)
        if handle is None:
            report.missing.append(key)
            continue
        reasons = (x.mismatch(handle.tf_dtype, handle.shape, reshape=reshape) for x in targets)
        reason = next(filter(None, reasons), None)
        if reason is None:
            report.restored.append(key)
        else:
            report.mismatched[key] = reason
    return report


def _assign(found: Mapping[str, StoredTensor], named: _Named, session: Any) -> dict[str, Any]:
    """Read all values, then assign them; give what holds them."""
    values = _read(found, named)
    targets = [target for key in found for target in named[key]]
    holders = iter(assign_values(list(zip(targets, values, strict=True)), session))
    return {key: _one_or_all([next(holders) for _ in named[key]]) for key in found}


def _read(found: Mapping[str, StoredTensor], named: _Named) -> list[Any]:
    """Read, and verify, what each target of these keys is to have."""
    whole = [key for key in found if named[key][0].slice is None]
    arrays = _read_whole({key: found[key] for key in whole}, named)
    return [
        _shaped(target, arrays[key]) if target.slice is None else handle[_region(target)]
        for key, handle in found.items()
        for target in named[key]
    ]


def _read_whole(found: Mapping[str, StoredTensor], named: _Named) -> dict[str, Any]:
    """Read tensors that are wanted whole: views to be copied, or arrays that are handed over."""
    owned = {key: x for key, x in found.items() if all(y.group.keeps for y in named[key])}
    viewed = {key: x for key, x in found.items() if key not in owned}
    arrays = dict(zip(viewed, verified_arrays(list(viewed.values())), strict=True))
    return arrays | dict(zip(owned, owned_arrays(list(owned.values())), strict=True))


def _shaped(target: Target, array: Any) -> Any:
    if target.shape is None or None in target.shape or array.shape == target.shape:
        return array
    return array.reshape(target.shape)


def _region(target: Target) -> tuple[slice, ...]:
    """Where a slice lies in the stored tensor."""
    starts = target.slice.start if target.slice else ()
    sizes = target.shape or ()
    return tuple(
        slice(start, start + (size or 0)) for start, size in zip(starts, sizes, strict=True)
    )


def _one_or_all(holders: list[Any]) -> Any:
    return holders[0] if len(holders) == 1 else holders
