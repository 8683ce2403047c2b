"""Checkpoints under other names, and without some of their tensors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastckpt.checkpoint.inputs import check_name
from fastckpt.checkpoint.listing import list_rows
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import InvalidArgumentError
from fastckpt.names import meta_file
from fastckpt.progress import ProgressLike
from fastckpt.storage.destination import absolute
from fastckpt.tools import object_graph as graphs
from fastckpt.tools.averaging import average
from fastckpt.tools.object_graph import OBJECT_GRAPH, Policy
from fastckpt.tools.patterns import choose
from fastckpt.tools.rename_rules import Rules, new_names
from fastckpt.tools.rewriting import check_destination, rewrite

__all__ = ["Surgery", "average", "drop", "keep", "rename"]

Path = str | os.PathLike[str]

# How many names a message lists.
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Surgery:
    """What an operation made of a checkpoint, or would make of it.

    Attributes
    ----------
    source, destination : str
        Prefixes.
    tensors : int
        Tensors of the result.
    nbytes : int
        Their stored bytes.
    renamed : tuple of (str, str)
        Old and new name of each tensor whose name changes.
    dropped : tuple of str
        Tensors that the result lacks.
    notes : tuple of str
        What to know before the result is used.
    """

    source: str
    destination: str
    tensors: int
    nbytes: int
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def rename(
    source: Path,
    destination: Path,
    rules: Rules,
    *,
    object_graph: Policy = "refuse",
    dry_run: bool = False,
    **options: Any,
) -> Surgery:
    r"""Write a checkpoint anew with other names.

    Parameters
    ----------
    source : str or PathLike
        What :func:`fastckpt.open` takes.
    destination : str or PathLike
        Prefix of the result. It may be that of `source`, which is replaced at one stroke once the
        result is complete.
    rules : mapping, str, iterable of str, or callable
        A mapping of exact names, rules of text such as ``"old=new"``, ``"old/=new/"`` and
        ``r"s|^tower_\d+/||"``, or a function from old to new names; see
        :func:`fastckpt.tools.rename_rules.new_names`.
    object_graph : {"refuse", "update", "drop", "keep"}
        What becomes of the object graph of a ``tf.train.Checkpoint`` that names tensors which
        change. "refuse" raises; "update" lets the graph follow, so that TensorFlow restores the
        result into the same objects; "drop" leaves it out, which makes a name-based checkpoint;
        "keep" leaves it as it is, and TensorFlow will not find those tensors.
    dry_run : bool
        Find out all that there is to find out, and write nothing.
    **options
        ``num_shards`` (None: as many data files as now), ``sync``, ``num_threads`` and
        ``progress``, as in :func:`fastckpt.save`.

    Returns
    -------
    Surgery

    Raises
    ------
    TensorNotFoundError
        A rule applies to no tensor.
    InvalidArgumentError
        Wrong rules; two tensors would have the same name; an object graph in the way.
    DataLossError, CheckpointNotFoundError
        `source` is damaged or lacks a shard; what was at `destination` is intact.

    Notes
    -----
    Tensors pass one after the other and are verified on their way; slices of partitioned ones stay
    slices. Memory: 64 MiB, and one tensor where it has no view.

    Examples
    --------
    >>> rename("bert", "bert-new", ["bert/=encoder/", "s/gamma$/scale/"])  # doctest: +SKIP
    """
    with open_checkpoint(source) as checkpoint:
        names = [name for name in checkpoint if name != OBJECT_GRAPH]
        changed = new_names(names, rules, checkpoint.prefix)
        return _operate(
            checkpoint,
            destination,
            changed,
            object_graph,
            dry_run=dry_run,
            label="rename",
            **options,
        )


def drop(
    source: Path,
    destination: Path,
    patterns: str | Sequence[str],
    *,
    object_graph: Policy = "refuse",
    dry_run: bool = False,
    **options: Any,
) -> Surgery:
    """Write a checkpoint anew without some tensors, such as those of an optimizer.

    Parameters
    ----------
    source, destination, object_graph, dry_run, **options
        As in :func:`rename`.
    patterns : str or sequence of str
        Names, scopes (all below them), or patterns with ``*`` and ``?``, which match slashes too.

    Returns
    -------
    Surgery

    Raises
    ------
    TensorNotFoundError
        A pattern matches nothing.
    InvalidArgumentError, DataLossError, CheckpointNotFoundError
        As :func:`rename`.

    Examples
    --------
    >>> drop("model.ckpt-7", "slim", ["*/Adam", "*/Adam_1", "beta?_power"])  # doctest: +SKIP
    """
    with open_checkpoint(source) as checkpoint:
        gone = set(choose(checkpoint, _as_list(patterns)))
        left = {name: name for name in checkpoint if name not in gone}
        if OBJECT_GRAPH in gone:
            # Asked for by name.
            object_graph = "drop"
        return _operate(
            checkpoint, destination, left, object_graph, dry_run=dry_run, label="drop", **options
        )


def keep(
    source: Path,
    destination: Path,
    patterns: str | Sequence[str],
    *,
    object_graph: Policy = "refuse",
    dry_run: bool = False,
    **options: Any,
) -> Surgery:
    """Write a checkpoint anew with some of its tensors alone.

    Parameters
    ----------
    source, destination, object_graph, dry_run, **options
        As in :func:`rename`.
    patterns : str or sequence of str
        As in :func:`drop`.

    Returns
    -------
    Surgery

    Raises
    ------
    TensorNotFoundError, InvalidArgumentError, DataLossError, CheckpointNotFoundError
        As :func:`drop`.
    """
    with open_checkpoint(source) as checkpoint:
        wanted = set(choose(checkpoint, _as_list(patterns)))
        left = {name: name for name in checkpoint if name in wanted}
        return _operate(
            checkpoint, destination, left, object_graph, dry_run=dry_run, label="keep", **options
        )


def _operate(
    checkpoint: Checkpoint,
    destination: Path,
    changed: Mapping[str, str],
    policy: Policy,
    *,
    dry_run: bool,
    label: str,
    num_shards: int | None = None,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> Surgery:
    path = check_destination(checkpoint, destination)
    moved = {old: new for old, new in changed.items() if old != OBJECT_GRAPH}
    for new in moved.values():
        check_name(new)
    graph, notes = _graph(checkpoint, moved, policy)
    if not moved:
        raise InvalidArgumentError(
            f"no tensor of {checkpoint.prefix!r} would be left; nothing was written",
            path=checkpoint.prefix,
        )
    wanted = moved if graph is None else {**moved, OBJECT_GRAPH: OBJECT_GRAPH}
    result = _describe(checkpoint, path, wanted, notes)
    if not dry_run:
        rewrite(
            checkpoint,
            path,
            wanted,
            replaced=graph,
            num_shards=num_shards,
            sync=sync,
            num_threads=num_threads,
            progress=progress,
            label=label,
        )
    return result


def _graph(
    checkpoint: Checkpoint, moved: Mapping[str, str], policy: Policy
) -> tuple[dict[str, Any] | None, list[str]]:
    """Give new values of the object graph, None where it is left out, and what to say of it."""
    graphs.check_policy(policy)
    if OBJECT_GRAPH not in checkpoint or policy == "drop":
        return None, []
    affected = sorted(key for key in graphs.named_keys(checkpoint) if moved.get(key) != key)
    if not affected:
        return {}, []
    if policy == "update":
        return {OBJECT_GRAPH: graphs.updated(checkpoint, moved)}, []
    what = (
        f"the object graph names {_counted(affected)} that would be renamed or dropped: "
        f"{_listed(affected)}"
    )
    if policy == "refuse":
        raise InvalidArgumentError(
            f"{checkpoint.prefix!r} was saved by tf.train.Checkpoint, and {what}; "
            "TensorFlow would not find them. Say what shall become of the graph with "
            "object_graph= (--object-graph): 'update' lets it follow, 'drop' leaves it out (a "
            "checkpoint that is restored by names), 'keep' leaves it as it is",
            path=checkpoint.prefix,
            key=OBJECT_GRAPH,
        )
    return {}, [what.replace("would be", "are") + "; tf.train.Checkpoint will not find them"]


def _describe(
    checkpoint: Checkpoint, path: str, wanted: Mapping[str, str], notes: list[str]
) -> Surgery:
    renamed = tuple((old, new) for old, new in wanted.items() if old != new)
    dropped = tuple(name for name in checkpoint if name not in wanted)
    return Surgery(
        source=checkpoint.prefix,
        destination=path,
        tensors=len(wanted),
        nbytes=sum(row.nbytes for row in list_rows(checkpoint) if row.name in wanted),
        renamed=renamed,
        dropped=dropped,
        notes=(*notes, *(_meta_note(checkpoint, path) if renamed or dropped else ())),
    )


def _meta_note(checkpoint: Checkpoint, path: str) -> tuple[str, ...]:
    meta = meta_file(checkpoint.prefix)
    if not os.path.exists(meta):
        return ()
    if absolute(path) == checkpoint.prefix:
        return (f"{meta!r} stays as it is: a Saver made from it asks for the old names",)
    return (f"{meta!r} is not copied: it describes a graph with the old names",)


def _as_list(patterns: str | Sequence[str]) -> list[str]:
    found = [patterns] if isinstance(patterns, str) else list(patterns)
    if not found:
        raise InvalidArgumentError("there is no pattern; pass names, scopes or wildcards")
    return found


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    shown = ", ".join(map(repr, names[:_MAX_NAMED]))
    return f"{shown} and {more} more" if more > 0 else shown
