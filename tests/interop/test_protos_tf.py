"""Messages of the private pool have the fields of TensorFlow's, by name, number and type."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pool
from tensorflow.core.framework import graph_pb2, op_def_pb2, variable_pb2
from tensorflow.core.protobuf import (
    control_flow_pb2,
    fingerprint_pb2,
    meta_graph_pb2,
    queue_runner_pb2,
    saved_model_pb2,
    saver_pb2,
    trackable_object_graph_pb2,
)

from fastckpt import protos

ROOTS = [
    control_flow_pb2.CondContextDef,
    control_flow_pb2.WhileContextDef,
    fingerprint_pb2.FingerprintDef,
    graph_pb2.GraphDef,
    meta_graph_pb2.MetaGraphDef,
    op_def_pb2.OpList,
    queue_runner_pb2.QueueRunnerDef,
    saved_model_pb2.SavedModel,
    saver_pb2.SaverDef,
    trackable_object_graph_pb2.TrackableObjectGraph,
    variable_pb2.VariableDef,
]


def describe(descriptor) -> dict[str, dict[str, object]]:
    """Describe a message and all that it refers to: fields by name, values of enums."""
    found: dict[str, dict[str, object]] = {}
    waiting = [descriptor]
    while waiting:
        message = waiting.pop()
        name = plain(message.full_name)
        if name in found:
            continue
        found[name] = {f.name: describe_field(f) for f in message.fields}
        waiting += [f.message_type for f in message.fields if f.message_type]
    return found


def describe_field(field) -> tuple[object, ...]:
    kind = plain(field.message_type.full_name) if field.message_type else field.type
    enum = {v.name: v.number for v in field.enum_type.values} if field.enum_type else None
    oneof = field.containing_oneof and field.containing_oneof.name
    oneof = None if oneof and oneof.startswith("_") else oneof
    return field.number, kind, field.is_repeated, enum, oneof


def plain(name: str) -> str:
    return name.removeprefix("tensorflow.").removeprefix(f"{protos.PACKAGE}.")


@pytest.mark.parametrize("root", ROOTS, ids=lambda x: x.DESCRIPTOR.name)
def test_fields_are_those_of_tensorflow(root) -> None:
    theirs = describe(root.DESCRIPTOR)
    ours = describe(protos.message_class(root.DESCRIPTOR.name).DESCRIPTOR)
    assert ours == theirs
    assert len(ours) >= 1


def test_the_pools_are_two() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName(f"{protos.PACKAGE}.GraphDef")
