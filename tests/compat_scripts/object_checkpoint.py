"""Save objects by their places, change them, and restore: the guide to training checkpoints."""

import numpy as np
import tensorflow as tf


class Dense(tf.Module):
    def __init__(self, rows, columns, name=None):
        super().__init__(name=name)
        self.kernel = tf.Variable(np.full((rows, columns), 0.5, np.float32), name="kernel")
        self.bias = tf.Variable(tf.zeros([columns]), name="bias")
        self.activation = "relu"


class Net(tf.Module):
    def __init__(self):
        super().__init__(name="net")
        self.layers = [Dense(2, 3, name="first"), Dense(3, 1, name="second")]
        self.scales = {"in": tf.Variable(1.0), "out": (tf.Variable([2.0, 3.0]), 7)}
        self.sizes = [2, 3, 1]


net = Net()
step = tf.Variable(1, name="step")
checkpoint = tf.train.Checkpoint(step=step, net=net)
manager = tf.train.CheckpointManager(checkpoint, "objects", max_to_keep=3)
print(checkpoint.restore(manager.latest_checkpoint) is None, manager.latest_checkpoint)
for _ in range(25):
    checkpoint.step.assign_add(1)
    if int(checkpoint.step) % 10 == 0:
        net.layers[0].bias.assign(np.full(3, int(step), np.float32))
        print(f"Saved checkpoint for step {int(checkpoint.step)}: {manager.save()}")
print(manager.checkpoints, tf.train.latest_checkpoint("objects"))

other = Net()
again = tf.train.Checkpoint(step=tf.Variable(0), net=other)
status = again.restore(manager.latest_checkpoint)
status.assert_consumed()
status.assert_existing_objects_matched()
print(int(again.step), again.save_counter.numpy(), other.layers[0].bias.numpy().tolist())
print([v.name for v in other.variables], [tuple(v.shape) for v in other.trainable_variables])
for name, shape in tf.train.list_variables(tf.train.latest_checkpoint("objects")):
    print(name, shape)
print(again.save("objects/more"), again.write("objects/plain"))
