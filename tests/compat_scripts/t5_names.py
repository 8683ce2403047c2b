"""Skip optimizer slots and transpose, as the T5 converter does; write what is left as npz."""

import numpy as np
import tensorflow as tf

found = {}
for name, shape in tf.train.list_variables("t5"):
    if "_slot_" in name or name == "global_step":
        print("skip", name, shape)
        continue
    array = tf.train.load_variable("t5", name)
    key = name.replace("block_", "block.").replace("layer_", "layer.").replace("/", ".")
    if "embedding" not in name:
        array = np.transpose(array.astype(np.float32))
    found[key] = array
np.savez("t5.npz", **found)
print(sorted(found))
