"""Operations and tensors of graphs, and of graphs that are broken."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastckpt import errors
from fastckpt.graph import Graph, TensorDType
from fastckpt.protos import message_class
from unit.graph_files import FLOAT, GRAPH_TEXT, identity, make_graph, node, placeholder


@pytest.fixture(scope="module")
def small() -> Graph:
    return make_graph(GRAPH_TEXT, identity("z", "y", "^w"))


def test_operations(small: Graph) -> None:
    assert [op.name for op in small.get_operations()] == ["x", "w", "y", "z"]
    y = small.get_operation_by_name("y")
    assert (y.type, y.device, y.graph) == ("MatMul", "", small)
    assert [t.name for t in y.inputs] == ["x:0", "w:0"]
    assert y.inputs[0] is small.get_tensor_by_name("x:0")
    assert [t.name for t in y.values()] == [t.name for t in y.outputs] == ["y:0"]
    assert y.control_inputs == []
    z = small.get_operation_by_name("z")
    assert z.control_inputs == [small.get_operation_by_name("w")]
    assert small.get_operation_by_name("w").control_outputs == [z]
    assert y.op_def.name == "MatMul"
    assert repr(y) == "<tf.Operation 'y' type=MatMul>"
    assert str(y).startswith('name: "y"\nop: "MatMul"\n')
    assert y.colocation_groups() == [b"loc:@y"]


def test_tensors(small: Graph) -> None:
    x, w = small.get_tensor_by_name("x:0"), small.get_tensor_by_name("w:0")
    assert (x.name, x.op.name, x.value_index, x.graph, x.device) == ("x:0", "x", 0, small, "")
    assert (x.dtype, w.dtype.name, x.dtype == np.float32) == (TensorDType(1), "float32", True)
    assert x.shape == x.get_shape() == [None, 2]
    assert w.shape == (2, 3)
    assert [op.name for op in x.consumers()] == ["y"]
    assert small.get_tensor_by_name("z:0").consumers() == []
    square = make_graph(placeholder("p"), node("s", "Mul", "p", "p:0", extra=FLOAT))
    assert [op.name for op in square.get_tensor_by_name("p:0").consumers()] == ["s", "s"]
    assert repr(w) == "<tf.Tensor 'w:0' shape=(2, 3) dtype=float32>"
    assert str(x) == 'Tensor("x:0", shape=(None, 2), dtype=float32)'


def test_a_node_is_shared_and_its_copy_is_not(small: Graph) -> None:
    op = small.get_operation_by_name("y")
    copy = op.node_def
    copy.name = "changed"
    assert (op.node_def.name, small.as_graph_def().node[2].name) == ("y", "y")
    small.as_graph_def().node[0].name = "changed"
    assert small.get_operation_by_name("x").name == "x"
    assert small.versions.producer == small.graph_def_versions.producer == 22


def test_attributes(small: Graph) -> None:
    w, y = small.get_operation_by_name("w"), small.get_operation_by_name("y")
    assert y.get_attr("T") == np.float32
    assert y.get_attr("transpose_a") is False  # the default of the operation
    assert w.get_attr("value").float_val[0] == 1.5
    assert [d.size for d in small.get_operation_by_name("x").get_attr("shape").dim] == [-1, 2]
    with pytest.raises(ValueError, match=r"^Operation 'y' has no attr named 'nope'\.$"):
        y.get_attr("nope")
    lists = make_graph(
        node("s", "VarHandleOp", extra='attr { key: "_class" value { list { s: "loc:@a" } } }'),
        node("r", "RestoreV2", "s", "s", "s", extra=(
            'attr { key: "dtypes" value { list { type: DT_FLOAT type: DT_INT64 } } }'
        )),
    )  # fmt: skip
    assert lists.get_operation_by_name("r").get_attr("dtypes") == [np.float32, np.int64]
    assert lists.get_operation_by_name("s").get_attr("_class") == [b"loc:@a"]
    assert lists.get_operation_by_name("s").colocation_groups() == [b"loc:@a"]
    assert [t.dtype.name for t in lists.get_operation_by_name("r").outputs] == ["float32", "int64"]


def test_variables_are_references() -> None:
    text = (
        'attr { key: "dtype" value { type: DT_DOUBLE } } attr { key: "shape" value { shape {} } }'
    )
    found = make_graph(node("v", "VariableV2", extra=text), node("h", "VarHandleOp", extra=text))
    v, h = found.get_tensor_by_name("v:0"), found.get_tensor_by_name("h:0")
    assert repr(v) == "<tf.Tensor 'v:0' shape=() dtype=float64_ref>"
    assert (v.dtype.base_dtype, v.dtype.is_ref, int(v.dtype)) == (TensorDType(2), True, 102)
    assert v.dtype != v.dtype.base_dtype
    assert v.dtype.as_numpy_dtype is np.float64
    assert len({v.dtype, TensorDType(102), TensorDType(2)}) == 2
    assert (h.dtype.name, h.shape) == ("resource", ())


# --- graphs that are broken ----------------------------------------------------------------------

BROKEN = {
    "twice": ([placeholder("a"), placeholder("a")], "Node 'a' is not unique"),
    "dangling": ([identity("a", "b")], "Node 'a': Unknown input node 'b'"),
    "dangling control": (
        [identity("a", "a0", "^zz"), placeholder("a0")],
        "Unknown input node '^zz'",
    ),
    "no port": ([placeholder("p"), identity("a", "p:x")], "Unknown input node 'p:x'"),
    "negative port": ([placeholder("p"), identity("a", "p:-1")], "Unknown input node 'p:-1'"),
    "empty input": ([identity("a", "")], "Unknown input node ''"),
    "itself": ([identity("a", "a")], "1 nodes in a cycle or behind one: 'a' feed each other"),
    "cycle": (
        [identity("c", "b"), identity("b", "a"), identity("a", "b")],
        "3 nodes in a cycle or behind one: 'b', 'a' feed each other",
    ),
    "control cycle": ([node("a", "NoOp", "^b"), node("b", "NoOp", "^a")], "2 nodes in a cycle"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_graph(name: str) -> None:
    texts, says = BROKEN[name]
    with pytest.raises(errors.InvalidArgumentError, match=re.escape(says)) as caught:
        make_graph(*texts)
    assert caught.value.key is not None


def test_broken_nodes_raise_when_they_are_asked() -> None:
    found = make_graph(
        placeholder("p"),
        node("i", "Identity", "p"),
        identity("j", "p:7"),
        node("s", "Split", "p", "p", extra=(
            FLOAT + 'attr { key: "num_split" value { i: -3 } }'
        )),
        node("huge", "Split", "p", "p", extra=(
            FLOAT + 'attr { key: "num_split" value { i: 1000000000000 } }'
        )),
        node("t", "Identity", "p", extra='attr { key: "T" value { i: 3 } }'),
        node("future", "Identity", "p", extra='attr { key: "T" value { type: 999 } }'),
    )  # fmt: skip
    assert len(found.get_operations()) == 7
    for name, says in {
        "i": "lacks the attribute 'T'", "s": "is -3 where tensors are counted",
        "t": "is no 'type' but 'i'",
    }.items():  # fmt: skip
        with pytest.raises(errors.InvalidArgumentError, match=says):
            found.get_operation_by_name(name).values()
    with pytest.raises(errors.LimitExceededError, match="counts 1000000000000 tensors"):
        found.get_operation_by_name("huge").values()
    with pytest.raises(
        errors.InvalidArgumentError,
        match=r"Node 'j': Connecting to invalid output 7 of source node p which has 1 outputs\.",
    ):
        list(found.get_operation_by_name("j").inputs)
    with pytest.raises(errors.InvalidArgumentError, match="no DataType has the number 999"):
        str(found.get_tensor_by_name("future:0").dtype)
    assert "dtype=unknown" in repr(found.get_tensor_by_name("future:0"))


def test_operations_that_nobody_describes_are_listed() -> None:
    found = make_graph(
        placeholder("p"),
        node("c", "CustomOp", "p"),
        identity("d", "c:2"),
        node("e", "OtherOp", "c", "c:1"),
        node("wild", "CustomOp", "p"),
        node("taker", "OtherOp", "wild:4000000000"),
        node("last", "CustomOp", "d"),
    )
    op = found.get_operation_by_name("c")
    assert op.op_def is None
    assert [t.name for t in op.outputs] == ["c:0", "c:1", "c:2"]
    assert op.outputs[2].dtype == np.float32  # what its consumer takes
    with pytest.raises(errors.InvalidArgumentError, match="the dtype of 'c:0' is not known"):
        str(op.outputs[0].dtype)
    assert [t.name for t in found.get_operation_by_name("e").inputs] == ["c:0", "c:1"]
    assert len(found.get_operation_by_name("wild").outputs) == 4096
    assert found.get_operation_by_name("last").outputs == []


def test_operations_of_the_producer_and_functions_are_known() -> None:
    op_list = message_class("OpList")()
    op = op_list.op.add(name="CustomOp")
    op.output_arg.add(name="y", type=3)
    op.output_arg.add(name="z", type_attr="T", number_attr="N")
    op.attr.add(name="T", type="type").default_value.type = 9
    op.attr.add(name="N", type="int").default_value.i = 2
    found = make_graph(
        node("c", "CustomOp"),
        node("f", "my_function"),
        'library { function { signature { name: "my_function" '
        'output_arg { name: "r" type: DT_BOOL } } } }',
        op_list=op_list,
    )  # fmt: skip
    types = [t.dtype.name for t in found.get_operation_by_name("c").outputs]
    assert types == ["int32", "int64", "int64"]
    assert found.get_tensor_by_name("f:0").dtype == np.bool_
