"""Convert a checkpoint to safetensors and back, bit for bit.

Needs NumPy and fastckpt; the file is read with safetensors where that is installed. The same on
the command line: `fastckpt convert model/ckpt weights.safetensors`.
"""

import importlib.util

import ml_dtypes
import numpy as np

import fastckpt
from fastckpt.tools.convert import convert

arrays = {
    "kernel": np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32),
    "half": np.arange(4).astype(ml_dtypes.bfloat16),
    "vocabulary": ["the", "of"],
}
fastckpt.save("model/ckpt", arrays)

# What the other format cannot hold is an error, unless asked for.
try:
    convert("model/ckpt", "weights.safetensors")
except fastckpt.UnsupportedError as error:
    print(f"UnsupportedError: {error}")
result = convert("model/ckpt", "weights.safetensors", skip_unsupported=True)
print("written:", result.tensors, "tensors,", result.nbytes, "bytes")

if importlib.util.find_spec("safetensors"):
    from safetensors.numpy import load_file

    print(
        "safetensors reads:",
        {k: v.shape for k, v in sorted(load_file("weights.safetensors").items())},
    )

convert("weights.safetensors", "back/ckpt")
back = fastckpt.load("back/ckpt")
print("equal:", all(back[k].tobytes() == arrays[k].tobytes() for k in back), sorted(back))
