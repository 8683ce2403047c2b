"""Write a graph as text, freeze it with a checkpoint's values, and run the frozen file.

Needs NumPy, protobuf and fastckpt; running needs OpenVINO (pip install "tf-fastckpt[run]") or
TensorFlow. The same on the command line: `fastckpt freeze`.
"""

import numpy as np

import fastckpt
from fastckpt import graph

# y = x * w + b, as text: what tf.io.write_graph writes and a tutorial would show.
TEXT = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } } }
node { name: "w" op: "VariableV2" attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "shape" value { shape { dim { size: 2 } dim { size: 1 } } } } }
node { name: "b" op: "VariableV2" attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "shape" value { shape { dim { size: 1 } } } } }
node { name: "product" op: "MatMul" input: "x" input: "w"
       attr { key: "T" value { type: DT_FLOAT } } }
node { name: "add" op: "Add" input: "product" input: "b"
       attr { key: "T" value { type: DT_FLOAT } } }
"""

values = {"w": np.array([[2.0], [3.0]], np.float32), "b": np.array([1.0], np.float32)}
fastckpt.save("model/linear", values)

graph_def = graph.parse_message(TEXT.encode(), "GraphDef")
print("written:", fastckpt.write_graph(graph_def, "./model", "model.pbtxt"))
print("written:", fastckpt.write_graph(graph_def, "./model", "model.pb", as_text=False))

frozen = graph.freeze("model/model.pbtxt", "model/linear", ["add"])
fastckpt.write_graph(frozen, ".", "frozen.pb", as_text=False)
print("frozen:", [(node.name, node.op) for node in frozen.node])

# Below a prefix, in a graph of its own: elements by name, as in TensorFlow.
imported = graph.Graph()
(add,) = graph.import_graph_def(frozen, name="Test", return_elements=["add:0"], graph=imported)
print(add.name, [operation.name for operation in imported.get_operations()])

try:
    result = graph.run("frozen.pb", "add:0", {"x:0": np.array([[1, 1], [10, 0]], np.float32)})
    print("add:", result.tolist())
except fastckpt.UnsupportedError as error:
    print(error)
