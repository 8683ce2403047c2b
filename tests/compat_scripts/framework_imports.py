"""Internal modules that scripts import: ops, dtypes, tensor_util, graph messages."""

import numpy as np
from tensorflow.core.framework import attr_value_pb2, graph_pb2, node_def_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saver_pb2
from tensorflow.python.framework import dtypes, errors, ops, tensor_shape, tensor_util
from tensorflow.python.platform import gfile
from tensorflow.python.util import compat

with gfile.FastGFile("frozen/model.pb", "rb") as f:
    graph_def = graph_pb2.GraphDef()
    graph_def.ParseFromString(f.read())
for node in graph_def.node:
    if node.op == "Const":
        value = tensor_util.MakeNdarray(node.attr["value"].tensor)
        print(node.name, value.dtype.name, value.shape, tensor_shape.TensorShape(value.shape))
        print(types_pb2.DataType.Name(node.attr["dtype"].type), dtypes.as_dtype(value.dtype).name)
made = node_def_pb2.NodeDef(name="made", op="Const")
made.attr["value"].CopyFrom(
    attr_value_pb2.AttrValue(tensor=tensor_util.make_tensor_proto(np.arange(3, dtype=np.int32)))
)
made.attr["dtype"].CopyFrom(attr_value_pb2.AttrValue(type=dtypes.int32.as_datatype_enum))
graph_def.node.extend([made])
print(len(graph_def.node), compat.as_str(compat.as_bytes("x")), types_pb2.DT_INT32)
with ops.Graph().as_default():
    from tensorflow.python.framework import importer

    (tensor,) = importer.import_graph_def(graph_def, return_elements=["made:0"], name="")
    print(tensor.name, ops.get_default_graph().get_operation_by_name("made").type)
print(meta_graph_pb2.MetaGraphDef().meta_info_def.tags, saver_pb2.SaverDef().version)
print(issubclass(errors.NotFoundError, errors.OpError))
for name in ("float32", "int64", "bool", "string", "bfloat16", "complex64"):
    d = dtypes.as_dtype(name)
    print(d.name, d.size, d.is_floating, d.is_integer, d.is_complex, d.base_dtype == d, d.is_bool)
print(dtypes.float32.max, dtypes.int8.min, dtypes.float32.as_numpy_dtype is np.float32)
