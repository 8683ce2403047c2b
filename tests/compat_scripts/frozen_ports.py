"""Find the inputs and outputs of a frozen graph."""

import tensorflow as tf

graph_def = tf.compat.v1.GraphDef()
with open("frozen/model.pb", "rb") as f:
    graph_def.ParseFromString(f.read())
consumed = {x.split(":")[0].lstrip("^") for node in graph_def.node for x in node.input}
print("inputs", [n.name for n in graph_def.node if n.op == "Placeholder"])
print("outputs", [n.name for n in graph_def.node if n.name not in consumed])
for node in graph_def.node:
    if node.op == "Const":
        value = tf.make_ndarray(node.attr["value"].tensor)
        print(
            node.name,
            value.dtype,
            value.shape,
            float(value.sum()) if value.dtype.kind == "f" else "",
        )
sub = tf.compat.v1.graph_util.extract_sub_graph(graph_def, ["w"])
print([n.name for n in sub.node])
clean = tf.compat.v1.graph_util.remove_training_nodes(graph_def)
print([n.name for n in clean.node])
