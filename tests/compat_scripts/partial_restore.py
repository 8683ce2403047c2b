"""Restore some variables under other names, and initialize the rest."""

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
kernel = tf.get_variable("other-kernel", shape=[2, 2], initializer=tf.zeros_initializer())
extra = tf.get_variable("extra", shape=[2], initializer=tf.ones_initializer())
saver = tf.train.Saver({"dense/kernel": kernel})
with tf.Session() as sess:
    extra.initializer.run()
    saver.restore(sess, "run/model-20")
    print(sess.run(kernel).tolist(), extra.eval().tolist(), saver.last_checkpoints)
    both = tf.train.Saver([kernel, extra], max_to_keep=2)
    for step in range(0, 40, 10):
        print(both.save(sess, "mine/model", global_step=step, write_meta_graph=False))
    print(both.last_checkpoints)
with open("mine/checkpoint") as f:
    print(f.read())
