"""Arrays of JAX and pytrees of them: immutable, so that a restore hands new ones back.

Imported only where the program has imported JAX.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.mistakes import not_a_variable
from fastckpt.training.variables.protocol import Group, Pair, Target
from fastckpt.training.variables.slots import Slot

__all__ = ["adapt", "adapt_tree", "default_items", "replace"]

_PYTHON_NUMBERS = (bool, int, float, complex)


class _Flat(NamedTuple):
    names: list[str]  # path of each leaf, its parts joined by slashes
    leaves: list[Any]
    structure: Any

    @property
    def is_leaf(self) -> bool:
        """Whether this is no container at all."""
        return self.names == [""]

    @property
    def has_arrays(self) -> bool:
        """Whether an array of JAX is among the leaves."""
        return any(isinstance(leaf, _jax().Array) for leaf in self.leaves)


def adapt(value: Any, slot: Slot | None) -> list[Target] | None:
    """Make a target of an array."""
    return _Tree(value, slot).targets() if isinstance(value, _jax().Array) else None


def adapt_tree(value: Any, slot: Slot | None = None) -> list[Target] | None:
    """Make a target of each leaf of a pytree, when one of them is an array of JAX."""
    flat = _flatten(value)
    if flat is None or flat.is_leaf or not flat.has_arrays:
        return None
    return _Tree(value, slot).targets()


def replace(value: Any, holders: Mapping[str, Any], key: str) -> tuple[bool, Any]:
    """Put restored leaves into an array's or pytree's place; False where it is neither."""
    flat = _flatten(value)
    if flat is None or not flat.has_arrays:
        return False, None
    prefix = f"{key}/" if key else ""
    keys = [key if flat.is_leaf else f"{prefix}{name}" for name in flat.names]
    leaves = [holders.get(k, leaf) for k, leaf in zip(keys, flat.leaves, strict=True)]
    return True, _jax().tree_util.tree_unflatten(flat.structure, leaves)


def default_items(*, has_others: bool) -> list[Any]:  # noqa: ARG001
    """There is no collection of arrays in JAX."""
    return []


class _Tree(Group):
    """One array or pytree, looked up in the caller's dict at each save and put there again."""

    replaces = True
    keeps = True  # JAX may go on using the memory of an array that it is given

    def __init__(self, value: Any, slot: Slot | None) -> None:
        self._value = value
        self._slot = slot

    def targets(self) -> list[Target]:
        """Make a target of each leaf."""
        flat = _flatten_tree(self._value)
        prefix = f"{self._slot.key}/" if self._slot else ""
        for name, leaf in zip(flat.names, flat.leaves, strict=True):
            _check_leaf(f"{prefix}{name}".removesuffix("/"), leaf)
        return [_LeafTarget(self, x, n) for n, x in zip(flat.names, flat.leaves, strict=True)]

    def read(
        self,
        targets: Sequence[Any],
        session: Any = None,  # noqa: ARG002
        *,
        share: bool = False,  # noqa: ARG002
    ) -> list[Any]:
        self.refresh(targets)
        return [_array_of(target) for target in targets]

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:  # noqa: ARG002
        self.refresh([target for target, _ in pairs])

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:  # noqa: ARG002
        flat = _flatten_tree(self._current())
        fresh = {target.path: _like(target.origin, value) for target, value in pairs}
        leaves = [fresh.get(n, x) for n, x in zip(flat.names, flat.leaves, strict=True)]
        self._value = _jax().tree_util.tree_unflatten(flat.structure, leaves)
        if self._slot is not None:
            self._slot.put(self._value)
        return [fresh[target.path] for target, _ in pairs]

    def refresh(self, targets: Sequence[Any]) -> None:
        """Let each target know the leaf that is in its place now."""
        flat = _flatten_tree(self._current())
        leaves = dict(zip(flat.names, flat.leaves, strict=True))
        for target in targets:
            if target.path not in leaves:
                raise InvalidArgumentError(
                    f"{target.label} is no longer in its pytree; make a new Saver after changing "
                    "the structure of what it saves",
                    key=target.key,
                )
            target.origin = leaves[target.path]

    def _current(self) -> Any:
        return self._value if self._slot is None else self._slot.get(self._value)


class _LeafTarget(Target):
    """One leaf of a pytree; `path` is empty for an array that is all of it."""

    __slots__ = ("path",)

    def __init__(self, group: _Tree, leaf: Any, path: str) -> None:
        self.path = path
        super().__init__(
            group,
            leaf,
            tf_dtype="",
            shape=None,
            name=path or None,
            # One array may stand in two places, and become two different ones.
            identity=None,
        )

    @property
    def tf_dtype(self) -> str:
        """TensorFlow's name of the dtype; a key of random numbers is stored as its data."""
        return dtypes.tf_name(dtypes.number_of(_data_of(self.origin).dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is stored."""
        return tuple(_data_of(self.origin).shape)


def _jax() -> Any:
    return importlib.import_module("jax")


def _flatten(value: Any) -> _Flat | None:
    if isinstance(value, Iterator | ValuesView):
        return None  # JAX takes it for a leaf, and warns that it will not do so for long
    try:
        return _flatten_tree(value)
    except (TypeError, ValueError):
        # Keys that JAX cannot sort: not a pytree.
        return None


def _flatten_tree(value: Any) -> _Flat:
    pairs, structure = _jax().tree_util.tree_flatten_with_path(value)
    names = ["/".join(_part(entry) for entry in path) for path, _ in pairs]
    return _Flat(names, [leaf for _, leaf in pairs], structure)


def _part(entry: Any) -> str:
    """Give the text of one step of a path: a key, an index or the name of an attribute."""
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _check_leaf(name: str, leaf: Any) -> None:
    jax = _jax()
    if isinstance(leaf, jax.core.Tracer):
        raise UnsupportedError(
            f"{name!r} is traced: it has no value inside a transformed function; save outside of "
            "jit, grad and vmap",
            key=name,
        )
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        raise UnsupportedError(
            f"{name!r} lies on devices of other processes too; gather it first, or write the "
            "parts with CheckpointWriter.add_slice",
            key=name,
        )
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
        raise not_a_variable(leaf, name, "a pytree to save has arrays and numbers alone")


def _is_random_key(leaf: Any) -> bool:
    return bool(_jax().dtypes.issubdtype(leaf.dtype, _jax().dtypes.prng_key))


def _data_of(leaf: Any) -> Any:
    if isinstance(leaf, _PYTHON_NUMBERS):
        return np.asarray(leaf)
    return _jax().random.key_data(leaf) if _is_random_key(leaf) else leaf


def _array_of(target: Any) -> NDArray[Any]:
    try:
        return np.asarray(_data_of(target.origin))
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"the value of {target.label} is gone: {error}; save before it is donated",
            key=target.key,
        ) from error


def _like(leaf: Any, value: Any) -> Any:
    """Make what takes the place of a leaf, of its kind and on its devices."""
    jax = _jax()
    array = np.asarray(value)
    if isinstance(leaf, _PYTHON_NUMBERS):
        return type(leaf)(array.item())
    if isinstance(leaf, np.generic):
        return array.astype(leaf.dtype)[()]
    if isinstance(leaf, np.ndarray):
        return array.astype(leaf.dtype).reshape(leaf.shape)
    data = _data_of(leaf)
    owned = (array if array.flags.writeable else array.copy()).reshape(data.shape)
    if data is not leaf:
        return jax.random.wrap_key_data(jax.device_put(owned), impl=jax.random.key_impl(leaf))
    return jax.device_put(owned, leaf.sharding)
