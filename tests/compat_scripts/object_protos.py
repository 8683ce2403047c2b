"""Read the object graph of a checkpoint from its message, and map names to keys."""

from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.python.checkpoint import checkpoint_management
from tensorflow.python.training.checkpoint_utils import load_checkpoint

path = checkpoint_management.latest_checkpoint("keras")
reader = load_checkpoint(path)
message = trackable_object_graph_pb2.TrackableObjectGraph()
message.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))


def walk(number, at, depth=0):
    node = message.nodes[number]
    for attribute in node.attributes:
        print("  " * depth, at, attribute.full_name, attribute.checkpoint_key.split("/.")[0])
    for child in node.children:
        walk(child.node_id, child.local_name, depth + 1)


walk(0, "root")
keys = {a.checkpoint_key for n in message.nodes for a in n.attributes}
stored = set(reader.get_variable_to_shape_map())
print(len(keys), stored - keys)
