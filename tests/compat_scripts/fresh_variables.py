"""TF1 without any switch but a graph: initialisers, scopes, loads, and partial savers."""

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
with tf1.Graph().as_default():
    with tf1.variable_scope("model", initializer=tf1.constant_initializer(0.5)):
        tf1.get_variable("a", [2])
        with tf1.variable_scope("inner"):
            tf1.get_variable("b", [3], tf.float64, initializer=tf1.ones_initializer())
        c = tf1.get_variable("c", initializer=tf.constant([1, 2, 3]), trainable=False)
    d = tf1.Variable(tf.zeros([2, 2]), name="d", use_resource=False)
    e = tf1.Variable(tf.ones([2], tf.int64), name="d")
    print(
        [v.name for v in tf1.global_variables()],
        [v.name for v in tf1.trainable_variables("model")],
    )
    print(c.dtype.base_dtype.name, tf1.global_variables("model/inner")[0].shape)
    with tf1.Session() as sess:
        tf1.global_variables_initializer().run()
        d.load(np.eye(2, dtype=np.float32), sess)
        print(sess.run(tf1.report_uninitialized_variables()).tolist())
        print({v.op.name: v.eval().tolist() for v in tf1.global_variables()})
        saver = tf1.train.Saver(tf1.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES, scope="model"))
        for step in (1, 2, 3):
            saver.save(sess, "fresh/m", global_step=step, write_meta_graph=False)
        print(tf.train.get_checkpoint_state("fresh").all_model_checkpoint_paths)
        try:
            tf1.train.Saver([d]).restore(sess, "fresh/m-3")
        except tf.errors.NotFoundError:
            print("not in the checkpoint")
        try:
            tf1.train.Saver({"model/a": d}).restore(sess, "fresh/m-3")
        except tf.errors.InvalidArgumentError:
            print("another shape")
        try:
            tf1.train.Saver([d]).restore(sess, "fresh/none")
        except ValueError:
            print("no checkpoint")
