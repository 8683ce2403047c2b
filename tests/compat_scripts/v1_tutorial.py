"""The first example of the Saver's guide, in a graph."""

import tensorflow.compat.v1 as tf

with tf.Graph().as_default():
    w1 = tf.Variable(tf.random_normal(shape=[2]), name="w1")
    w2 = tf.Variable(tf.random_uniform(shape=[5], minval=2, maxval=3), name="w2")
    w3 = tf.get_variable("w3", [3, 2], initializer=tf.truncated_normal_initializer(stddev=0.1))
    saver = tf.train.Saver({"first": w1, "w2": w2, "w3": w3}, max_to_keep=2)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    before = sess.run([w1, w2, w3])
    print((before[1] >= 2).all() and (before[1] < 3).all(), abs(before[2]).max() < 0.5)
    for step in range(0, 30, 10):
        path = saver.save(sess, "./my_test_model", global_step=step)
    print(path, saver.last_checkpoints)
    sess.run(tf.global_variables_initializer())
    saver.restore(sess, tf.train.latest_checkpoint("./"))
    print(all((a == b).all() for a, b in zip(before, sess.run([w1, w2, w3]), strict=True)))
    sess.close()
with tf.Graph().as_default(), tf.Session() as sess:
    new_saver = tf.train.import_meta_graph("my_test_model-20.meta")
    new_saver.restore(sess, tf.train.latest_checkpoint("./"))
    print([(v.op.name, sess.run(v).shape) for v in tf.global_variables()])
print(sorted(tf.gfile.Glob("my_test_model*.index")), tf.train.checkpoint_exists("my_test_model-0"))
for path in tf.gfile.Glob("my_test_model*"):
    tf.gfile.Remove(path)  # random numbers
