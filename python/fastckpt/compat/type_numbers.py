"""``types_pb2``: the numbers of dtypes in messages, by their names."""

from __future__ import annotations

from typing import Any

from fastckpt import protos

__all__ = ["DataType"]


def _data_type() -> Any:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    field = protos.message_class("AttrValue").DESCRIPTOR.fields_by_name["type"]
    return EnumTypeWrapper(field.enum_type)


DataType: Any = _data_type()


def __getattr__(name: str) -> int:
    if name.startswith("DT_") and name in DataType.keys():  # noqa: SIM118 - no mapping
        return int(DataType.Value(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
