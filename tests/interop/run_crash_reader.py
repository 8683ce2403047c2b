"""Read many prefixes with TensorFlow: which checkpoint is at each.

Argument: an .npz file with the arrays ``old:<name>`` and ``new:<name>``. Standard input: a JSON
list of prefixes; standard output: a JSON list of "old", "new", "absent", "mix" or "error: …".
"""

from __future__ import annotations

import json
import sys

import numpy as np
import tensorflow as tf


def generation_of(value: np.ndarray, arrays: dict[str, np.ndarray], name: str) -> str:
    """Say which of the two values this is."""
    if value.dtype == object:
        value = np.asarray([x.decode() for x in value.ravel()]).reshape(value.shape)
    for generation in ("old", "new"):
        if np.array_equal(value, arrays[f"{generation}:{name}"]):
            return generation
    return "neither"


def read(prefix: str, arrays: dict[str, np.ndarray]) -> str:
    """Read all tensors of one checkpoint."""
    names = {key.partition(":")[2] for key in arrays}
    try:
        reader = tf.train.load_checkpoint(prefix)
        listed = set(reader.get_variable_to_shape_map())
        found = {generation_of(reader.get_tensor(name), arrays, name) for name in listed}
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        # What is said of a prefix without an index.
        is_absent = "Failed to find any matching files" in str(error)
        return "absent" if is_absent else f"error: {error}"
    return found.pop() if len(found) == 1 and listed == names else "mix"


if __name__ == "__main__":
    with np.load(sys.argv[1]) as stored:
        expected = dict(stored)
    print(json.dumps([read(prefix, expected) for prefix in json.load(sys.stdin)]))
