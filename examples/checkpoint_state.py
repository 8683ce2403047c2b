"""Ask a directory for its checkpoints, look into one, and wait for the next.

Needs NumPy and fastckpt.
"""

import threading

import numpy as np

import fastckpt
from fastckpt.inspect_checkpoint import print_tensors_in_checkpoint_file

w = fastckpt.Variable(np.ones((2, 2), np.float32), name="w")
saver = fastckpt.Saver(max_to_keep=2)
for step in (1, 2, 3):
    saver.save("log/model", global_step=step)

state = fastckpt.get_checkpoint_state("log")
if state and state.model_checkpoint_path:  # None where there is no state file
    print("latest:", state.model_checkpoint_path)
    print("kept:", state.all_model_checkpoint_paths)
print(fastckpt.latest_checkpoint("log/"), fastckpt.checkpoint_exists("log/model-1"))

# The three ways of inspect_checkpoint: everything, one tensor, names and shapes.
print_tensors_in_checkpoint_file("log/model-3", tensor_name="", all_tensors=True)
print_tensors_in_checkpoint_file("log/model-3", tensor_name="w", all_tensors=False)
print_tensors_in_checkpoint_file("log/model-3", tensor_name="", all_tensors=False)

# An evaluator follows a training job.
threading.Timer(0.2, saver.save, ["log/model", 4]).start()
print("new:", fastckpt.wait_for_new_checkpoint("log", "log/model-3", seconds_to_sleep=0.1))
