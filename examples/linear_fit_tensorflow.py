"""Fit a line with TensorFlow, and leave the files to fastckpt: one line changes, the Saver.

Needs TensorFlow and fastckpt. Run it twice: the second run continues where the first one stopped.
"""

import sys

import numpy as np
import tensorflow.compat.v1 as tf

import fastckpt

DIRECTORY = sys.argv[1] if len(sys.argv) > 1 else "model"
EPOCHS = 300

tf.disable_v2_behavior()
train_x = np.linspace(-1, 1, 101, dtype=np.float32)
noise = np.random.default_rng(0).standard_normal(train_x.shape).astype(np.float32)
train_y = 2 * train_x + noise * 0.33

x = tf.placeholder(tf.float32, name="x")
y = tf.placeholder(tf.float32, name="y")
w = tf.Variable(0.0, name="w")
b = tf.Variable(0.0, name="b")
epoch = tf.Variable(0, name="epoch", trainable=False, dtype=tf.int64)
loss = tf.reduce_mean(tf.square(w * x + b - y), name="loss")
train = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
saver = fastckpt.Saver(max_to_keep=4)  # in place of tf.train.Saver

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    latest = fastckpt.latest_checkpoint(DIRECTORY)
    if latest is not None:
        saver.restore(sess, latest)
        print(f"restored {latest}: w = {sess.run('w:0'):.4f}")
    for step in range(sess.run(epoch) + (latest is not None), EPOCHS):
        sess.run(train, {x: train_x, y: train_y})
        if step % 10 == 0:
            epoch.load(step, sess)
            saver.save(sess, f"{DIRECTORY}/my-model", global_step=step)
    print("w = {:.4f}, b = {:.4f}".format(*sess.run([w, b])))

state = fastckpt.get_checkpoint_state(DIRECTORY)
print("kept:", *(path.rpartition("-")[2] for path in state.all_model_checkpoint_paths))

# Stock TensorFlow restores what was saved, graph and all.
with tf.Graph().as_default(), tf.Session() as sess:
    stock = tf.train.import_meta_graph(fastckpt.latest_checkpoint(DIRECTORY) + ".meta")
    stock.restore(sess, fastckpt.latest_checkpoint(DIRECTORY))
    print(f"stock TensorFlow reads w = {sess.run('w:0'):.4f}")
