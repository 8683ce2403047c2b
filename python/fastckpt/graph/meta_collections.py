"""Collections as meta graphs hold them: one kind of item each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import DataLossError
from fastckpt.graph.keys import VARIABLE_COLLECTIONS, GraphKeys
from fastckpt.graph.sources import message_name
from fastckpt.protos import message_class

__all__ = ["collections_of", "encode_items", "parse_item"]

_log = logging.getLogger("fastckpt")


def encode_items(key: str, items: Sequence[Any]) -> Any:
    """Make a CollectionDef of what a collection lists.

    Parameters
    ----------
    key : str
        Of the collection, for messages.
    items : sequence
        All str or bytes, all int, all float, all messages of the type ``Any``; or things with a
        name, such as tensors and operations; or things with ``to_proto()``, such as variables,
        which in collections of the program's own are named as others are. The first one decides,
        as TensorFlow has it.

    Raises
    ------
    WrongTypeError
        Something else, or several kinds.
    """
    collection = message_class("CollectionDef")()
    for kind, has_kind, encode in _MESSAGES + _OTHERS if key in _KEYS else _OTHERS + _MESSAGES:
        if items and has_kind(items[0]):
            try:
                getattr(collection, kind).value.extend(map(encode, items))
            except (AttributeError, TypeError, ValueError) as error:
                raise _mixed(key, str(error)) from error
            return collection
    if items:
        raise _mixed(key, f"the first is of type {type(items[0]).__name__}")
    return collection


def parse_item(key: str, message: str, data: bytes) -> Any:
    """Parse an entry of a collection as a message; DataLossError where it is none."""
    from google.protobuf.message import DecodeError

    try:
        return message_class(message).FromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise DataLossError(
            f"an entry of the collection {key!r} is no {message}: {error}", key=key
        ) from None


def collections_of(graph: Any) -> dict[str, Any]:
    """Give the CollectionDefs of a graph, without those that are empty.

    Parameters
    ----------
    graph : Graph
        Whatever has ``get_all_collection_keys`` and ``get_collection``.

    Notes
    -----
    What cannot be written is left out, and a warning is logged, as TensorFlow does.
    """
    found = {}
    for key in graph.get_all_collection_keys():
        items = graph.get_collection(key)
        try:
            if isinstance(key, str) and items:
                found[key] = encode_items(key, items)
        except WrongTypeError as error:
            _log.warning("left out of the meta graph: %s", error)
    return found


def _mixed(key: str, reason: str) -> WrongTypeError:
    return WrongTypeError(
        f"collection {key!r}: items must be all str or bytes, all int, all float, or all things "
        f"with a name or a message of their own ({reason})"
    )


def _is_number(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _message_bytes(item: Any) -> bytes:
    data: bytes = item.to_proto().SerializeToString(deterministic=True)
    return data


def _text_bytes(item: Any) -> bytes:
    return item.encode() if isinstance(item, str) else item


def _any(item: Any) -> Any:
    if message_name(item) != "Any":
        raise TypeError(f"one is of type {type(item).__name__}")
    # Messages of two pools do not mix, so this one is made in place.
    values = message_class("CollectionDef")().any_list.value
    return values.add(type_url=item.type_url, value=item.value)


def _name(item: Any) -> str:
    if not isinstance(item.name, str):
        raise TypeError(f"the name of one is {item.name!r}")
    return item.name


_Kind = tuple[str, Callable[[Any], bool], Callable[[Any], Any]]

# Field of CollectionDef, what it is for, and how an item becomes one of its values.
_MESSAGES: tuple[_Kind, ...] = (
    ("bytes_list", lambda item: callable(getattr(item, "to_proto", None)), _message_bytes),
)
_OTHERS: tuple[_Kind, ...] = (
    ("bytes_list", lambda item: isinstance(item, str | bytes), _text_bytes),
    ("int64_list", _is_number, lambda item: item),
    ("float_list", lambda item: isinstance(item, float), lambda item: item),
    ("any_list", lambda item: message_name(item) == "Any", _any),
    ("node_list", lambda item: isinstance(getattr(item, "name", None), str), _name),
)

# Collections that TensorFlow reads as messages; in others it gives their bytes to the program.
_KEYS = VARIABLE_COLLECTIONS | {
    GraphKeys.SAVERS,
    GraphKeys.QUEUE_RUNNERS,
    GraphKeys.COND_CONTEXT,
    GraphKeys.WHILE_CONTEXT,
}
