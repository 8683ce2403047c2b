"""Look into a SavedModel, and make one of a meta graph and a checkpoint.

Needs NumPy, protobuf and fastckpt.
"""

import numpy as np

import fastckpt
from fastckpt.graph import SavedModel

w = fastckpt.Variable(np.array([2.0, 3.0], np.float32), name="w")
prefix = fastckpt.Saver().save("checkpoint/model", global_step=1)

SavedModel.export(
    "exported/1",
    f"{prefix}.meta",
    prefix,
    signatures={"weights": {"inputs": {}, "outputs": {"w": "w/read:0"}}},
)

with SavedModel.load("exported/1") as model:
    print("tags:", model.tags)
    for name, signature in model.signatures.items():
        print(name, {key: str(tensor) for key, tensor in signature.outputs.items()})
    print("variables:", {name: array.tolist() for name, array in model.variables.items()})

# Its directory opens like any checkpoint.
print(fastckpt.load("exported/1"))
