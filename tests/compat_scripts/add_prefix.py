"""Put a prefix in front of every name; arguments by argparse, a dry run first."""

import argparse

import tensorflow.compat.v1 as tf


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint_dir", default="run")
    parser.add_argument("--add_prefix", default="tower/")
    parser.add_argument("--dry_run", action="store_true")
    options = parser.parse_args(arguments)
    tf.reset_default_graph()
    with tf.Session() as sess:
        for var_name, _ in tf.train.list_variables(options.checkpoint_dir):
            new_name = options.add_prefix + var_name
            print(var_name, new_name)
            if not options.dry_run:
                tf.Variable(
                    tf.train.load_variable(options.checkpoint_dir, var_name), name=new_name
                )
        if not options.dry_run:
            saver = tf.train.Saver()
            sess.run(tf.global_variables_initializer())
            print(saver.save(sess, "prefixed/model.ckpt"))


tf.disable_eager_execution()
main(["--dry_run"])
main([])
