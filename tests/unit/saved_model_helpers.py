"""Small SavedModels made of arrays."""

import numpy as np

from fastckpt.graph import SavedModel, build_meta_graph
from fastckpt.graph.meta_sources import specs_of

W = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.arange(3, dtype=np.float32)
ARRAYS = {"w": W, "b": B}
SIGNATURES = {"serving_default": {"inputs": {}, "outputs": {"weights": "w/read:0"}}}


def message(**options):
    return build_meta_graph(specs_of(ARRAYS), **options)


def export(directory, meta_graph=None, values=ARRAYS, **options):
    options.setdefault("signatures", SIGNATURES)
    return SavedModel.export(
        directory, message() if meta_graph is None else meta_graph, values, **options
    )
