"""Meta graphs from names, types and shapes: the bytes, the names, the mistakes."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from google.protobuf.any_pb2 import Any

from fastckpt import dtypes
from fastckpt.errors import (
    InvalidArgumentError,
    LimitExceededError,
    UnsupportedError,
)
from fastckpt.graph import (
    SaverSpec,
    VariableSpec,
    build_meta_graph,
    make_ndarray,
    make_tensor_proto,
    meta_building,
    meta_graph_bytes,
)
from fastckpt.graph.meta_encoding import varint
from fastckpt.graph.meta_names import Names, canonical_device, legal_name
from fastckpt.graph.meta_variables import can_be_variable
from fastckpt.protos import message_class

HELD = [number for number in dtypes.NUMBERS if can_be_variable(number)]


def slow_nodes(name, number, shape):
    """The nodes of one ref variable, made with protobuf's objects."""
    graph = message_class("GraphDef")()
    variable = graph.node.add(name=name, op="VariableV2")
    variable.attr["dtype"].type = number
    for size in shape:
        variable.attr["shape"].shape.dim.add(size=size)
    variable.attr["shape"].shape.SetInParent()
    initial = graph.node.add(name=f"{name}/Init", op="Const")
    initial.attr["dtype"].type = number
    zero = np.zeros((), dtypes.numpy_dtype(number)) if number != dtypes.STRING else b""
    initial.attr["value"].tensor.CopyFrom(make_tensor_proto(zero, number))
    initial.attr["value"].tensor.tensor_shape.CopyFrom(variable.attr["shape"].shape)
    assign = graph.node.add(name=f"{name}/Assign", op="Assign", input=[name, f"{name}/Init"])
    read = graph.node.add(name=f"{name}/read", op="Identity", input=[name])
    for node in (assign, read):
        node.attr["T"].type = number
        node.attr["_class"].list.s.append(f"loc:@{name}".encode())
    return list(graph.node)


@pytest.mark.parametrize("number", [n for n in HELD if n != dtypes.VARIANT])
def test_the_fast_encoding_equals_protobufs(number):
    graph = build_meta_graph([VariableSpec("v", number, (2, 300))]).graph_def
    if graph.node[0].op == "VariableV2":
        assert list(graph.node[:4]) == slow_nodes("v", number, (2, 300))
    else:
        assert [node.op for node in graph.node[:4]] == [
            *("VarHandleOp", "Const", "AssignVariableOp", "ReadVariableOp")
        ]
    initial = make_ndarray(graph.node[1].attr["value"].tensor)
    assert initial.shape == (2, 300)
    assert initial.dtype == dtypes.numpy_dtype(number)
    assert not initial.any()


def test_the_data_is_not_embedded():
    shape = (1 << 40, 1 << 20)
    assert len(meta_graph_bytes([VariableSpec("v", "float32", shape)])) < 4000
    tensor = build_meta_graph([VariableSpec("v", "int8", shape)]).graph_def.node[1]
    assert [dim.size for dim in tensor.attr["value"].tensor.tensor_shape.dim] == list(shape)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), [4], (np.int64(5), True)])
def test_scalars_and_empty_shapes(shape):
    graph = build_meta_graph([VariableSpec("v", "float32", shape)]).graph_def
    assert [dim.size for dim in graph.node[0].attr["shape"].shape.dim] == list(shape)
    assert make_ndarray(graph.node[1].attr["value"].tensor).shape == tuple(shape)


def test_messages_are_whole():
    """Nothing unknown, and the same bytes from protobuf: no field is cut or doubled."""
    for kind, sharded, version in itertools.product(("ref", "resource"), (True, False), (1, 2)):
        specs = [
            VariableSpec("a", "float32", (3,), device="/cpu:0"),
            VariableSpec("b", "string", (), device="/job:ps/task:1", trainable=False),
            VariableSpec("p/0", "int8", (200, 1), None, "p", (400, 1), (200, None)),
        ]
        data = meta_graph_bytes(specs, kind=kind, saver=SaverSpec(None, 1e50, sharded, version))
        message = message_class("MetaGraphDef").FromString(data)
        assert message.ByteSize() == len(data)
        assert message.saver_def.keep_checkpoint_every_n_hours == np.inf
        assert (message.saver_def.max_to_keep, message.saver_def.version) == (0, version)
        assert message.graph_def.versions.producer > 1000
        names = [node.name for node in message.graph_def.node]
        assert len(set(names)) == len(names)
        known = {*names}
        for node in message.graph_def.node:
            assert {source.lstrip("^").partition(":")[0] for source in node.input} <= known
        assert {op.name for op in message.meta_info_def.stripped_op_list.op} == {
            node.op for node in message.graph_def.node
        }
        definitions = [
            message_class("VariableDef").FromString(value)
            for value in message.collection_def["variables"].bytes_list.value
        ]
        assert [d.is_resource for d in definitions] == [kind == "resource"] * 3
        assert definitions[2].save_slice_info_def.full_name == "p"
        assert list(definitions[2].save_slice_info_def.var_offset) == [200, 0]
        for d in definitions:
            tensors = (d.variable_name, d.snapshot_name, d.initial_value_name)
            assert {name.removesuffix(":0") for name in tensors} | {d.initializer_name} <= known
        assert len(message.collection_def["trainable_variables"].bytes_list.value) == 2


def test_no_variables():
    message = build_meta_graph([])
    assert not message.HasField("saver_def")
    assert list(message.graph_def.node) == []
    assert dict(message.collection_def) == {}


def test_names():
    names = Names()
    assert [names.take(name) for name in ("a", "a", "a_1", "a", "b")] == [
        *("a", "a_1", "a_1_1", "a_2", "b")
    ]
    assert [names.take_scope(scope) for scope in ("save", "a", "b/c", "b")] == [
        *("save", "a_3", "b/c", "b_1")
    ]
    assert [legal_name(name) for name in ("", "_", "a b", "a>", "a>b", "é", "/x", ".x")] == [
        *("v", "v_", "a_b", "a_", "a>b", "v_", "v/x", ".x")
    ]


def test_many_names_that_become_one():
    specs = [VariableSpec(chr(0x100 + i), "int8", ()) for i in range(3000)]
    message = build_meta_graph(specs)
    names = [node.name for node in message.graph_def.node]
    assert len(set(names)) == len(names)
    assert [names[0], names[4], names[4 * 2999]] == ["v_", "v__1", "v__2999"]
    saved = next(n for n in message.graph_def.node if n.name == "save/RestoreV2/tensor_names")
    keys = list(saved.attr["value"].tensor.string_val)
    assert keys == [spec.name.encode() for spec in specs]


def test_auxiliary_names_make_way_for_variables():
    specs = [VariableSpec(name, "int8", ()) for name in ("w", "w/read", "w/Init", "save", "w_1")]
    graph = build_meta_graph(specs).graph_def
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert [name for name in names if name.startswith("w/")][:5] == [
        *("w/Init_1", "w/Assign", "w/read_1", "w/read", "w/read/Init")
    ]
    assert "save_1/Const" in names


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("", ""),
        ("/cpu:0", "/device:CPU:0"),
        ("/device:GPU:3", "/device:GPU:3"),
        ("/job:ps/replica:0/task:12/gpu:*", "/job:ps/replica:0/task:12/device:GPU:*"),
        ("/job:*/task:1", "/task:1"),
    ],
)
def test_devices(device, expected):
    assert canonical_device(device) == expected


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, (1 << 14) - 1, 1 << 14, 1 << 62, -1])
def test_varints(value):
    message = message_class("TensorShapeProto")()
    message.dim.add(size=value)
    if value:
        assert message.dim[0].SerializeToString() == b"\x08" + varint(value)


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([VariableSpec("w", "int8", ())] * 2, "at least two variables have the same name: w"),
        ([VariableSpec("a", "int8", (), "k"), VariableSpec("b", "int8", (), "k")], "'k'"),
        ([VariableSpec("w", "int8", (-1,))], "shape must be a sequence of sizes"),
        ([VariableSpec("w", "int8", None)], "shape must be a sequence of sizes"),
        ([VariableSpec("w", "int8", ([2], 3))], "shape must be a sequence of sizes"),
        ([VariableSpec("w", "int8", (2.5,))], "shape must be a sequence of sizes"),
        ([VariableSpec("w", "floaty", ())], "not a dtype"),
        ([VariableSpec("w", 999, ())], "no DataType has the number"),
        ([VariableSpec("", "int8", ())], "must not be empty"),
        ([VariableSpec("a\ud800", "int8", ())], "lone surrogate"),
        ([VariableSpec(3, "int8", ())], "must be str"),
        ([VariableSpec("w", "int8", (), device="gpu one")], "not a device"),
        (
            [VariableSpec("w", "int8", (2,), full_name="p")],
            "needs full_name, full_shape and start",
        ),
        ([VariableSpec("w", "int8", (2,), None, "p", (3,), (2,))], "lies outside"),
        ([VariableSpec("w", "int8", (2,), None, "p", (3, 1), (0,))], "their lengths differ"),
        (
            [
                VariableSpec("w", "int8", (2,), None, "p", (4,), (0,)),
                VariableSpec("x", "int16", (2,), None, "p", (4,), (2,)),
            ],
            "slices of the tensor 'p' differ",
        ),
    ],
)
def test_wrong_variables(specs, words):
    with pytest.raises(InvalidArgumentError, match="(?s)" + words.replace("(", r"\(")):
        meta_graph_bytes(specs)


def test_wrong_options():
    spec = VariableSpec("w", "int8", ())
    with pytest.raises(InvalidArgumentError, match="kind must be"):
        meta_graph_bytes([spec], kind="reference")
    for saver, words in (
        (SaverSpec(version=3), "version 1 or 2"),
        (SaverSpec(max_to_keep=1 << 40), "must fit 32 bits"),
        (SaverSpec(max_to_keep="5"), "must be an int"),
        (SaverSpec(keep_checkpoint_every_n_hours="x"), "must be a number"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            meta_graph_bytes([spec], saver=saver)
    assert build_meta_graph([spec], saver=SaverSpec(-1)).saver_def.max_to_keep == -1


@pytest.mark.parametrize("name", ["qint16", "float8_e4m3fnuz", "resource"])
def test_types_that_no_variable_has(name):
    with pytest.raises(UnsupportedError, match=f"no variables of dtype {name}"):
        meta_graph_bytes([VariableSpec("w", name, ())])


class Named(NamedTuple):
    name: str


def test_collections():
    specs = [VariableSpec("w", "int8", ()), VariableSpec("global_step", "int64", ())]
    whole = message_class("CollectionDef")(node_list={"value": ["w:0"]})
    message = build_meta_graph(
        specs,
        collections={
            "texts": ["é", b"\xff"], "ints": [1, -2], "floats": [0.5, 2], "none": [],
            "global_step": specs[1:], "nodes": whole, "encoded": whole.SerializeToString(),
            "any": [Any(type_url="t", value=b"v")], "named": [Named("w:0")],
        },
    )  # fmt: skip
    found = message.collection_def
    assert list(found["texts"].bytes_list.value) == ["é".encode(), b"\xff"]
    assert list(found["ints"].int64_list.value) == [1, -2]
    assert list(found["floats"].float_list.value) == [0.5, 2.0]
    assert found["nodes"] == found["encoded"] == whole
    assert found["global_step"].bytes_list.value[0] == found["variables"].bytes_list.value[1]
    assert found["any"].any_list.value[0].type_url == "t"
    assert list(found["named"].node_list.value) == ["w:0"]
    assert "none" not in found
    for wrong in (
        [1, "a"],
        ["a", 1],
        [object()],
        [True],
        [Named(3)],
        [Any(), 1],
        [specs[0], 1],
        [VariableSpec("x", 1, ())],
    ):
        with pytest.raises(InvalidArgumentError, match="collection 'wrong'"):
            build_meta_graph(specs, collections={"wrong": wrong})


def test_two_gibibytes_are_refused(monkeypatch):
    monkeypatch.setattr(meta_building, "_MAX_BYTES", 1000)
    with pytest.raises(LimitExceededError, match="write_meta_graph=False"):
        meta_graph_bytes([VariableSpec("w", "int8", ())])
