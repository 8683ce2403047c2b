"""A tour of the Saver's options with variables of a TensorFlow graph.

Needs TensorFlow and fastckpt.
"""

import os

import tensorflow.compat.v1 as tf

import fastckpt

tf.disable_v2_behavior()
w1 = tf.Variable(tf.ones([2, 3]), name="w1")
w2 = tf.Variable(tf.zeros([3]), name="w2")
step = tf.Variable(0, name="global_step", trainable=False, dtype=tf.int64)
increment = tf.assign_add(step, 1)


def files(directory: str) -> str:
    return " ".join(sorted(os.listdir(directory)))


with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())

    # All variables; a step that is a variable; the last two are kept.
    saver = fastckpt.Saver(max_to_keep=2, keep_checkpoint_every_n_hours=2)
    for _ in range(4):
        sess.run(increment)
        saver.save(sess, "all/model", global_step=step)
    print("all:", saver.last_checkpoints)

    # Some of them; the meta graph once is enough.
    saver = fastckpt.Saver([w1, w2], pad_step_number=True, save_relative_paths=True)
    for number in (1, 2):
        saver.save(sess, "some/model", global_step=number, write_meta_graph=number == 1)
    print("some:", files("some"))

    # One data file for each device.
    fastckpt.Saver([w1, w2], sharded=True).save(sess, "sharded/model", write_meta_graph=False)
    print("sharded:", files("sharded"))

    # Behind the program; the values are those of now.
    handle = fastckpt.Saver([w1]).save_async(sess, "async/model", global_step=1)
    sess.run(w1.assign(w1 * 0))
    print("async:", fastckpt.load(handle.result())["w1"].sum())

# Stock TensorFlow goes on from there.
with tf.Graph().as_default(), tf.Session() as sess:
    stock = tf.train.import_meta_graph("all/model-4.meta")
    stock.restore(sess, tf.train.latest_checkpoint("all"))
    print("stock:", sess.run("global_step:0"), stock.save(sess, "stock/model"))
