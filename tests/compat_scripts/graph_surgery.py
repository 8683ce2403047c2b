"""Look at and change a GraphDef: attributes, inputs, devices, text and binary."""

import tensorflow.compat.v1 as tf
from google.protobuf import text_format
from tensorflow.python.framework import graph_util, tensor_util

with tf.Graph().as_default() as graph:
    tf.train.import_meta_graph("trained/model.ckpt-3.meta")
    graph_def = graph.as_graph_def()
sub = graph_util.extract_sub_graph(graph_def, ["prediction"])
for node in sub.node:
    shape = [d.size for d in node.attr["shape"].shape.dim] if "shape" in node.attr else None
    print(node.name, node.op, list(node.input), shape)
for node in sub.node:
    node.device = "/device:CPU:0"
    if node.op == "VariableV2":
        node.attr["container"].s = b"c"
text = text_format.MessageToString(sub)
again = tf.GraphDef()
text_format.Merge(text, again)
print(again == sub, len(again.SerializeToString()) == len(sub.SerializeToString()))
tf.train.write_graph(again, "surgery", "sub.pbtxt", as_text=True)
with tf.gfile.Open("surgery/sub.pbtxt") as f:
    third = text_format.Parse(f.read(), tf.GraphDef())
print(third == sub)
with tf.gfile.GFile("frozen/model.pb", "rb") as f:
    frozen = tf.GraphDef.FromString(f.read())
kept = tf.GraphDef()
kept.versions.CopyFrom(frozen.versions)
for node in frozen.node:
    if node.op == "Const":
        value = tensor_util.MakeNdarray(node.attr["value"].tensor)
        node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(value * 0 + 2))
    kept.node.extend([node])
with tf.Graph().as_default() as graph:
    found = tf.import_graph_def(kept, return_elements=["prediction:0", "x"], name="pre")
    print(found[0].name, found[0].dtype.name, found[1].type)
    print([op.name for op in graph.get_operations()])
    op = graph.get_operation_by_name("pre/prediction")
    print([x.name for x in op.inputs], [x.name for x in op.outputs], op.node_def.op)
    print(op.outputs[0].op.name, op.get_attr("T").name, [o.name for o in op.control_inputs])
    print(graph.get_tensor_by_name("pre/x:0").get_shape().as_list())
    try:
        graph.get_tensor_by_name("pre/none:0")
    except KeyError:
        print("no such tensor")
    try:
        graph.get_tensor_by_name("pre/x")
    except ValueError:
        print("no tensor name")
