"""Make one variable after the other and save them, as converters to TensorFlow do."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
state_dict = {
    "encoder.layer.0.attention.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "encoder.layer.0.attention.bias": np.ones(2, np.float32),
    "embeddings.weight": np.full((4, 2), 0.5, np.float16),
}


def to_tf_name(name):
    for old, new in (("layer.", "layer_"), (".", "/"), ("weight", "kernel")):
        name = name.replace(old, new)
    return f"bert/{name}"


def create_tf_var(array, name, session):
    tf_var = tf.get_variable(
        dtype=tf.dtypes.as_dtype(array.dtype), shape=array.shape, name=name,
        initializer=tf.zeros_initializer(),
    )  # fmt: skip
    session.run(tf.variables_initializer([tf_var]))
    session.run(tf_var)
    return tf_var


tf.reset_default_graph()
with tf.Session() as session:
    for name, tensor in state_dict.items():
        array = tensor.T if "attention.weight" in name else tensor
        tf_var = create_tf_var(array, to_tf_name(name), session)
        tf_var.load(array, session)
        tf_weight = session.run(tf_var)
        print(f"Successfully created {tf_var.op.name}: {np.allclose(tf_weight, array)}")
    saver = tf.train.Saver(tf.trainable_variables())
    print(saver.save(session, "converted/bert.ckpt"))
print(tf.train.list_variables("converted/bert.ckpt"))
