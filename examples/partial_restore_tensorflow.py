"""Save some variables, restore some of them, and give them other names, in a session.

Needs TensorFlow and fastckpt.
"""

import tensorflow.compat.v1 as tf

import fastckpt

tf.disable_v2_behavior()

with tf.Graph().as_default(), tf.Session() as sess:
    v1 = tf.get_variable("v1", shape=[3], initializer=tf.zeros_initializer())
    v2 = tf.get_variable("v2", shape=[5], initializer=tf.zeros_initializer())
    sess.run(tf.global_variables_initializer())
    sess.run([v1.assign(v1 + 1), v2.assign(v2 - 1)])
    path = fastckpt.Saver().save(sess, "checkpoint/saver1.ckpt")
    print("saved", fastckpt.list_variables(path))

# Restored variables need no initializer; the others do.
with tf.Graph().as_default(), tf.Session() as sess:
    v1 = tf.get_variable("v1", shape=[3], initializer=tf.zeros_initializer())
    v2 = tf.get_variable("v2", shape=[5], initializer=tf.zeros_initializer())
    v1.initializer.run()
    fastckpt.Saver({"v2": v2}).restore(sess, path)
    print(v1.eval(), v2.eval())

# Into variables of other names.
with tf.Graph().as_default(), tf.Session() as sess:
    v1 = tf.Variable(tf.zeros([3]), name="other-v1")
    v2 = tf.Variable(tf.zeros([5]), name="other-v2")
    saver = fastckpt.Saver({"v1": v1, "v2": v2})
    saver.restore(sess, path)
    print(sess.run([v1, v2]))
    try:
        fastckpt.Saver({"v1": v2}).restore(sess, path)
    except fastckpt.CheckpointError as error:
        print(f"{type(error).__name__}: {error}")
