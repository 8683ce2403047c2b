"""Freeze through TensorFlow's own tool."""

import contextlib
import io

import tensorflow as tf
from tensorflow.python.tools import freeze_graph

with contextlib.redirect_stdout(io.StringIO()):
    freeze_graph.freeze_graph(
        input_graph="", input_saver="", input_binary=True,
        input_checkpoint=tf.train.latest_checkpoint("trained"), output_node_names="prediction",
        restore_op_name="save/restore_all", filename_tensor_name="save/Const:0",
        output_graph="tool.pb", clear_devices=True, initializer_nodes="",
        input_meta_graph="trained/model.ckpt-3.meta",
    )  # fmt: skip
graph_def = tf.compat.v1.GraphDef()
with tf.io.gfile.GFile("tool.pb", "rb") as f:
    graph_def.ParseFromString(f.read())
print([(n.name, n.op) for n in graph_def.node])
print(len(graph_def.node), graph_def.node[0].attr["dtype"].type)
