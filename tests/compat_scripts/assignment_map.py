"""BERT's assignment map: which variables a checkpoint initialises, and their values then."""

import collections
import re

import tensorflow as tf

tf1 = tf.compat.v1


def get_assignment_map(tvars, init_checkpoint):
    initialized = {}
    name_to_variable = collections.OrderedDict()
    for var in tvars:
        match = re.match("^(.*):\\d+$", var.name)
        name_to_variable[match.group(1) if match else var.name] = var
    assignment_map = collections.OrderedDict()
    for name, _ in tf.train.list_variables(init_checkpoint):
        if name in name_to_variable:
            assignment_map[name] = name_to_variable[name]
            initialized[name] = 1
            initialized[name + ":0"] = 1
    return assignment_map, initialized


with tf.Graph().as_default():
    with tf1.variable_scope("bert"):
        with tf1.variable_scope("pooler/dense", reuse=tf1.AUTO_REUSE):
            tf1.get_variable("kernel", [4, 4], initializer=tf1.zeros_initializer())
        with tf1.variable_scope("embeddings"):
            tf1.get_variable("word_embeddings", [16, 4], initializer=tf1.zeros_initializer())
    tf1.get_variable("classifier/weights", [2], initializer=tf1.constant_initializer(0.25))
    tvars = tf1.trainable_variables()
    assignment_map, initialized = get_assignment_map(tvars, "bert/bert_model.ckpt")
    tf1.train.init_from_checkpoint("bert/bert_model.ckpt", assignment_map)
    for var in tvars:
        note = ", *INIT_FROM_CKPT*" if var.name in initialized else ""
        print(f"  name = {var.name}, shape = {var.shape}{note}")
    with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        values = sess.run({v.op.name: v for v in tvars})
        print({name: float(abs(value).sum()) for name, value in sorted(values.items())})
        tf1.train.Saver(tvars).save(sess, "initialised/model.ckpt", write_meta_graph=False)
