"""From a Saver's `var_list` to targets under their keys, by TensorFlow's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastckpt.checkpoint.inputs import check_name
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError
from fastckpt.training.variables import adapting
from fastckpt.training.variables.mistakes import (
    UnnamedError,
    in_short,
    not_a_variable,
    not_in_a_container,
)
from fastckpt.training.variables.protocol import Target
from fastckpt.training.variables.slots import Slot

__all__ = ["Named", "name_items", "name_whole"]

Named = dict[str, list[Target]]

_CONTAINERS = (list, tuple, set, frozenset)


def name_whole(var_list: Any) -> Named:
    """Name what a `var_list` of any form holds; see `name_targets`."""
    if isinstance(var_list, Mapping):
        return _checked(_name_mapping(var_list, ""))
    targets = adapting.adapt_tree(var_list)
    if targets is not None:
        return _checked(_named_by_themselves(targets, ""))
    if isinstance(var_list, _CONTAINERS):
        return name_items(var_list)
    raise not_in_a_container(var_list)


def name_items(items: Iterable[Any]) -> Named:
    """Name the objects of a list after themselves; the slices of one tensor share its name."""
    named: Named = {}
    one_by_one: set[str] = set()
    pairs = [(_name_of(item), item) for item in _flatten(items)]
    # Which mistake is found first depends on the order, and this is TensorFlow's.
    for name, item in sorted(pairs, key=lambda pair: pair[0]):
        targets = _adapt_item(item)
        part = targets[0].slice if targets and not targets[0].key else None
        if part is not None and len(targets) == 1:
            _merge_slice(named, one_by_one, targets[0], part.full_name)
        elif part is not None:
            _merge(named, _entry(name, targets))
        elif len(targets) == 1 and targets[0].group.shared_names:
            _merge_shared(named, targets[0])
        else:
            _merge(named, _named_by_themselves(targets, "", name))
    return _checked(named)


def _name_mapping(mapping: Mapping[Any, Any], prefix: str) -> Named:
    """Name objects after their keys; what containers hold after key, slash and its own name."""
    for key in mapping:
        if not isinstance(key, str):
            raise WrongTypeError(
                "names_to_saveables must be a dict mapping string names to trackable operations. "
                f"Name is not a string: {key!r}"
            )
    named: Named = {}
    for key in sorted(mapping):
        found = _name_value(Slot(mapping, key), f"{prefix}{key}")
        _check_identities(named, found)
        _merge(named, found)
    return named


def _name_value(slot: Slot, name: str) -> Named:
    value = slot.container[slot.key]
    targets = adapting.adapt_tree(value, slot)
    if targets is not None:
        return _named_by_themselves(targets, f"{name}/")
    if isinstance(value, Mapping):
        return _name_mapping(value, f"{name}/")
    if isinstance(value, list | tuple):
        return _name_slices(value, name)
    targets = adapting.adapt(value, slot)
    if targets is None:
        raise not_a_variable(value, name)
    # A single slice that is no list is stored as a tensor of its own.
    return _entry(name, targets, whole=len(targets) == 1)


def _name_slices(values: list[Any] | tuple[Any, ...], name: str) -> Named:
    """Name a list that is the value of a key: the slices of one tensor."""
    named: Named = {}
    full_name = None
    for value in values:
        for target in _adapt_slice(value, name):
            if target.slice is not None:
                full_name = full_name or target.slice.full_name
                if full_name != target.slice.full_name:
                    raise InvalidArgumentError(
                        f"Slices must all be from the same tensor: {full_name} != "
                        f"{target.slice.full_name} (key {name!r})",
                        key=name,
                    )
            for key, found in _entry(name, [target]).items():
                named.setdefault(key, []).extend(found)
    return named


def _adapt_slice(value: Any, name: str) -> list[Target]:
    try:
        targets = adapting.adapt(value)
    except WrongTypeError:
        targets = None
    if targets and all(target.slice or target.key for target in targets):
        return targets
    what = "slices" if targets and targets[0].name else "Variables"
    raise InvalidArgumentError(
        f"Slices must all be {what}: {in_short(value)} (key {name!r}); a list in a dict holds the "
        "slices of one partitioned variable: give everything else a key of its own",
        key=name,
    )


def _adapt_item(item: Any) -> list[Target]:
    targets = adapting.adapt_tree(item)
    return adapting.as_targets(item) if targets is None else targets


def _named_by_themselves(targets: list[Target], prefix: str, default: str = "") -> Named:
    named: Named = {}
    for target in targets:
        name = target.name or default
        key = f"{prefix}{name}" if name else prefix.removesuffix("/")
        found = _entry(key, [target])
        if prefix and target.name:
            # Two containers may use a name each; their keys are what tells them apart.
            found[key][0].name = key
        _merge(named, found)
    return named


def _entry(name: str, targets: list[Target], *, whole: bool = False) -> Named:
    """Put targets under `name`, or under the keys that they have already."""
    named: Named = {}
    for target in targets:
        keyed = target.with_key(name, whole=whole)
        named.setdefault(keyed.key or name, []).append(keyed)
    return named


def _check_identities(named: Named, more: Named) -> None:
    """Raise where one thing that has keys of its own, a SaveableObject, comes a second time."""
    for key, targets in more.items():
        known = [x.identity for x in named.get(key, ()) if x.identity is not None]
        if targets[0].identity in known:
            raise InvalidArgumentError(
                f"The same saveable will be restored with two names: {targets[0].name}", key=key
            )


def _merge(named: Named, more: Named) -> None:
    for key, targets in more.items():
        if key in named:
            raise InvalidArgumentError(
                f"At least two variables have the same name: {key}; pass a dict that gives each a "
                "key of its own",
                key=key,
            )
        named[key] = targets


def _merge_slice(named: Named, one_by_one: set[str], target: Target, name: str) -> None:
    """Enter one slice beside those of its tensor that came before."""
    if name in named and name not in one_by_one:
        raise InvalidArgumentError(
            f"Mixing slices and non-slices with the same name: {name}", key=name
        )
    one_by_one.add(name)
    named.setdefault(name, []).append(target.with_key(name))


def _merge_shared(named: Named, target: Target) -> None:
    """Enter an object whose name others may have, unless it is there already."""
    (key,) = found = _entry(target.name or "", [target])
    if key in named and named[key][0].identity == target.identity:
        return
    if key in named:
        raise InvalidArgumentError(
            f"Two different ResourceVariable objects with the same shared_name '{key}' were "
            "passed to the Saver; eager variables need not have names of their own: pass a dict "
            "that gives each a key",
            key=key,
        )
    named.update(found)


def _checked(named: Named) -> Named:
    """Sort by key, and raise where a key cannot be stored or a thing has two keys."""
    seen: set[Any] = set()
    for key in sorted(named):
        check_name(key)
        for target in named[key]:
            if target.identity is None:
                continue
            identity = (target.slice is None, target.identity)
            if identity in seen:
                raise InvalidArgumentError(
                    f"The same saveable will be restored with two names: {key}", key=key
                )
            seen.add(identity)
    return {key: named[key] for key in sorted(named)}


def _flatten(items: Iterable[Any]) -> Iterator[Any]:
    """Take nested lists, tuples, sets and the values of dicts apart, as TensorFlow does."""
    for item in items:
        if isinstance(item, Mapping):
            yield from _flatten(item[key] for key in sorted(item))
        elif isinstance(item, _CONTAINERS):
            yield from _flatten(item)
        else:
            yield item


def _name_of(item: Any) -> str:
    """Give the name of an object of a list; empty where it names its parts by itself."""
    try:
        name = item.name
    except AttributeError as error:
        if adapting.adapt_tree(item) is not None:
            return ""
        raise _unnamed(item, f"{error}: ") from error
    if not isinstance(name, str):
        raise _unnamed(item, "")
    return name


def _unnamed(item: Any, reason: str) -> UnnamedError:
    return UnnamedError(
        f"{reason}the {type(item).__name__} has no name to be saved under; pass a dict: "
        '{"name": value}'
    )
