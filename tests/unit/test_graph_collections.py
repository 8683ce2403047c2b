"""Collections of meta graphs, decoded; broken ones raise when they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from fastckpt import errors
from fastckpt.graph import GraphKeys, MetaGraph, build_meta_graph
from fastckpt.graph.meta_building import VariableSpec
from fastckpt.protos import message_class


@pytest.fixture
def meta() -> Any:
    variables = [
        VariableSpec("w", "float32", [2, 3]),
        VariableSpec("step", "int64", [], trainable=False),
        VariableSpec("part_1", "float32", [2], full_name="p", full_shape=[5], start=[3]),
    ]
    return build_meta_graph(variables)


def put(meta: Any, key: str, kind: str, *values: Any) -> None:
    getattr(meta.collection_def[key], kind).value.extend(values)


def test_every_kind(meta: Any) -> None:
    any_message = message_class("CollectionDef")().any_list.value.add(value=b"\x08\x01")
    put(meta, "nodes", "node_list", "w:0", "w", "w/read:0")
    put(meta, "bytes", "bytes_list", b"raw", b"\xff")
    put(meta, "ints", "int64_list", 1, 2**40)
    put(meta, "floats", "float_list", 0.5)
    put(meta, "any", "any_list", any_message)
    graph = MetaGraph(meta).graph
    assert [x.name for x in graph.get_collection("nodes")] == ["w:0", "w", "w/read:0"]
    assert graph.get_collection("nodes")[1] is graph.get_operation_by_name("w")
    assert graph.get_collection("bytes") == [b"raw", b"\xff"]
    assert graph.get_collection("ints") == [1, 2**40]
    assert graph.get_collection("floats") == [0.5]
    assert graph.get_collection("any") == [any_message]


def test_variables(meta: Any) -> None:
    graph = MetaGraph(meta).graph
    w, step, part = graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
    assert (w.name, w.dtype.name, w.shape, w.trainable) == ("w:0", "float32_ref", [2, 3], True)
    assert (w.op.name, w.initializer.name, w.device) == ("w", "w/Assign", "")
    assert (w.snapshot.name, w.value().name, w.is_resource) == ("w/read:0", "w/read:0", False)
    assert (w.save_slice_info, w.get_shape()) == (None, w.shape)
    assert (w.synchronization, w.aggregation) == (0, 0)
    assert w.to_proto().variable_name == "w:0"
    assert not step.trainable
    info = part.save_slice_info
    assert (info.full_name, info.full_shape, info.var_offset) == ("p", [5], [3])
    assert (info.var_shape, info.spec) == ([2], "5 3,2")
    assert graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)[0] is w
    assert graph.as_graph_element(w) is graph.get_tensor_by_name("w:0")
    assert repr(w) == "<GraphVariable 'w:0' shape=(2, 3) dtype=float32_ref>"


def test_resource_variables() -> None:
    meta = build_meta_graph([VariableSpec("w", "bfloat16", [2])], kind="resource")
    (w,) = MetaGraph(meta).graph.get_collection("variables")
    assert (w.name, w.dtype.name, w.shape, w.handle.dtype.name) == (
        "w:0", "bfloat16", [2], "resource",
    )  # fmt: skip
    assert w.snapshot.op.type == "ReadVariableOp"
    assert w.graph.as_graph_element(w) is w.snapshot


def test_keys_and_scopes(meta: Any) -> None:
    put(meta, "zeta", "int64_list", 1)
    put(meta, "alpha", "bytes_list", b"nameless")
    put(meta, "unbound_inputs", "bytes_list", b"x")
    meta.collection_def["kindless"].ClearField("node_list")
    graph = MetaGraph(meta).graph
    keys = ["trainable_variables", "alpha", "variables", "zeta"]
    assert graph.get_all_collection_keys() == graph.collections == keys
    names = [x.name for x in graph.get_collection("variables", "(w|part_)")]
    assert names == ["w:0", "part_1:0"]
    assert graph.get_collection("variables", "art") == []  # from the start of a name
    assert graph.get_collection("alpha", "") == []
    assert graph.get_collection("nope") == graph.get_collection("") == []
    assert "nope" not in graph.collections


def test_lists_are_fresh_and_references_live(meta: Any) -> None:
    graph = MetaGraph(meta).graph
    graph.get_collection("variables").clear()
    assert len(graph.get_collection("variables")) == 3
    graph.get_collection_ref("made").append(1)
    graph.get_collection_ref("variables").pop()
    assert graph.get_collection("made") == [1]
    assert len(graph.get_collection("variables")) == 2
    assert graph.get_all_collection_keys()[-1] == "made"


def test_queues_savers_and_contexts(meta: Any) -> None:
    queue = message_class("QueueRunnerDef")(
        queue_name="w", enqueue_op_name=["w/Assign"], close_op_name="w/Init", cancel_op_name="w"
    )
    cond = message_class("CondContextDef")(context_name="c", pred_name="w:0", pivot_name="step:0")
    cond.values_def.values.append("w:0")
    cond.values_def.external_values["w:0"] = "w/read:0"
    loop = message_class("WhileContextDef")(
        context_name="l", parallel_iterations=10, back_prop=True, pivot_name="w:0",
        loop_enter_names=["w:0"], loop_exit_names=["step:0"],
    )  # fmt: skip
    for key, message in {
        "queue_runners": queue, "cond_context": cond, "while_context": loop,
        "savers": meta.saver_def,
    }.items():  # fmt: skip
        put(meta, key, "bytes_list", message.SerializeToString())
    graph = MetaGraph(meta).graph
    (runner,) = graph.get_collection("queue_runners")
    assert (runner.name, runner.queue.name, runner.close_op.name) == ("w", "w", "w/Init")
    assert [x.name for x in runner.enqueue_ops] == ["w/Assign"]
    assert (runner.cancel_op.name, runner.queue_closed_exception_types) == ("w", (11,))
    (branch,) = graph.get_collection("cond_context")
    assert (branch.name, branch.pred.name, branch.pivot.name, branch.branch) == (
        "c", "w:0", "step:0", 0,
    )  # fmt: skip
    assert branch.values == {"w:0"}
    assert {k: x.name for k, x in branch.external_values.items()} == {"w:0": "w/read:0"}
    (found,) = graph.get_collection("while_context")
    assert (found.parallel_iterations, found.back_prop, found.swap_memory) == (10, True, False)
    assert [x.name for x in (*found.loop_enters, *found.loop_exits)] == ["w:0", "step:0"]
    (saver,) = graph.get_collection("savers")
    assert saver.as_saver_def() == saver.saver_def == meta.saver_def
    assert graph.get_collection("savers", "") == []  # it has no name


def test_who_is_trainable_where_the_producer_does_not_say(meta: Any) -> None:
    for version, known in {
        "1.8.0": False,
        "0.12.head": False,
        "1.9.0": True,
        "2.21": True,
    }.items():
        old = message_class("MetaGraphDef")()
        old.CopyFrom(meta)
        old.meta_info_def.tensorflow_version = version
        for key in ("variables", "trainable_variables"):
            values = old.collection_def[key].bytes_list.value
            for i, data in enumerate(values):
                variable = message_class("VariableDef").FromString(data)
                variable.trainable = False
                values[i] = variable.SerializeToString()
        variables = MetaGraph(old).graph.get_collection("variables")
        assert [x.trainable for x in variables] == ([False] * 3 if known else [True, False, True])


def test_damage_is_told_when_it_is_met(meta: Any) -> None:
    put(meta, "lost", "node_list", "w:0", "nobody:0")
    put(meta, "savers", "bytes_list", b"\xff\xff")
    broken = message_class("VariableDef")(variable_name="gone:0", initializer_name="")
    put(meta, "local_variables", "bytes_list", broken.SerializeToString())
    graph = MetaGraph(meta).graph
    with pytest.raises(KeyError, match="'nobody:0' refers to a Tensor which does not exist"):
        graph.get_collection("lost")
    with pytest.raises(errors.DataLossError, match="an entry of the collection 'savers' is no"):
        graph.get_collection("savers")
    (variable,) = graph.get_collection("local_variables")
    assert repr(variable) == "<GraphVariable 'gone:0' not in the graph>"
    with pytest.raises(KeyError, match="The name '' refers to an Operation not in the graph"):
        variable.initializer  # noqa: B018
    assert len(graph.get_collection("variables")) == 3  # the others are intact
