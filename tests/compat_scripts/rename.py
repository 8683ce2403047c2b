"""Rename variables and save over the same prefix: the script that everybody copies."""

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
checkpoint = tf.train.get_checkpoint_state("run")
with tf.Session() as sess:
    for var_name, _ in tf.train.list_variables("run"):
        var = tf.train.load_variable("run", var_name)
        new_name = var_name.replace("dense", "fc")
        print(f"{var_name} would be renamed to {new_name}.")
        var = tf.Variable(var, name=new_name)
    saver = tf.train.Saver()
    sess.run(tf.global_variables_initializer())
    saver.save(sess, checkpoint.model_checkpoint_path, write_state=False)
print(tf.train.list_variables(checkpoint.model_checkpoint_path))
