"""Variables and constants as NumPy and Python see them, outside of any graph."""

import numpy as np
import tensorflow as tf

v = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="v")
print(v.name, v.shape, v.shape.as_list(), tuple(v.shape), v.shape.rank, v.dtype, v.trainable)
print(v.shape == (2, 3), list(v.shape) == [2, 3], v.shape[1], len(v.shape), np.prod(v.shape))
print(np.asarray(v).sum(), np.array(v).dtype, v.numpy().flags.writeable)
copy = v.numpy()
copy[:] = 9
print(v.numpy().max())
n = tf.Variable(3, dtype=tf.int64)
n.assign_add(2)
n.assign_sub(1)
print(int(n), float(n), n.numpy(), type(n.numpy()).__name__, bool(n), f"{int(n):03d}")
print(n.assign(7).numpy(), n.read_value().numpy(), n.value().numpy())
for bad in ([1.0], np.zeros((3, 2), np.float32)):
    try:
        v.assign(bad)
    except ValueError:
        print("shape mismatch")
s = tf.Variable("text")
print(s.numpy(), s.dtype.name, s.shape)
b = tf.Variable([True, False])
print(b.dtype.name, b.numpy().tolist(), tf.Variable(1.5).dtype.name, tf.Variable([1]).dtype.name)
h = tf.Variable([1, 2], dtype=tf.bfloat16)
print(h.dtype.name, h.numpy().astype(np.float32).tolist(), h.dtype.is_floating, h.dtype.size)
c = tf.constant([[1, 2], [3, 4]])
print(c.numpy().tolist(), c.shape, c.dtype.name, tf.cast(c, tf.float64).numpy().tolist())
print(tf.zeros((2,), tf.int32).numpy().tolist(), tf.ones([1, 2]).dtype.name)
print(tf.convert_to_tensor([1.0]).numpy(), tf.convert_to_tensor(v).numpy().shape)
print(repr(n), repr(v).count("numpy="))
twice = [tf.Variable(0.0), tf.Variable(0.0)]
print([x.name for x in twice], tf.executing_eagerly())
path = tf.train.Checkpoint(twice=twice, v=v, s=s, b=b, h=h).write("eager/values")
print(tf.train.load_variable(path, "s/.ATTRIBUTES/VARIABLE_VALUE"))
with tf.name_scope("outer"):
    print(tf.Variable(1.0, name="x").name)
