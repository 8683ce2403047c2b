"""DeepLab and Inception style: a reader, aliases of names, arrays by kind into one npz."""

import collections
import os

import numpy as np
import tensorflow as tf
from tensorflow.python.training import py_checkpoint_reader

prefix = os.path.join("run", "model-20")
reader = py_checkpoint_reader.NewCheckpointReader(prefix)
kinds = collections.Counter()
found = {}
for key in reader.get_variable_to_shape_map():
    if "Momentum" in key or key == tf.compat.v1.GraphKeys.GLOBAL_STEP:
        print("skipped", key, int(reader.get_tensor(key)))
        continue
    alias = key.replace("/", "_").replace("_kernel", "_weights").replace("_bias", "_biases")
    kinds[reader.get_variable_to_dtype_map()[key].as_numpy_dtype.__name__] += 1
    found[alias] = reader.get_tensor(key)
print(sorted(found), dict(kinds), reader.has_tensor("nothing"))
np.savez("weights.npz", **found)
try:
    reader.get_tensor("nothing")
except (KeyError, tf.errors.NotFoundError):
    print("no such tensor")
print(sorted(str(reader.debug_string().decode()).split("\n")))
