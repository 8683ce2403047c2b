"""SavedModels both ways: fastckpt exports what TensorFlow loads, and reads what TensorFlow saves.

Needs TensorFlow and fastckpt.
"""

import numpy as np
import tensorflow as tf

import fastckpt
from fastckpt.graph import SavedModel

tf1 = tf.compat.v1

with tf.Graph().as_default(), tf1.Session() as sess:
    x = tf1.placeholder(tf.float32, [None, 2], name="x")
    w = tf1.get_variable("w", initializer=[[2.0], [3.0]])
    tf.matmul(x, w, name="y")
    sess.run(tf1.global_variables_initializer())
    prefix = fastckpt.Saver().save(sess, "checkpoint/model")

SavedModel.export(
    "exported/1",
    f"{prefix}.meta",
    prefix,
    signatures={"serving_default": {"inputs": {"x": "x:0"}, "outputs": {"y": "y:0"}}},
)
loaded = tf.saved_model.load("exported/1")
call = loaded.signatures["serving_default"]
print("TensorFlow calls it:", call(x=tf.constant([[1.0, 1.0]]))["y"].numpy().tolist())


class Scale(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable(3.0, name="factor")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        return values * self.factor


module = Scale()
tf.saved_model.save(module, "scale", signatures=module.__call__)
with SavedModel.load("scale") as model:
    print("tags:", model.tags, "signatures:", sorted(model.signatures))
    for name, array in model.variables.items():
        if array.dtype == np.float32:
            print(name, float(array))
