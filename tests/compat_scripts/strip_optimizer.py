"""Import a meta graph, restore, and save without the optimizer's variables."""

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
saver = tf.train.import_meta_graph("trained/model.ckpt-3.meta", clear_devices=True)
with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as sess:
    saver.restore(sess, "trained/model.ckpt-3")
    print([v.name for v in tf.global_variables()])
    print([v.op.name for v in tf.trainable_variables()])
    keep = [v for v in tf.global_variables() if "Momentum" not in v.name]
    tf.train.Saver(keep).save(sess, "stripped/model.ckpt", write_meta_graph=False)
    print(sess.run(keep[0]).sum(), sess.run("w:0").shape)
print(tf.train.list_variables("stripped/model.ckpt"))
