"""Write a graph as text and read it back, as tutorials do."""

import tensorflow as tf
from google.protobuf import text_format

graph_def = tf.compat.v1.GraphDef()
with tf.io.gfile.GFile("frozen/model.pb", "rb") as f:
    graph_def.ParseFromString(f.read())
print(tf.io.write_graph(graph_def, "./model", "model.pbtxt"))
print(tf.io.write_graph(graph_def, "./model", "model.pb", as_text=False))
with open("model/model.pbtxt") as f:
    text = f.read()
again = text_format.Parse(text, tf.compat.v1.GraphDef())
print(again == graph_def, len(text.splitlines()))
print(text[:200])
