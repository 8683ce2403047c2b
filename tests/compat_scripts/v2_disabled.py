"""The first lines of many ported programs: compat.v1, version 2 switched off."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)

print(tf.executing_eagerly())
reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint("run"))
renamed = {}
for old_name in sorted(reader.get_variable_to_shape_map()):
    new_name = old_name.replace("dense/", "fc/")
    renamed[new_name] = tf.Variable(reader.get_tensor(old_name), name=new_name)
step = tf.train.get_or_create_global_step()
bump = tf.assign_add(step, 5)
change = renamed["fc/bias"].assign(np.array([1.0, 2.0]))
init = tf.global_variables_initializer()
saver = tf.train.Saver(renamed, max_to_keep=1)
with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as sess:
    sess.run(init)
    print(sess.run(renamed["fc/bias"]).tolist())
    print(sess.run([change, bump])[1], renamed["fc/bias"].eval().tolist())
    print(saver.save(sess, "renamed/model", global_step=step))
    print(tf.train.global_step(sess, step))
print(tf.train.list_variables("renamed"))
with tf.Session() as sess:
    saver.restore(sess, tf.train.latest_checkpoint("renamed"))
    print(sorted((v.op.name, v.get_shape().as_list()) for v in tf.global_variables()))
    print(tf.get_default_graph().get_tensor_by_name("fc/kernel:0").eval().tolist())
    print(sess.run("fc/kernel:0").tolist() if False else "")
