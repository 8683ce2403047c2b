"""Average with NewCheckpointReader alone and store the result as npz."""

import numpy as np
import tensorflow as tf

state = tf.train.get_checkpoint_state("run")
total = None
for path in state.all_model_checkpoint_paths:
    reader = tf.compat.v1.train.NewCheckpointReader(path)
    arrays = {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if reader.get_variable_to_dtype_map()[name] == tf.float32
    }
    total = arrays if total is None else {k: total[k] + arrays[k] for k in arrays}
mean = {name: value / len(state.all_model_checkpoint_paths) for name, value in total.items()}
np.savez("mean.npz", **{k.replace("/", "."): v for k, v in mean.items()})
for name in sorted(mean):
    print(name, mean[name].dtype, mean[name].shape)
