"""Bring a name-based checkpoint into the object-based form, and list what both hold."""

import tensorflow as tf

source = tf.train.latest_checkpoint("run")
reader = tf.train.load_checkpoint(source)
shapes = reader.get_variable_to_shape_map()
dtypes = reader.get_variable_to_dtype_map()

variables = {}
for name in sorted(shapes):
    variables[name] = tf.Variable(reader.get_tensor(name), name=name, dtype=dtypes[name])
    print(name, shapes[name], dtypes[name].name, variables[name].dtype == dtypes[name])
path = tf.train.Checkpoint(vars=variables).save("converted/ckpt")
print(path)
for name, shape in tf.train.list_variables(path):
    print(name, shape)

blank = {}
for name, shape in shapes.items():
    blank[name] = tf.Variable(tf.zeros(shape, dtypes[name]), name=name)
tf.train.Checkpoint(vars=blank).restore(path).assert_consumed()
print({name: v.numpy().ravel().tolist() for name, v in sorted(blank.items())})
by_name = tf.Variable(tf.zeros((2, 2)), name="dense/kernel")
status = tf.train.Checkpoint(anything=by_name).restore(source)
status.assert_existing_objects_matched()
print(by_name.numpy().tolist())
saver = tf.compat.v1.train.Saver({"dense/kernel": by_name})
print(saver.save(None, "converted/names", write_meta_graph=False))
by_name.assign(tf.zeros((2, 2)))
saver.restore(None, "converted/names")
print(by_name.numpy().tolist())
