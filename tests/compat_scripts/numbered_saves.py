"""Save every ten epochs and keep four."""

import os

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
w = tf.Variable(0.0, name="w")
update = tf.assign_add(w, 1.0)
saver = tf.train.Saver(max_to_keep=4)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(300):
        sess.run(update)
        if epoch % 10 == 0:
            saver.save(sess, "model/my-model", global_step=epoch)
print(sorted(os.listdir("model")))
latest = tf.train.latest_checkpoint("model/")
print(latest, tf.train.load_variable(latest, "w"))
