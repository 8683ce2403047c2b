"""Keep what is no optimizer slot, through a reader and new variables."""

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
reader = tf.train.NewCheckpointReader("bert/bert_model.ckpt")
with tf.Graph().as_default(), tf.Session() as sess:
    for name in sorted(reader.get_variable_to_shape_map()):
        if not any(x in name for x in ("adam_", "global_step")):
            tf.get_variable(name, initializer=reader.get_tensor(name))
    sess.run(tf.global_variables_initializer())
    print(tf.train.Saver().save(sess, "small/bert", write_meta_graph=False))
print(len(tf.train.list_variables("small")))
