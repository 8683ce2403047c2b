"""An object that has more than children: values of its own, beside or instead of one array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["ObjectState"]


class ObjectState(dict[str, Any]):
    """Children of an object by name, as a dict, and what is stored of the object itself.

    :func:`load_objects` gives one where a dict, a list or an array would not say all: for tables,
    Python state, dataset iterators. :func:`save_objects` takes it anywhere in the tree, and to it
    belongs one object wherever it occurs, as in TensorFlow to a ``tf.Module`` (a plain dict is
    wrapped anew at each place).

    Parameters
    ----------
    children : mapping or iterable of (str, value)
        As of a dict.
    attributes : mapping of str to array-like
        Stored name of each value -> value, such as ``{"py_state": b"…"}`` or
        ``{"table-keys": keys, "table-values": values}``. ``"VARIABLE_VALUE"`` is that of a
        variable; ``(array, "qint8")`` names its TensorFlow dtype.
    full_name : str, optional
        Of a variable: its name for TensorFlow's name-based Saver, instead of the path to it.

    Attributes
    ----------
    attributes : dict of str to array-like
        The same, as a dict.
    full_name : str or None
        As given.
    """

    def __init__(
        self,
        children: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        attributes: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        *,
        full_name: str | None = None,
    ) -> None:
        super().__init__(children)
        self.attributes: dict[str, Any] = dict(attributes)
        self.full_name = full_name

    def __repr__(self) -> str:
        return f"ObjectState({super().__repr__()}, {self.attributes!r})"
