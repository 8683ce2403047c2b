"""Freeze a meta graph by the name of its output node and read the file back."""

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
saver = tf.train.import_meta_graph("trained/model.ckpt-3.meta", clear_devices=True)
graph = tf.get_default_graph()
input_graph_def = graph.as_graph_def()
with tf.Session() as sess:
    saver.restore(sess, "trained/model.ckpt-3")
    frozen = tf.graph_util.convert_variables_to_constants(sess, input_graph_def, ["prediction"])
    with tf.gfile.GFile("frozen.pb", "wb") as f:
        f.write(frozen.SerializeToString())
    print(f"{len(frozen.node)} ops in the final graph.")
with tf.gfile.FastGFile("frozen.pb", "rb") as f:
    graph_def = tf.GraphDef()
    graph_def.ParseFromString(f.read())
for node in graph_def.node:
    print(node.name, node.op, list(node.input))
with tf.Graph().as_default() as graph:
    (tensor,) = tf.import_graph_def(graph_def, name="Test", return_elements=["prediction:0"])
    print(tensor.name, tensor.dtype.name, [op.name for op in graph.get_operations()])
