"""Whether a parsed message is what its class says.

Protobuf keeps fields that it does not know, so that most graph files parse as one another. What
gives them away are known fields of another wire type, and names that hold control characters.
"""

from __future__ import annotations

from typing import Any

__all__ = ["is_plausible"]

# How many nodes, functions or meta graphs are looked at.
_LOOKED_AT = 3


def is_plausible(message: Any) -> bool:
    """Whether a message can be what its class says; an empty one can.

    Parameters
    ----------
    message : message
        Parsed from binary. Messages other than those of graphs are judged by their fields alone.
    """
    unknown = _unknown_fields(message)
    known = message.DESCRIPTOR.fields_by_number
    if any(number in known for number in unknown) or (unknown and not message.ListFields()):
        return False
    judge = _JUDGES.get(message.DESCRIPTOR.name)
    return judge is None or judge(message)


def _unknown_fields(message: Any) -> list[int]:
    from google.protobuf.unknown_fields import UnknownFieldSet

    fields = UnknownFieldSet(message)
    return [fields[i].field_number for i in range(len(fields))]


def _saved_model(message: Any) -> bool:
    return all(map(is_plausible, message.meta_graphs[:_LOOKED_AT]))


def _meta_graph(message: Any) -> bool:
    if not message.ListFields():
        return True
    info = message.meta_info_def
    texts = [info.meta_graph_version, info.tensorflow_version, *info.tags[:_LOOKED_AT]]
    texts += [op.name for op in info.stripped_op_list.op[:_LOOKED_AT]]
    # What is no entry of a map parses as the entry of an empty key, without a value.
    nameless = "" in message.collection_def and not message.collection_def[""].ByteSize()
    return _are_printable(texts) and not nameless and is_plausible(message.graph_def)


def _graph(message: Any) -> bool:
    texts = [text for node in message.node[:_LOOKED_AT] for text in (node.name, node.op)]
    signatures = [x.signature.name for x in message.library.function[:_LOOKED_AT]]
    if message.library.function and not any(signatures) and not message.node:
        return False
    return _are_printable(texts + signatures)


def _are_printable(texts: list[str]) -> bool:
    return all(map(str.isprintable, texts))


_JUDGES = {"SavedModel": _saved_model, "MetaGraphDef": _meta_graph, "GraphDef": _graph}
