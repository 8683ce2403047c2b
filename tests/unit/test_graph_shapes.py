"""Order, devices and static shapes, as TensorFlow has them after an import."""

from __future__ import annotations

import pytest

from fastckpt.graph import Graph, TensorShape
from fastckpt.graph.devices import canonical_device
from fastckpt.protos import message_class
from unit.graph_files import FLOAT, identity, make_graph, node, place, placeholder


def test_the_order_is_that_of_an_import() -> None:
    found = make_graph(identity("c", "b"), identity("b", "a"), placeholder("a"), placeholder("z"))
    assert [op.name for op in found.get_operations()] == ["a", "b", "c", "z"]
    loop = make_graph(
        placeholder("p"),
        node("enter", "Enter", "p"),
        node("merge", "Merge", "enter", "next"),
        identity("body", "merge"),
        node("next", "NextIteration", "body"),
    )
    assert [op.name for op in loop.get_operations()] == ["p", "enter", "merge", "body", "next"]


@pytest.mark.parametrize(
    ("device", "full"),
    {
        "": "", "/cpu:0": "/device:CPU:0", "cpu:0": "/device:CPU:0", "/cpu": "/device:CPU:*",
        "/device:gpu:*": "/device:GPU:*", "/task:1/job:a": "/job:a/task:1", "//": "",
        "/job:w/replica:0/task:0/device:CPU:0": "/job:w/replica:0/task:0/device:CPU:0",
        "/job:a/device:CPU:00": "/job:a/device:CPU:0", "/device:XLA_CPU:0": "/device:XLA_CPU:0",
        "garbage": "garbage", "/replica:x": "/replica:x", "/cpu:x": "/cpu:x", "/npu:3": "/npu:3",
        "/device:CPU:0/gpu:0": "/device:CPU:0/gpu:0", "/cpu:" + "9" * 5000: "/cpu:" + "9" * 5000,
    }.items(),
)  # fmt: skip
def test_devices_in_full(device: str, full: str) -> None:
    assert canonical_device(device) == full


def test_the_device_of_colocated_operations_counts() -> None:
    found = make_graph(
        placeholder("p"),
        identity("a", "p", extra=place("/gpu:0")),
        identity("b", "p", extra=place("/cpu:0", "a")),
        identity("c", "p", extra=place("", "nobody", "p", "a")),
        identity("d", "p", extra=place("/cpu:0", "d")),
        identity("e", "p", extra=place("/cpu:0", "p")),
    )
    devices = {op.name: op.device for op in found.get_operations() if op.device}
    gpu = "/device:GPU:0"
    assert devices == {"a": gpu, "b": gpu, "c": gpu, "d": "/device:CPU:0"}
    assert f"device={gpu})" in str(found.get_tensor_by_name("b:0"))


def test_shapes() -> None:
    shape = 'attr { key: "shape" value { shape { dim { size: 4 } dim { size: -1 } } } }'
    dtype = 'attr { key: "dtype" value { type: DT_FLOAT } }'
    saved = 'attr { key: "_output_shapes" value { list { shape { dim { size: 7 } } } } }'
    texts = [
        node("v", "VarHandleOp", extra=shape + dtype),
        node("r", "ReadVariableOp", "v", extra=dtype),
        identity("i", "r"),
        identity("s", "r", extra=saved),
        node("old", "Placeholder", extra=dtype + 'attr { key: "shape" value { shape {} } }'),
        node("n", "Neg", "i", extra=FLOAT),
    ]
    found, before = make_graph(*texts, "versions { producer: 24 }"), make_graph(*texts)
    shapes = {op.name: op.outputs[0].shape for op in found.get_operations()}
    assert (shapes["v"], shapes["r"], shapes["i"]) == ((), [4, None], [4, None])
    assert (shapes["s"], shapes["old"], shapes["n"].rank) == ([7], (), None)
    assert before.get_tensor_by_name("old:0").shape.rank is None
    assert str(before.get_tensor_by_name("old:0")) == 'Tensor("old:0", dtype=float32)'


def test_shape_class() -> None:
    known, part, none = TensorShape((2, 3)), TensorShape([None, 3]), TensorShape(None)
    assert (known.as_list(), list(part), none.dims, none.rank) == ([2, 3], [None, 3], None, None)
    assert (len(part), part[1], part[:1], none[0], none[:1]) == (2, 3, [None], None, none)
    assert (str(part), repr(part), str(none)) == (
        "(None, 3)",
        "TensorShape([None, 3])",
        "<unknown>",
    )
    assert (known.num_elements(), part.num_elements(), TensorShape(()).num_elements()) == (
        6,
        None,
        1,
    )
    assert (known.is_fully_defined(), part.is_fully_defined(), bool(none)) == (True, False, False)
    assert part.is_compatible_with([5, 3])
    assert none.is_compatible_with(part)
    assert not part.is_compatible_with([5])
    assert part != [5, 3]
    assert part != "shape"
    assert TensorShape(known.as_proto()) == known
    assert TensorShape(none.as_proto()) == none
    assert TensorShape(7) == [7]
    assert len({known, TensorShape([2, 3])}) == 1
    for use in (len, list, TensorShape.as_list):
        with pytest.raises(ValueError, match="unknown"):
            use(none)
    with pytest.raises(TypeError, match="not a shape"):
        TensorShape("ab")


def test_a_long_chain_takes_no_recursion_and_no_quadratic_work() -> None:
    count = 30_000
    graph_def = message_class("GraphDef")()
    graph_def.node.add(name="n0", op="Placeholder").attr["dtype"].type = 1
    for i in range(1, count):
        graph_def.node.add(name=f"n{i}", op="Identity", input=[f"n{i - 1}"]).attr["T"].type = 1
    nodes = list(graph_def.node)
    reversed_def = message_class("GraphDef")(node=nodes[::-1])
    for found in (Graph(graph_def), Graph(reversed_def)):
        operations = found.get_operations()
        assert [operations[0].name, operations[-1].name] == ["n0", f"n{count - 1}"]
        assert sum(len(op.outputs) + len(op.inputs) for op in operations) == 2 * count - 1
        last = found.get_tensor_by_name(f"n{count - 1}:0")
        assert last.op.inputs[0].consumers() == [last.op]
        assert last.shape.rank is None  # as far as copies are followed
