"""What goes wrong, and what it is caught with."""

import tensorflow as tf

tf1 = tf.compat.v1


def caught(what, call):
    try:
        call()
    except tf.errors.NotFoundError as error:
        print(what, "NotFoundError", bool(error.message))
    except (tf.errors.OpError, ValueError, OSError):
        print(what, "another error")
    else:
        print(what, "passes")


caught("reader", lambda: tf1.train.NewCheckpointReader("nope"))
caught("data file", lambda: tf1.train.NewCheckpointReader("run/model-20.data-00000-of-00001"))
caught("tensor", lambda: tf.train.load_variable("run", "nope"))
caught("restore", lambda: tf.train.Checkpoint(v=tf.Variable(1.0)).restore("nope"))
caught("read", lambda: tf.train.Checkpoint(v=tf.Variable(1.0)).read("nope"))
caught("directory", lambda: tf.train.Checkpoint(v=tf.Variable(1.0)).restore("run"))
caught("none", lambda: tf.train.Checkpoint(v=tf.Variable(1.0)).restore(None))
caught("gfile", lambda: tf.io.gfile.GFile("nope").read())
caught("remove", lambda: tf.io.gfile.remove("nope"))
print(tf.train.latest_checkpoint("empty"), tf.train.get_checkpoint_state("empty"))
print(tf.train.latest_checkpoint("nope"), tf1.train.checkpoint_exists("nope"))
with open("run/model-20.index", "r+b") as f:
    f.truncate(20)
caught("cut index", lambda: tf.train.load_checkpoint("run/model-20").get_tensor("dense/bias"))
with tf.Graph().as_default(), tf1.Session() as sess:
    w = tf1.get_variable("w", [2])
    try:
        tf1.train.Saver([w]).save(sess, "run/w")
    except tf.errors.FailedPreconditionError:
        print("uninitialised")
    try:
        tf1.train.import_meta_graph("nope.meta")
    except OSError:
        print("no meta graph")
    caught("no list", lambda: tf1.train.Saver([]))
