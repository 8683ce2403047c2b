"""Any graph reads back from both forms, and bytes of any kind raise typed errors alone."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from fastckpt.errors import CheckpointError
from fastckpt.graph import Graph, MetaGraph
from fastckpt.graph.files import is_text, parse_message, serialize
from fastckpt.protos import message_class
from unit import graph_files

NAMES = st.from_regex(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]{0,40}", fullmatch=True)
# What may look like blanks, comments and fields of text form in a binary file.
TRICKY = st.sampled_from(["node", "graph_def", "a", "saver_def" * 4, "# x", "versions"])
KINDS = ("MetaGraphDef", "GraphDef", "SavedModel")


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    graph = message_class("GraphDef")()
    for name in draw(st.lists(NAMES | TRICKY, max_size=4)):
        node = graph.node.add(name=name, op=draw(NAMES | TRICKY))
        node.input.extend(draw(st.lists(NAMES, max_size=2)))
        node.device = draw(st.sampled_from(["", "/cpu:0"]))
        for key in draw(st.lists(NAMES, max_size=2)):
            node.attr[key].s = draw(st.binary(max_size=40))
    graph.versions.producer = draw(st.integers(0, 3000))
    return graph


@st.composite
def messages(draw: st.DrawFn) -> Any:
    graph = draw(graphs())
    kind = draw(st.sampled_from(KINDS))
    if kind == "GraphDef":
        return graph
    meta = message_class("MetaGraphDef")(graph_def=graph)
    for key in draw(st.lists(NAMES, max_size=2)):
        meta.collection_def[key].node_list.value.extend(draw(st.lists(NAMES, max_size=2)))
    meta.meta_info_def.tags.extend(draw(st.lists(st.text(max_size=35), max_size=2)))
    meta.meta_info_def.meta_graph_version = draw(NAMES | TRICKY)
    if kind == "MetaGraphDef":
        return meta
    return message_class("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta])


def is_printable(message: Any) -> bool:
    """Whether no text of it holds control characters, which no file of TensorFlow does."""
    metas = getattr(message, "meta_graphs", [message])
    return all(
        tag.isprintable()
        for x in metas
        if hasattr(x, "meta_info_def")
        for tag in x.meta_info_def.tags
    )


@given(messages().filter(is_printable))
def test_both_forms_are_told_apart_and_read_back(message: Any) -> None:
    name = message.DESCRIPTOR.name
    binary, text = serialize(message), serialize(message, as_text=True)
    if message.ByteSize():
        assert not is_text(binary)
        assert is_text(text)
        assert parse_message(binary, name) == message
    assert parse_message(b"# a comment\n\n" + text, name) == message


@given(messages().filter(is_printable))
def test_a_message_is_taken_for_no_other(message: Any) -> None:
    name = message.DESCRIPTOR.name
    parts = [x.name for x, _ in message.ListFields()]
    if len(parts) < 2 or (name == "GraphDef" and not message.node):
        return
    for other in set(KINDS) - {name}:
        for data in (serialize(message), text_format.MessageToString(message).encode()):
            with pytest.raises(CheckpointError, match=f"is no {other}: this is"):
                parse_message(data, other)


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_no_bytes_crash(data: bytes, kind: str) -> None:
    with contextlib.suppress(CheckpointError):
        parse_message(data, kind)


@given(st.data())
def test_flipped_bytes_raise_typed_errors(data: st.DataObject) -> None:
    changed = bytearray(graph_files.binary(graph_files.meta_graph()))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CheckpointError):
        graph = MetaGraph.from_bytes(bytes(changed)).graph
        assert isinstance(graph, Graph)
        for op in graph.get_operations():
            str(op), op.device, op.inputs, op.control_inputs
            for tensor in op.outputs:
                repr(tensor), tensor.consumers()
        for key in graph.get_all_collection_keys():
            graph.get_collection(key)
