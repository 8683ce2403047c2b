"""The table of operations, and what nodes of them take and yield."""

from __future__ import annotations

import pytest

from fastckpt import errors
from fastckpt.graph.op_registry import attr_value, default_attr, find_op, input_types, output_types
from fastckpt.protos import message_class
from unit.graph_files import graph

LISTS = 'attr { key: "dtypes" value { list { type: DT_FLOAT type: DT_STRING } } }'


def node(text: str):
    return graph(f"node {{ {text} }}").node[0]


def types(text: str) -> tuple[list[int], list[int]]:
    found = node(text)
    op_def = find_op(found.op)
    return input_types(found, op_def), output_types(found, op_def)


def test_the_table() -> None:
    op = find_op("MatMul")
    assert [x.name for x in op.input_arg] == ["a", "b"]
    assert find_op("MatMul") is op
    assert find_op("VariableV2").is_stateful
    assert not any(x.description for x in (op, *op.attr, *op.input_arg))
    # Of the core, of control flow, of data sets, of sessions, and what no Python function makes.
    for name in ("RestoreV2", "Enter", "BatchDatasetV2", "_Arg", "StatefulPartitionedCall"):
        assert find_op(name).name == name
    assert find_op("NoSuchOp") is None


def test_other_sources() -> None:
    op_list = message_class("OpList")()
    op_list.op.add(name="Custom")
    assert find_op("Custom", op_list) is op_list.op[0]
    assert find_op("Custom", {"Custom": "x"}) == "x"
    assert find_op("Other", op_list) is find_op("Other", {}) is None
    op_list.op.add(name="MatMul")
    assert find_op("MatMul", op_list).input_arg


def test_types() -> None:
    assert types(f'name: "r" op: "RestoreV2" {LISTS}') == ([7, 7, 7], [1, 7])
    assert types('name: "n" op: "NoOp"') == ([], [])
    concat = 'name: "c" op: "ConcatV2" attr { key: "N" value { i: 3 } } '
    concat += 'attr { key: "T" value { type: DT_HALF } }'
    assert types(concat) == ([19, 19, 19, 3], [19])
    assert types('name: "v" op: "Variable" attr { key: "dtype" value { type: DT_INT8 } }') == (
        [],
        [106],
    )
    assert types('name: "s" op: "Shape" attr { key: "T" value { type: DT_BOOL } }') == ([10], [3])
    # Nothing at all is written for an empty list.
    assert types('name: "i" op: "IteratorGetNext" attr { key: "output_types" value { } }')[1] == []


def test_defaults() -> None:
    shape = node('name: "s" op: "Shape"')
    op_def = find_op("Shape")
    assert default_attr(op_def, "out_type").type == attr_value(shape, op_def, "out_type").type == 3
    assert default_attr(op_def, "T") is default_attr(op_def, "nope") is None
    assert attr_value(shape, op_def, "T") is None
    assert "out_type" not in shape.attr  # asking leaves no trace


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name: "i" op: "Identity"', r"node 'i' \(Identity\) lacks the attribute 'T'"),
        ('name: "i" op: "Identity" attr { key: "T" value { s: "x" } }', "is no 'type' but 's'"),
        ('name: "i" op: "Identity" attr { key: "T" value { } }', "is no 'type' but None"),
        ('name: "p" op: "Unpack" attr { key: "num" value { i: -1 } }', "is -1 where tensors"),
        (
            'name: "p" op: "RestoreV2" attr { key: "dtypes" value { i: 1 } }',
            "is no 'list' but 'i'",
        ),
    ],
)
def test_nodes_that_do_not_fit(text: str, says: str) -> None:
    found = node(text + ' attr { key: "unused" value { i: 1 } }')
    if found.op == "Unpack":
        found.attr["T"].type = 1
    with pytest.raises(errors.InvalidArgumentError, match=says) as caught:
        output_types(found, find_op(found.op))
    assert caught.value.key == found.name


def test_counts_have_a_limit() -> None:
    found = node('name: "p" op: "Unpack" attr { key: "num" value { i: 65537 } }')
    found.attr["T"].type = 1
    with pytest.raises(errors.LimitExceededError, match="more than the 65536 that are read"):
        output_types(found, find_op("Unpack"))
    found.attr["num"].i = 65536
    assert len(output_types(found, find_op("Unpack"))) == 65536
