"""SavedModels into the graph of a session: ``tf.saved_model.loader`` and its constants."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from fastckpt.checkpoint.tensorflow_errors import as_text
from fastckpt.compat.importing import import_meta_graph
from fastckpt.compat.namespace import MissingError
from fastckpt.compat.session import Session
from fastckpt.graph import SavedModel

__all__ = [
    "contains_saved_model",
    "load",
    "maybe_saved_model_directory",
    "signature_constants",
    "tag_constants",
]

tag_constants = SimpleNamespace(
    SERVING="serve", TRAINING="train", EVAL="eval", GPU="gpu", TPU="tpu"
)

signature_constants = SimpleNamespace(
    DEFAULT_SERVING_SIGNATURE_DEF_KEY="serving_default",
    CLASSIFY_INPUTS="inputs",
    CLASSIFY_METHOD_NAME="tensorflow/serving/classify",
    CLASSIFY_OUTPUT_CLASSES="classes",
    CLASSIFY_OUTPUT_SCORES="scores",
    PREDICT_INPUTS="inputs",
    PREDICT_METHOD_NAME="tensorflow/serving/predict",
    PREDICT_OUTPUTS="outputs",
    REGRESS_INPUTS="inputs",
    REGRESS_METHOD_NAME="tensorflow/serving/regress",
    REGRESS_OUTPUTS="outputs",
)

_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")


def maybe_saved_model_directory(export_dir: Any) -> bool:
    """Whether a directory looks like a SavedModel."""
    path = as_text(export_dir, "export_dir", paths=True)
    return any(os.path.isfile(os.path.join(path, name)) for name in _FILES)


contains_saved_model = maybe_saved_model_directory


def load(
    sess: Any,
    tags: Any = None,
    export_dir: Any = None,
    import_scope: str | None = None,
    **_: Any,
) -> Any:
    """Bring a SavedModel into the graph of a session, and restore its variables.

    Returns
    -------
    MetaGraphDef

    Raises
    ------
    NoMetaGraphError
        None has these tags; a RuntimeError.
    CheckpointNotFoundError
        No SavedModel there; an OSError.
    MissingError
        TensorFlow 2's function of this name, which gives objects that compute.
    """
    if not isinstance(sess, Session):
        raise MissingError(
            "tf.saved_model.load(export_dir), without a session, is not part of fastckpt.compat: "
            "fastckpt.graph.SavedModel.load gives variables and signatures, and "
            "tf.train.load_checkpoint(f'{export_dir}/variables/variables') the variables alone",
            key="tf.saved_model.load",
        )
    with SavedModel.load(export_dir) as model, sess.graph.as_default():
        message = model.meta_graph(tags).meta_graph_def
        saver = import_meta_graph(message, import_scope=import_scope)
        if saver is not None and model.has_variables:
            saver.restore(sess, os.path.join(model.path, "variables", "variables"))
    return message
