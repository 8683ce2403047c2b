"""Operations, tensors and collections of a meta graph: TensorFlow makes it, fastckpt reads it.

Needs TensorFlow and fastckpt.
"""

import tensorflow.compat.v1 as tf

import fastckpt

tf.disable_v2_behavior()

with tf.Graph().as_default():
    with tf.device("/device:GPU:7"):
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", initializer=[[2.0], [3.0]])
        y = tf.matmul(x, w, name="y")
    tf.add_to_collection("outputs", y)
    tf.summary.scalar("mean", tf.reduce_mean(y, name="mean"))
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as sess:
        sess.run(tf.global_variables_initializer())
        prefix = fastckpt.Saver().save(sess, "checkpoint/model", global_step=7)

# The devices of the machine that exported it need not exist here.
imported = fastckpt.import_meta_graph(f"{prefix}.meta", clear_devices=True)
graph = imported.graph
print("collections:", sorted(graph.get_all_collection_keys()))
print("outputs:", graph.get_collection("outputs"))
print("trainable:", [v.name for v in graph.get_collection("trainable_variables")])
for operation in graph.get_operations()[:4]:
    print(operation.name, operation.type, operation.device or "-", operation.values())
print(graph.get_operation_by_name("y").node_def.input)

imported.restore(prefix)
print("w:", imported.value("w:0").tolist())

# TensorFlow's own view of the same file.
with tf.Graph().as_default() as stock:
    tf.train.import_meta_graph(f"{prefix}.meta", clear_devices=True)
    same = [x.name for x in stock.get_operations()] == [x.name for x in graph.get_operations()]
    print("as TensorFlow has it:", same)
