"""Store float32 as float16, and leave the rest."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
reader = tf.train.load_checkpoint("run")
dtypes = reader.get_variable_to_dtype_map()
with tf.Session() as sess:
    for name in sorted(reader.get_variable_to_shape_map()):
        value = reader.get_tensor(name)
        if dtypes[name] == tf.float32:
            value = value.astype(np.float16)
        tf.Variable(value, name=name)
    sess.run(tf.global_variables_initializer())
    tf.train.Saver().save(sess, "half/model", write_meta_graph=False)
for name, dtype in sorted(tf.train.load_checkpoint("half").get_variable_to_dtype_map().items()):
    print(name, dtype.name, dtype.size, dtype.as_numpy_dtype.__name__)
