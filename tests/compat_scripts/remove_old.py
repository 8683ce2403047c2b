"""Remove all checkpoints but the latest."""

import os

import tensorflow as tf

state = tf.train.get_checkpoint_state("run")
for path in state.all_model_checkpoint_paths:
    if path != state.model_checkpoint_path:
        tf.compat.v1.train.remove_checkpoint(path)
print(sorted(os.listdir("run")))
