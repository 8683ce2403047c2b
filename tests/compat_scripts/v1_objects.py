"""tf.compat.v1.train.Checkpoint in a graph, with a session."""

import numpy as np
import tensorflow.compat.v1 as tf

with tf.Graph().as_default():
    w = tf.get_variable("w", initializer=np.ones((2, 2), np.float32))
    step = tf.train.get_or_create_global_step()
    checkpoint = tf.train.Checkpoint(w=w, step=step)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(step.assign_add(3))
        path = checkpoint.save("graph_objects/ckpt", session=sess)
        print(path, tf.train.latest_checkpoint("graph_objects"))
with tf.Graph().as_default():
    w = tf.get_variable("w", initializer=np.zeros((2, 2), np.float32))
    late = tf.get_variable("late", initializer=np.float32(4))
    checkpoint = tf.train.Checkpoint(w=w, late=late)
    with tf.Session() as sess:
        status = checkpoint.restore(path)
        status.initialize_or_restore(sess)
        print(sess.run([w, late]))
        sess.run(tf.global_variables_initializer())
        status.run_restore_ops(sess)
        print(sess.run(w).tolist())
        with sess.as_default():
            print(checkpoint.save("graph_objects/ckpt"), sess.run(checkpoint.save_counter))
print([name for name, _ in tf.train.list_variables("graph_objects")])
