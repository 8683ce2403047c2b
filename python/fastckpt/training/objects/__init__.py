"""``tf.train.Checkpoint`` without TensorFlow: objects that own variables, saved by their places.

Attributes, dicts and lists are tracked as they are assigned (`tracking`), numbered and keyed as
TensorFlow does it when they are saved (`states`), and matched by their names when they are
restored (`restoration`), those included that the program makes later.
"""

from fastckpt.training.objects.checkpoint import ObjectCheckpoint
from fastckpt.training.objects.modules import Module
from fastckpt.training.objects.rules import Rules
from fastckpt.training.objects.status import (
    InitializationOnlyStatus,
    LoadStatus,
    NameBasedStatus,
)

__all__ = [
    "InitializationOnlyStatus",
    "LoadStatus",
    "Module",
    "NameBasedStatus",
    "ObjectCheckpoint",
    "Rules",
]
