"""Flags and app.run, as scripts of TensorFlow 1 have them."""

import sys

import tensorflow.compat.v1 as tf

flags = tf.flags
FLAGS = flags.FLAGS
flags.DEFINE_string("checkpoint", "run", "Where to look.")
flags.DEFINE_integer("limit", 2, "How many.")
flags.DEFINE_bool("shapes", True, "Whether to print shapes.")


def main(_):
    tf.logging.set_verbosity(tf.logging.ERROR)
    for name, shape in tf.train.list_variables(FLAGS.checkpoint)[: FLAGS.limit]:
        print(name, shape if FLAGS.shapes else "")


sys.argv = ["flags_app.py", "--limit=1", "--noshapes"]
try:
    tf.app.run(main)
except SystemExit as done:
    print("exit", done.code)
