"""Names, shapes and dtypes as a table, and what has_tensor says."""

import tensorflow as tf

reader = tf.train.load_checkpoint("mixed/ckpt")
shapes = reader.get_variable_to_shape_map()
dtypes = reader.get_variable_to_dtype_map()
for name in sorted(shapes):
    value = reader.get_tensor(name)
    print(f"{name:12} {dtypes[name].name:12} {shapes[name]} {value!r}")
print(reader.has_tensor("f"), reader.has_tensor("f:0"), reader.debug_string().decode())
