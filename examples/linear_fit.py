"""Fit a line, save every ten epochs, keep the last four, and go on from the latest.

Needs NumPy and fastckpt. Run it twice: the second run continues where the first one stopped.
"""

import sys

import numpy as np

import fastckpt

DIRECTORY = sys.argv[1] if len(sys.argv) > 1 else "model"
EPOCHS = 300

x = np.linspace(-1, 1, 101, dtype=np.float32)
y = 2 * x + np.random.default_rng(0).standard_normal(x.shape).astype(np.float32) * 0.33

w = fastckpt.Variable(0.0, name="w")
b = fastckpt.Variable(0.0, name="b")
epoch = fastckpt.Variable(np.int64(0), name="epoch", trainable=False)
saver = fastckpt.Saver(max_to_keep=4)  # all variables that there are

latest = fastckpt.latest_checkpoint(DIRECTORY)
if latest is not None:
    saver.restore(latest)
    print(f"restored {latest}: w = {w.value:.4f}")
first = int(epoch.value) + (latest is not None)

for step in range(first, EPOCHS):
    error = w.value * x + b.value - y
    w.assign(w.value - 0.05 * 2 * np.mean(error * x))
    b.assign(b.value - 0.05 * 2 * np.mean(error))
    if step % 10 == 0:
        epoch.assign(np.int64(step))
        saver.save(f"{DIRECTORY}/my-model", global_step=step)

print(f"w = {w.value:.4f}, b = {b.value:.4f}")
state = fastckpt.get_checkpoint_state(DIRECTORY)
print("kept:", *(path.rpartition("-")[2] for path in state.all_model_checkpoint_paths))
