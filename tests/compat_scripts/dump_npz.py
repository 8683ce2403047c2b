"""Dump all variables of the latest checkpoint into one npz file."""

import numpy as np
import tensorflow as tf

latest = tf.train.latest_checkpoint("run")
print(latest)
data = {name: tf.train.load_variable(latest, name) for name, _ in tf.train.list_variables(latest)}
np.savez("dump.npz", **data)
for name, value in sorted(data.items()):
    print(name, np.asarray(value).dtype, np.shape(value))
