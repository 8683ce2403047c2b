"""What is left of contrib: guards that programs have around it."""

import tensorflow as tf

print(hasattr(tf, "nothing_of_the_kind"))
try:
    from tensorflow.contrib import slim  # noqa: F401
except ImportError as error:
    print(type(error).__name__)
except AttributeError as error:
    print(type(error).__name__)
version = tuple(int(x) for x in tf.__version__.split(".")[:2])
print(version[0] == 2, tf.__version__ == tf.version.VERSION)
if version >= (2, 0):
    tf = tf.compat.v1
print(tf.train.NewCheckpointReader("mixed/ckpt").has_tensor("f"))
print(tf.test.is_gpu_available() if False else "", tf.config.list_physical_devices("GPU"))
