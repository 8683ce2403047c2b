"""Operations, tensors and collections of a meta graph, without TensorFlow.

Needs NumPy, protobuf and fastckpt.
"""

import numpy as np

import fastckpt
from fastckpt.graph import MetaGraph

w = fastckpt.Variable(np.ones((2, 1), np.float32), name="layer/w")
b = fastckpt.Variable(np.zeros(1, np.float32), name="layer/b")
prefix = fastckpt.Saver().save("checkpoint/model", global_step=7)

meta = MetaGraph.load(f"{prefix}.meta")
graph = meta.graph
print("collections:", graph.get_all_collection_keys())
for variable in graph.get_collection("trainable_variables"):
    print(variable.name, variable.dtype.name, variable.shape)
for operation in graph.get_operations():
    if operation.name.startswith("layer"):
        print(operation.name, operation.type, [tensor.name for tensor in operation.values()])
print(graph.get_operation_by_name("layer/w").node_def.op)
print(graph.get_tensor_by_name("layer/w:0"))

# With its checkpoint, a meta graph has values: zero-copy, and verified.
imported = fastckpt.import_meta_graph(f"{prefix}.meta", clear_devices=True)
imported.restore(fastckpt.latest_checkpoint("checkpoint"))
print(imported.value("layer/w:0").tolist())
