"""Train with TensorFlow, freeze with fastckpt, run the frozen file with TensorFlow.

Needs TensorFlow and fastckpt.
"""

import numpy as np
import tensorflow.compat.v1 as tf

import fastckpt
from fastckpt import graph as graphs

tf.disable_v2_behavior()

with tf.Graph().as_default(), tf.Session() as sess:
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.Variable([[2.0], [3.0]], name="w")
    b = tf.Variable([1.0], name="b")
    tf.add(tf.matmul(x, w), b, name="add")
    sess.run(tf.global_variables_initializer())
    prefix = fastckpt.Saver().save(sess, "model/linear")
    fastckpt.write_graph(sess.graph_def, "./model", "model.pbtxt")
    # As old tutorials have it, and as it is still done in TensorFlow.
    stock = tf.graph_util.convert_variables_to_constants(sess, sess.graph_def, ["add"])

frozen = graphs.freeze(f"{prefix}.meta", prefix, ["add"])
same = [(n.name, n.op) for n in frozen.node] == [(n.name, n.op) for n in stock.node]
print("the same as TensorFlow's:", same)
fastckpt.write_graph(frozen, "model", "frozen.pb", as_text=False)

with tf.gfile.FastGFile("model/frozen.pb", "rb") as file:
    graph_def = tf.GraphDef()
    graph_def.ParseFromString(file.read())
with tf.Graph().as_default() as graph, tf.Session() as sess:
    (add,) = tf.import_graph_def(graph_def, name="Test", return_elements=["add:0"])
    feeds = {graph.get_tensor_by_name("Test/x:0"): np.array([[1, 1], [10, 0]])}
    print(add.name, sess.run(add, feeds).tolist())

# The text that was written for people to read is a graph, too.
text = graphs.Graph.load("model/model.pbtxt")
print(
    text.get_operation_by_name("add").type,
    [t.name for t in text.get_operation_by_name("add").inputs],
)
