"""A tour of the Saver's options.

Needs NumPy and fastckpt.
"""

import os

import numpy as np

import fastckpt

w = fastckpt.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="w")
step = fastckpt.Variable(np.int64(0), name="global_step", trainable=False)


def files(directory: str) -> str:
    return " ".join(sorted(os.listdir(directory)))


# The default: five are kept, with a meta graph each, and a state file names them.
saver = fastckpt.Saver()
for number in range(7):
    saver.save("default/model", global_step=number)
print("last five:", saver.last_checkpoints)

# Steps of eight digits, no meta graph, every checkpoint kept, names that survive a move.
saver = fastckpt.Saver(max_to_keep=None, pad_step_number=True, save_relative_paths=True)
for number in (1, 20):
    saver.save("padded/model", global_step=number, write_meta_graph=False)
print("padded:", files("padded"))

# One in two hours is spared when its turn to go comes; two at most are in the list.
saver = fastckpt.Saver([w], max_to_keep=2, keep_checkpoint_every_n_hours=2)
print("every n hours:", saver.saver_def.keep_checkpoint_every_n_hours)

# Another name for the state file lets two Savers share a directory.
fastckpt.Saver([w]).save("shared/weights", latest_filename="weights_state")
fastckpt.Saver([step]).save("shared/step", latest_filename="step_state")
print("shared:", fastckpt.latest_checkpoint("shared", "step_state"))

# Several data files, for large models; the old single file of TensorFlow 0.x.
fastckpt.Saver([w, step], num_shards=2).save("sharded/model", write_meta_graph=False)
fastckpt.Saver([w], write_version=1).save("old/model", write_meta_graph=False)
print("sharded:", files("sharded"))
print("old:", files("old"))

# A save that goes on behind the program.
handle = fastckpt.Saver([w]).save_async("async/model", global_step=1)
print("async:", handle.result())

# After a restart: take over what the last run left, so that it is removed in its turn.
again = fastckpt.Saver([w, step], max_to_keep=3, recover=True)
again.save("default/model", global_step=7)
print("recovered:", again.last_checkpoints)
