"""Protocol buffer messages in a private descriptor pool.

Pool and package (``fastckpt.private``) are fastckpt's own, so these messages live beside
TensorFlow's in one process whichever is imported first. protobuf is imported on first use.

The ``.proto`` files beside this module are the source of ``descriptors.binpb``;
``scripts/make_protos.py`` rebuilds it.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

__all__ = ["PACKAGE", "message_class"]

PACKAGE = "fastckpt.private"

_lock = threading.Lock()


def message_class(name: str) -> Any:
    """Give the class of the message `name` of the private package.

    >>> message_class("CheckpointState")(model_checkpoint_path="m-1").model_checkpoint_path
    'm-1'

    Parameters
    ----------
    name : str
        Name inside the package, such as ``"CheckpointState"``.

    Returns
    -------
    type
        The same class on every call.

    Raises
    ------
    KeyError
        No such message.
    """
    # One pool and one class for all threads: messages of two pools do not mix.
    with _lock:
        return _class(name)


@functools.cache
def _class(name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@functools.cache
def _pool() -> Any:
    from importlib import resources

    from google.protobuf import descriptor_pb2, descriptor_pool

    data = resources.files(__name__).joinpath("descriptors.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool
