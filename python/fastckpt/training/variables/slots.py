"""Where an array that is no variable is found again: its place in the caller's dict."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

__all__ = ["Slot"]


class Slot(NamedTuple):
    """One entry of the mapping that the caller passed.

    A program that computes ``state["w"] = state["w"] - gradient`` puts a new array there at each
    step. Looking it up again at each save stores the one that counts, where the one of
    construction would be stale.

    Attributes
    ----------
    container : Mapping
        The caller's mapping itself.
    key : str
        Key of the entry.
    """

    container: Mapping[str, Any]
    key: str

    def get(self, default: Any) -> Any:
        """Give what is there now; `default` where the entry is gone."""
        return self.container.get(self.key, default)

    def put(self, value: Any) -> None:
        """Replace what is there, where the mapping can be changed."""
        if isinstance(self.container, MutableMapping):
            self.container[self.key] = value
