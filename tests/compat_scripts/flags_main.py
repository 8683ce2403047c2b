"""A program with flags, an app and a main: the skeleton of most published tools."""

import json
import sys

import tensorflow.compat.v1 as tf

flags = tf.flags
FLAGS = flags.FLAGS
flags.DEFINE_string("source", None, "Where it is.")
flags.DEFINE_integer("most", 2, "How many.")
flags.DEFINE_bool("chatty", False, "Say more.")
flags.DEFINE_list("without", [], "What not.")
flags.DEFINE_float("factor", 1.0, "How much.")
flags.DEFINE_enum("sort", "all", ["all", "trainable"], "Which.")
flags.mark_flag_as_required("source")


def main(argv):
    del argv
    tf.logging.set_verbosity(tf.logging.INFO)
    tf.logging.info("reading %s", FLAGS.source)
    shown = 0
    for name, shape in tf.train.list_variables(FLAGS.source):
        if any(name.startswith(x) for x in FLAGS.without):
            continue
        value = tf.train.load_variable(FLAGS.source, name)
        print(name, shape, value.dtype.name, FLAGS.sort if FLAGS.chatty else "")
        shown += 1
        if shown == FLAGS.most:
            break
    print(json.dumps({k: FLAGS[k].value for k in ("most", "chatty", "without", "factor")}))


if __name__ == "__main__":
    sys.argv = [
        sys.argv[0],
        "--source=bert/bert_model.ckpt",
        "--chatty",
        "--without=bert/encoder,global",
        "--most=3",
    ]
    try:
        tf.app.run(main)
    except SystemExit as done:
        print("exit", done.code)
