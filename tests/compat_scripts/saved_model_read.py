"""Look into a SavedModel: tags, signatures, variables, constants."""

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import tag_constants

message = saved_model_pb2.SavedModel()
with tf.gfile.GFile("exported/saved_model.pb", "rb") as f:
    message.ParseFromString(f.read())
print([list(m.meta_info_def.tags) for m in message.meta_graphs])
print(message.saved_model_schema_version, hasattr(tf.saved_model, "nothing_of_the_kind"))
print(tf.saved_model.maybe_saved_model_directory("exported"))
print(tag_constants.SERVING, tf.saved_model.tag_constants.TRAINING)
print(tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY)
print(tf.train.list_variables("exported/variables/variables"))
with tf.Graph().as_default() as graph, tf.Session(graph=graph) as sess:
    meta = tf.saved_model.loader.load(sess, [tag_constants.SERVING], "exported")
    signature = meta.signature_def["serving_default"]
    print(sorted(signature.inputs), signature.outputs["y"].name, signature.method_name)
    print([v.op.name for v in tf.global_variables()])
    print(sess.run([v for v in tf.global_variables() if v.op.name == "w"])[0].tolist())
