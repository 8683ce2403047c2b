"""State files and inspection: TensorFlow writes, fastckpt looks, and the other way round.

Needs TensorFlow and fastckpt.
"""

import tensorflow.compat.v1 as tf

import fastckpt
from fastckpt.inspect_checkpoint import print_tensors_in_checkpoint_file

tf.disable_v2_behavior()
w = tf.get_variable("w", initializer=[[1.0, 2.0], [3.0, 4.0]])

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    stock = tf.train.Saver(max_to_keep=2)
    for step in (1, 2, 3):
        stock.save(sess, "log/model", global_step=step)

    state = fastckpt.get_checkpoint_state("log")
    if state and state.model_checkpoint_path:
        print("latest:", state.model_checkpoint_path, state.all_model_checkpoint_paths)
    print_tensors_in_checkpoint_file(state.model_checkpoint_path, "", all_tensors=True)
    print_tensors_in_checkpoint_file(state.model_checkpoint_path, "w", all_tensors=False)
    print_tensors_in_checkpoint_file(state.model_checkpoint_path, "", all_tensors=False)

    # Take over what stock TensorFlow left: the next save removes the oldest.
    ours = fastckpt.Saver(max_to_keep=2)
    ours.recover_last_checkpoints(state.all_model_checkpoint_paths)
    ours.save(sess, "log/model", global_step=4)

print("TensorFlow finds:", tf.train.latest_checkpoint("log"))
print(list(tf.train.get_checkpoint_state("log").all_model_checkpoint_paths))
