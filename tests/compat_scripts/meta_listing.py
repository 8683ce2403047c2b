"""Collections and operations of an imported meta graph."""

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
saver = tf.train.import_meta_graph("trained/model.ckpt-3.meta", clear_devices=True)
graph = tf.get_default_graph()
print(sorted(graph.get_all_collection_keys()))
for key in sorted(graph.get_all_collection_keys()):
    print(key, [getattr(x, "name", x) for x in graph.get_collection(key)])
for op in graph.get_operations():
    if not op.name.startswith("save/"):
        print(op.name, op.type, [t.name for t in op.inputs], [t.dtype.name for t in op.outputs])
print(graph.get_operation_by_name("prediction").node_def.op)
print(graph.get_tensor_by_name("w:0").shape.as_list())
for wrong in ("nope", "w:0"):
    try:
        graph.get_operation_by_name(wrong)
    except (KeyError, ValueError) as error:
        print(type(error).__mro__[-4].__name__ != "", wrong in str(error))
