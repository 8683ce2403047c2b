"""Average object-based checkpoints of a module, as training toolkits of TensorFlow 2 do."""

import numpy as np
import tensorflow as tf


class Model(tf.Module):
    def __init__(self, units):
        super().__init__()
        self.dense = {
            "kernel": tf.Variable(tf.zeros([units, units])),
            "bias": tf.Variable(tf.zeros([units])),
        }
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def __call__(self, x):
        return tf.matmul(x, self.dense["kernel"]) + self.dense["bias"]


model = Model(2)
checkpoint = tf.train.Checkpoint(model=model)
manager = tf.train.CheckpointManager(checkpoint, "toolkit", max_to_keep=4, checkpoint_name="avg")
for number in range(1, 6):
    for v in tf.nest.flatten(model.dense):
        v.assign(np.full(v.shape, number, np.float32))
    model.step.assign(number * 100)
    manager.save(checkpoint_number=model.step)
print(manager.checkpoints)

sums = None
for path in manager.checkpoints:
    checkpoint.restore(path).assert_consumed()
    values = tf.nest.map_structure(lambda v: v.numpy().astype(np.float64), dict(model.dense))
    sums = values if sums is None else tf.nest.map_structure(np.add, sums, values)
    print(int(model.step), [float(x.sum()) for x in tf.nest.flatten(values)])
for name, variable in model.dense.items():
    variable.assign((sums[name] / len(manager.checkpoints)).astype(np.float32))
final = tf.train.Checkpoint(model=model).write("toolkit/average")
print(final, tf.train.load_variable(final, "model/dense/bias/.ATTRIBUTES/VARIABLE_VALUE").tolist())
print([v.name for v in model.trainable_variables], tf.nest.is_nested([1]))
try:
    tf.nest.map_structure(np.add, [1], [1, 2])
except ValueError:
    print("not alike")
tf.io.gfile.remove("toolkit/checkpoint")
