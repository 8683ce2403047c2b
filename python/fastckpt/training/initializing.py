"""``init_from_checkpoint``: variables start from the tensors of a checkpoint."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, TensorNotFoundError, UnsupportedError
from fastckpt.names import near_names
from fastckpt.training.readers import load_checkpoint
from fastckpt.training.saver_restore import restore_into
from fastckpt.training.variables import Target, adapting, collection, name_targets

__all__ = ["NoSuchTensorError", "init_from_checkpoint"]

_log = logging.getLogger("fastckpt")

# TensorFlow prints all shapes of the checkpoint, which may be a million.
_MAX_LISTED = 20


class NoSuchTensorError(TensorNotFoundError, InvalidArgumentError):
    """A tensor of an assignment map that the checkpoint has not; a KeyError and a ValueError."""


class _Wanted(NamedTuple):
    key: str  # in the checkpoint
    target: Target
    missing: str  # what TensorFlow says where the checkpoint has no such tensor


def init_from_checkpoint(
    ckpt_dir_or_file: str | bytes | os.PathLike[str], assignment_map: Any
) -> None:
    """Give variables the values of a checkpoint's tensors, under other names if need be.

    Parameters
    ----------
    ckpt_dir_or_file : str, bytes or PathLike
        As for :func:`fastckpt.load_checkpoint`.
    assignment_map : Mapping or iterable of pairs
        From names in the checkpoint to what they initialise. Pairs may give one tensor to several.

        - ``"name": variable``: an ndarray, a ``fastckpt.Variable``, a torch tensor, a
          ``tf.Variable`` or the slices of one.
        - ``"name": "other/name"``: the ``fastckpt.Variable`` of that name.
        - ``"scope/": "other_scope/"``: every ``fastckpt.Variable`` below the second scope, from
          the tensor of the same name below the first. ``"/"`` is the root on either side.
        - ``"scope/": container``: everything in a torch module or a dict, by the names there.

    Raises
    ------
    NoSuchTensorError
        The checkpoint has no such tensor; a ValueError, as in TensorFlow, and a KeyError.
    InvalidArgumentError
        Another shape or dtype, a name that no variable has, a scope without its slash.
    WrongTypeError
        A key that is no str, or something that is no variable.

    Notes
    -----
    Values are assigned at once, all of them or, where anything is wrong, none. Variables of a
    TensorFlow graph are handed to TensorFlow's own function of this name, which replaces their
    initializers: they get their values when those run. A name or scope means TensorFlow's
    variables where a graph of TensorFlow is in use.
    """
    reader = load_checkpoint(ckpt_dir_or_file)
    pairs = _pairs(assignment_map)
    in_graph = [pair for pair in pairs if _is_tensorflows(pair[1])]
    with reader.checkpoint as checkpoint:
        at_once = [pair for pair in pairs if not _is_tensorflows(pair[1])]
        named = _checked(checkpoint, _wanted(at_once))
        prefix = checkpoint.prefix
    if in_graph:
        _delegate(prefix, in_graph)
    if named:
        restore_into(named, prefix)


def _pairs(assignment_map: Any) -> list[tuple[str, Any]]:
    items = assignment_map.items() if isinstance(assignment_map, Mapping) else assignment_map
    try:
        pairs = [(key, value) for key, value in items]
    except (TypeError, ValueError) as error:
        raise WrongTypeError(
            "assignment_map must be a mapping of names in the checkpoint to variables, or a list "
            f"of such pairs: {error}"
        ) from error
    for key, _ in pairs:
        if not isinstance(key, str):
            raise WrongTypeError(f"a name in the checkpoint must be a str, not {key!r}")
    return sorted(pairs, key=lambda pair: pair[0])


def _wanted(pairs: Iterable[tuple[str, Any]]) -> Iterator[_Wanted]:
    """Spell out which tensor each target gets."""
    for key, value in pairs:
        found = _variable_named(value) if isinstance(value, str) else value
        if found is None and isinstance(value, str):
            yield from _scope(key, value)
        elif _is_container(found):
            yield from _container(key, found)
        else:
            for target in adapting.as_targets(found):
                yield _Wanted(key, target, f"Tensor {key} is not found in")


def _scope(key: str, value: str) -> Iterator[_Wanted]:
    """Pair the variables below a scope with the tensors below another."""
    scope = value.rpartition("/")[0]
    if not key.endswith("/"):
        raise InvalidArgumentError(
            f"Assignment map with scope only name {scope} should map to scope only {key}. Should "
            f"be 'scope/': 'other_scope/'. (No fastckpt.Variable is called {value!r}.)"
        )
    if not value.endswith("/"):
        raise InvalidArgumentError(
            f"no fastckpt.Variable is called {value!r}; the name of a scope ends with a slash: "
            f"{value + '/'!r}"
        )
    start = f"{scope}/" if scope else ""
    found = [v for v in collection.alive() if v.name.startswith(start)]
    if not found:
        _log.warning("no variable is below scope %r: nothing is initialised from %r", value, key)
    for variable in found:
        inner = variable.name.removeprefix(start)
        (target,) = adapting.as_targets(variable)
        yield _inner(key, inner, target)


def _container(key: str, value: Any) -> Iterator[_Wanted]:
    if not key.endswith("/"):
        raise InvalidArgumentError(
            f"{key!r} is the name of one tensor, and a {type(value).__name__} holds several; pass "
            f"the scope they are in: {key + '/'!r}, or '/' for the root"
        )
    for inner, targets in name_targets(value).items():
        for target in targets:
            yield _inner(key, inner, target)


def _inner(key: str, inner: str, target: Target) -> _Wanted:
    full = inner if key == "/" else f"{key}{inner}"
    return _Wanted(full, target, f"Tensor {full} ({inner} in {key}) is not found in")


def _checked(checkpoint: Checkpoint, wanted: Iterable[_Wanted]) -> dict[str, list[Target]]:
    """Raise unless every target can have its tensor; absent tensors first, as in TensorFlow."""
    named: dict[str, list[Target]] = {}
    for key, target, missing in wanted:
        if key not in checkpoint:
            raise _not_found(checkpoint, key, missing)
        named.setdefault(key, []).append(target)
    for key, targets in named.items():
        for target in targets:
            _check_fit(checkpoint, key, target)
    return named


def _check_fit(checkpoint: Checkpoint, key: str, target: Target) -> None:
    if target.group.replaces:
        raise UnsupportedError(
            f"the variable for {key!r} is immutable, and has to be made anew; take its value from "
            "fastckpt.load, or pass it to a Saver in a dict",
            key=key,
        )
    stored = checkpoint.tensor(key)
    problem = target.mismatch(stored.tf_dtype, stored.shape)
    if problem and target.accepts_dtype(stored.tf_dtype):
        problem = (
            f"Shape of variable {target.name or key} ({target.full_shape}) doesn't match with "
            f"shape of tensor {key} ({list(stored.shape)}) from checkpoint reader."
        )
    if problem:
        raise InvalidArgumentError(problem, path=checkpoint.prefix, key=key)


def _not_found(checkpoint: Checkpoint, key: str, missing: str) -> NoSuchTensorError:
    shapes = {x.name: list(x.shape) for x in itertools.islice(checkpoint.tensors(), _MAX_LISTED)}
    more = f" and {len(checkpoint) - len(shapes)} more" if len(checkpoint) > len(shapes) else ""
    near = near_names(key, list(checkpoint))
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return NoSuchTensorError(
        f"{missing} {checkpoint.prefix} checkpoint {shapes}{more}{hint}",
        path=checkpoint.prefix,
        key=key,
    )


def _variable_named(name: str) -> Any:
    return next((v for v in collection.alive() if v.name == name), None)


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping) or adapting.adapt_tree(value) is not None


def _is_tensorflows(value: Any) -> bool:
    """Whether this is for TensorFlow's own function: graph variables, names in its graph."""
    adapter = adapting.adapter_of("tensorflow")
    return adapter is not None and bool(adapter.is_in_graph(value))


def _delegate(prefix: str, pairs: list[tuple[str, Any]]) -> None:
    tensorflow = adapting.adapter_of("tensorflow").tensorflow()
    try:
        tensorflow.compat.v1.train.init_from_checkpoint(prefix, pairs)
    except ValueError as error:
        raise InvalidArgumentError(str(error), path=prefix) from error
