"""Walk over every checkpoint of a state file, and average those that are left."""

import os

import numpy as np
import tensorflow as tf
from tensorflow.python.training import checkpoint_utils

state = tf.train.get_checkpoint_state("run")
print(os.path.basename(state.model_checkpoint_path), len(state.all_model_checkpoint_paths))
total = {}
for path in state.all_model_checkpoint_paths:
    if not tf.compat.v1.train.checkpoint_exists(path):
        continue
    step = int(path.split("/")[-1].split("-")[-1])
    for name, _ in checkpoint_utils.list_variables(ckpt_dir_or_file=path):
        value = checkpoint_utils.load_variable(ckpt_dir_or_file=path, name=name + ":0")
        total[name] = total.get(name, 0) + np.asarray(value, np.float64)
    print(step, len(total))
count = len(state.all_model_checkpoint_paths)
with tf.Graph().as_default():
    variables = []
    for name, value in sorted(total.items()):
        dtype = tf.int64 if name == "global_step" else tf.float32
        variables.append(
            tf.compat.v1.get_variable(
                name, shape=value.shape, dtype=dtype, trainable=dtype.is_floating
            )
        )
    placeholders = [tf.compat.v1.placeholder(v.dtype, shape=v.shape) for v in variables]
    assigns = [tf.compat.v1.assign(v, p) for v, p in zip(variables, placeholders, strict=True)]
    saver = tf.compat.v1.train.Saver(tf.compat.v1.global_variables())
    with tf.compat.v1.Session() as sess:
        sess.run(tf.compat.v1.global_variables_initializer())
        for p, assign, (_, value) in zip(
            placeholders, assigns, sorted(total.items()), strict=True
        ):
            sess.run(assign, {p: value / count})
        print(saver.save(sess, "averaged/model", write_meta_graph=False))
        print([v.op.name for v in tf.compat.v1.trainable_variables()])
print(tf.train.load_variable("averaged", "dense/kernel").tolist())
