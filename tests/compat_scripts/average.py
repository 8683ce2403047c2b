"""Average the checkpoints of a directory, as tensor2tensor's script does."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
checkpoints = tf.train.get_checkpoint_state("run").all_model_checkpoint_paths[-3:]
values, dtypes = {}, {}
for name, shape in tf.train.list_variables(checkpoints[0]):
    if not name.startswith("global_step"):
        values[name] = np.zeros(shape)
for checkpoint in checkpoints:
    reader = tf.train.load_checkpoint(checkpoint)
    for name in values:
        tensor = reader.get_tensor(name)
        dtypes[name] = tensor.dtype
        values[name] += tensor
    tf.logging.info("Read from checkpoint %s", checkpoint)
for name in values:
    values[name] /= len(checkpoints)
with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
    tf_vars = [tf.get_variable(v, shape=values[v].shape, dtype=dtypes[v]) for v in values]
placeholders = [tf.placeholder(v.dtype, shape=v.shape) for v in tf_vars]
assign_ops = [tf.assign(v, p) for v, p in zip(tf_vars, placeholders, strict=True)]
global_step = tf.Variable(0, name="global_step", trainable=False, dtype=tf.int64)
saver = tf.train.Saver(tf.all_variables())
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for p, assign_op, value in zip(placeholders, assign_ops, values.values(), strict=True):
        sess.run(assign_op, {p: value})
    print(saver.save(sess, "averaged/model", global_step=global_step))
print(tf.train.list_variables("averaged"))
