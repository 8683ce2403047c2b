"""Freezing on messages alone: variables, functions, choices, and what cannot be frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import (
    CheckpointError,
    InvalidArgumentError,
    LimitExceededError,
    TensorNotFoundError,
    UnsupportedError,
)
from fastckpt.graph import convert_variables_to_constants, freeze, make_ndarray
from fastckpt.protos import message_class
from unit.graph_makers import (
    FLOAT,
    copies,
    graph_def,
    node,
    ops,
    ref,
    resource,
    saved,
    strings,
)  # fmt: skip

DTYPE = 'attr { key: "dtype" value { type: DT_FLOAT } }'
GATHER = DTYPE + 'attr { key: "Tindices" value { type: DT_INT64 } }'

LINEAR = (
    ref("w", 2)
    + copies("w", name="w/read")
    + resource("b", 2, shared="shared_b")
    + node("y", "AddV2", "w/read", "b/Read/ReadVariableOp", attrs=FLOAT)
    + node("assign", "Assign", "w", "w/read", attrs=FLOAT)
)


def value(message: Any, name: str) -> list[Any]:
    """The value of a constant."""
    return make_ndarray(
        next(x for x in message.node if x.name == name).attr["value"].tensor
    ).tolist()


def test_both_kinds_of_variables(tmp_path: Path) -> None:
    source = graph_def(LINEAR)
    before = source.SerializeToString(deterministic=True)
    prefix = saved(tmp_path, w=[1, 2], shared_b=[3, 4])
    for frozen in (
        freeze(source, prefix, ["y"]),
        convert_variables_to_constants(prefix, source, ["y"]),
        convert_variables_to_constants(fastckpt.open(prefix), source, iter(["y"])),
        convert_variables_to_constants({"w:0": np.float32([1, 2]), "b": [3, 4]}, source, ["y"]),
    ):
        assert ops(frozen) == {
            "w": "Const",
            "w/read": "Identity",
            "b": "Const",
            "b/Read/ReadVariableOp": "Identity",
            "y": "AddV2",
        }
        assert (value(frozen, "w"), value(frozen, "b")) == ([1, 2], [3, 4])
        assert sorted(frozen.node[0].attr) == ["dtype", "value"]
    assert source.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("lists", "converted"),
    [
        ({"variable_names_whitelist": ["w"]}, {"w"}),
        ({"variable_names_blacklist": ["w", "other"]}, {"b"}),
        ({"variable_names_whitelist": ["w", "b"], "variable_names_blacklist": ["b"]}, {"w"}),
        ({"variable_names_whitelist": []}, set()),
    ],
)
def test_chosen_variables(lists, converted: set[str]) -> None:
    values = {name: np.zeros(2, np.float32) for name in converted}
    frozen = convert_variables_to_constants(values, graph_def(LINEAR), ["y"], **lists)
    assert {name for name, op in ops(frozen).items() if op == "Const"} == converted


def saver(*assignments: str, keys: list[str], slices: list[str]) -> str:
    """The nodes of a saver that restores `keys` into variables."""
    return (
        strings("save/names", *keys)
        + strings("save/slices", *slices)
        + node("save/Restore", "RestoreV2", "save/Const", "save/names", "save/slices")
        + "".join(
            node(f"save/Assign_{i}", "Assign", name, f"save/Restore:{i}" if i else "save/Restore")
            for i, name in enumerate(assignments)
        )
        + node("save/all", "NoOp", *(f"^save/Assign_{i}" for i in range(len(assignments))))
    )


def test_keys_and_slices_of_the_saver(tmp_path: Path) -> None:
    source = graph_def(
        ref("a", 2, 2)
        + ref("b", 1, 2)
        + node("y", "Pack", "a", "b")
        + saver("a", "b", keys=["whole", "whole"], slices=["3 2 0,2:-", "3 2 2,1:0,2"])
    )
    prefix = saved(tmp_path, whole=[[1, 2], [3, 4], [5, 6]], a=np.zeros((2, 2)))
    meta_graph = message_class("MetaGraphDef")(graph_def=source)
    meta_graph.saver_def.restore_op_name = "save/all"
    for model in (meta_graph, source):
        frozen = freeze(model, prefix, "y")
        assert (value(frozen, "a"), value(frozen, "b")) == ([[1, 2], [3, 4]], [[5, 6]])
    for node_def in source.node:
        if node_def.name == "save/slices":
            node_def.attr["value"].tensor.string_val[0] = b"3 2 no:-"
    with pytest.raises(CheckpointError, match="slice that cannot be read"):
        freeze(source, prefix, "y")


def test_slices_that_collections_declare(tmp_path: Path) -> None:
    meta_graph = message_class("MetaGraphDef")(graph_def=graph_def(ref("t/part_1", 1, 2)))
    variable = message_class("VariableDef")(variable_name="t/part_1:0")
    variable.save_slice_info_def.full_name = "t"
    variable.save_slice_info_def.full_shape.extend([2, 2])
    variable.save_slice_info_def.var_offset.extend([1, 0])
    variable.save_slice_info_def.var_shape.extend([1, 2])
    values = meta_graph.collection_def["variables"].bytes_list.value
    values.extend([b"\xff", variable.SerializeToString()])
    frozen = freeze(meta_graph, saved(tmp_path, t=[[1, 2], [3, 4]]), "t/part_1")
    assert value(frozen, "t/part_1") == [[3, 4]]


# --- functions --------------------------------------------------------------------------------


def function(name: str, body: str, returned: str = "r:output:0", argument: str = "v") -> str:
    """A function of one resource."""
    return f"""
        function {{
            signature {{
                name: "{name}" input_arg {{ name: "{argument}" type: DT_RESOURCE }}
                output_arg {{ name: "out" type: DT_FLOAT }}
            }}
            {body.replace("node {", "node_def {")}
            ret {{ key: "out" value: "{returned}" }}
        }}
    """


def call(name: str, callee: str, *inputs: str) -> str:
    types = "".join(" type: DT_RESOURCE" for x in inputs)
    return node(
        name,
        "PartitionedCall",
        *inputs,
        attrs=f'attr {{ key: "f" value {{ func {{ name: "{callee}" }} }} }} '
        f'attr {{ key: "Tin" value {{ list {{ {types} }} }} }}',
    )


READ = node("r", "ReadVariableOp", "v", attrs=DTYPE)


def frozen_call(functions: str, nodes: str = "", outputs: str = "y") -> Any:
    source = graph_def(
        resource("w", 2) + call("y", "f", "w") + nodes + f"library {{ {functions} }}"
    )
    return freeze(source, {"w": [1, 2], "u": [3, 4]}, outputs)


def test_a_function_is_called_with_the_value() -> None:
    body = READ + copies("r:value:0", name="same") + node("n", "Neg", "same:output:0", "r:value:0")
    frozen = frozen_call(function("f", body, "r:value:0"))
    (changed,) = frozen.library.function
    assert changed.signature.name == "f_frozen_0"
    assert changed.signature.input_arg[0].type == 1
    assert [(x.name, x.op, list(x.input)) for x in changed.node_def] == [
        ("r", "Identity", ["v"]),
        ("same", "Identity", ["r:output:0"]),
        ("n", "Neg", ["same:output:0", "r:output:0"]),
    ]
    assert changed.ret["out"] == "r:output:0"
    (caller,) = (x for x in frozen.node if x.name == "y")
    assert caller.attr["f"].func.name == "f_frozen_0"
    assert list(caller.attr["Tin"].list.type) == [1]


def test_rows_are_gathered_inside_functions_too() -> None:
    gather = node("g", "ResourceGather", "v", "ids:output:0", attrs=GATHER)
    body = node("ids", "Const") + gather + node("g/axis", "Const")
    (changed,) = frozen_call(function("f", body, "g:output:0")).library.function
    assert {x.name: (x.op, list(x.input)) for x in changed.node_def}["g"] == (
        "GatherV2",
        ["v", "ids:output:0", "g/axis_1:output:0"],
    )
    assert changed.node_def[3].attr["value"].tensor.dtype == 9


def test_who_calls_the_function_with_a_variable_keeps_it() -> None:
    source = graph_def(
        resource("w", 2) + resource("u", 2) + call("y", "f_7", "w") + call("z", "f_7", "u")
        + f"library {{ {function('f_7', READ)} {function('f_frozen_0', READ)} }}"
    )  # fmt: skip
    frozen = freeze(source, {"w": [1, 2]}, "y,z", variable_names_denylist=["u"])
    assert [x.signature.name for x in frozen.library.function] == [
        "f_frozen_1", "f_frozen_0", "f_7",
    ]  # fmt: skip
    callees = {x.name: x.attr["f"].func.name for x in frozen.node if x.op == "PartitionedCall"}
    assert callees == {"y": "f_frozen_1", "z": "f_7"}
    assert frozen.library.function[2] == source.library.function[0]


def test_functions_that_call_themselves_and_each_other_end() -> None:
    both = function("f", call("r", "g", "v")) + function("g", call("r", "f", "v"))
    frozen = frozen_call(both)
    assert [x.signature.input_arg[0].type for x in frozen.library.function] == [1, 1]
    calls = [x.node_def[0].attr["f"].func.name for x in frozen.library.function]
    assert sorted(calls) == sorted(x.signature.name for x in frozen.library.function)


def test_functions_nested_to_any_depth() -> None:
    depth = 1200
    functions = [function(f"f{i}", call("r", f"f{i + 1}", "v")) for i in range(1, depth)]
    last = function(f"f{depth}", READ)
    frozen = frozen_call("".join([function("f", call("r", "f1", "v")), *functions, last]))
    assert all(x.signature.input_arg[0].type == 1 for x in frozen.library.function)


@pytest.mark.parametrize(
    ("functions", "error"),
    [
        ("", KeyError),
        (function("f", call("r", "gone", "v")), KeyError),
        ('function { signature { name: "f" } }', ValueError),
        (function("f", node("r", "PartitionedCall", "v")), ValueError),
    ],
)
def test_broken_functions(functions: str, error: type[Exception]) -> None:
    with pytest.raises(error) as found:
        frozen_call(functions)
    assert isinstance(found.value, CheckpointError)


# --- odd graphs ---------------------------------------------------------------------------------


def test_copies_and_circles() -> None:
    handle = 'attr { key: "T" value { type: DT_RESOURCE } }'
    source = graph_def(
        resource("w", 2)
        + node("a", "Identity", "w", "a2", attrs=handle)
        + node("b", "Switch", "a", "w", attrs=handle)
        + node("a2", "Enter", "b:1", attrs=handle)
        + node("y", "ReadVariableOp", "a2", "^b", attrs=DTYPE)
    )
    frozen = freeze(source, {"w": [1, 2]}, "y")
    assert ops(frozen)["y"] == "Identity"
    assert list(frozen.node[-1].input) == ["a2"]
    assert {x.attr["T"].type for x in frozen.node if x.op != "Const"} == {1}


def test_a_chain_of_copies_of_any_length() -> None:
    source = graph_def(ref("w", 1))
    for i in range(5000):
        source.node.add(name=f"c{i}", op="Identity", input=[f"c{i - 1}" if i else "w"])
    frozen = freeze(source, {"w": [1]}, "c4999")
    assert frozen.node[-1].attr["T"].type == 1


def test_the_legacy_variable_is_converted_where_tensorflow_leaves_it() -> None:
    source = graph_def(ref("w", 2, op="Variable") + copies("w"))
    assert ops(freeze(source, {"w": [1, 2]}, "y"))["w"] == "Const"
    same = convert_variables_to_constants({"w": [1, 2]}, source, ["y"])
    assert same.node[0] == source.node[0]


@pytest.mark.parametrize(
    "end",
    [
        node("y", "AssignAdd", "w", "x", attrs=FLOAT),
        node("y", "IsVariableInitialized", "w", attrs=DTYPE),
        node("y", "Neg", "r") + node("r", "AssignVariableOp", "v", "x", attrs=DTYPE),
        call("y", "f", "v")
        + f"library {{ {function('f', node('r', 'VarIsInitializedOp', 'v'))} }}",
    ],
)
def test_what_needs_the_variable_itself_is_refused(end: str) -> None:
    source = graph_def(ref("w", 2) + resource("v", 2) + node("x", "Placeholder") + end)
    with pytest.raises(UnsupportedError, match="needs a variable"):
        freeze(source, {"w": [1, 2], "v": [1, 2]}, "y")


@pytest.mark.parametrize(
    ("text", "values", "error", "says"),
    [
        (ref("w", 2), {"v": [1, 2]}, TensorNotFoundError, "variable 'w' has no value"),
        (ref("w", 2), {"w": np.float64([1, 2])}, InvalidArgumentError, "float64"),
        (
            resource("w", 2)
            + node("g", "ResourceGather", "w", "w/Read/ReadVariableOp", attrs=GATHER
                   + 'attr { key: "batch_dims" value { i: 1 } }'),
            {"w": [1, 2]}, ValueError, "batch_dims must be 0",
        ),
        (ref("w", 1 << 29), {"w": np.broadcast_to(np.float32(1), (1 << 29,))},
         LimitExceededError, "larger than 2GB.*'w'"),
        (ref("w", 2), 3, TypeError, "a mapping"),
        ("", {}, KeyError, "zz is not in graph"),
    ],
)  # fmt: skip
def test_what_cannot_be_frozen(text: str, values: Any, error: type[Exception], says: str) -> None:
    outputs = {"g": "g"}.get("g" if "ResourceGather" in text else "", "w" if text else "zz")
    with pytest.raises(error, match=says) as found:
        convert_variables_to_constants(values, graph_def(text), [outputs])
    assert isinstance(found.value, CheckpointError)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"w": np.zeros(3, np.float32)}, "both tensors to match"),
        ({"w": np.zeros(2, np.int32)}, "is int32"),
        ({"W": np.zeros(2, np.float32)}, "did you mean 'W'"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, tensors: dict[str, Any], says: str) -> None:
    prefix = fastckpt.save(str(tmp_path / "m"), tensors, sync=False)
    with pytest.raises(CheckpointError, match=says):
        freeze(graph_def(ref("w", 2)), prefix, "w")


def test_damaged_values_are_not_frozen(tmp_path: Path) -> None:
    prefix = saved(tmp_path, w=np.ones(2))
    (shard,) = Path(tmp_path).glob("*.data*")
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    with pytest.raises(fastckpt.DataLossError):
        freeze(graph_def(ref("w", 2)), prefix, "w")
