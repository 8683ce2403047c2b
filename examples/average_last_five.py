"""Average the last five checkpoints of a training.

    python examples/average_last_five.py [DIRECTORY] [DESTINATION]

Without a directory it trains a little first. Needs NumPy and fastckpt; memory stays at a tensor.
"""

import sys

import numpy as np

import fastckpt
from fastckpt.tools.averaging import average


def train(directory: str) -> None:
    random = np.random.default_rng(0)
    w = np.zeros(3, np.float32)
    step = np.array(0, np.int64)
    saver = fastckpt.Saver({"w": w, "global_step": step})
    for number in range(0, 80, 10):
        w += random.standard_normal(3).astype(np.float32)
        step[...] = number
        saver.save(f"{directory}/model", global_step=number)


directory = sys.argv[1] if len(sys.argv) > 1 else "run"
destination = sys.argv[2] if len(sys.argv) > 2 else "averaged/model"
if fastckpt.latest_checkpoint(directory) is None:
    train(directory)
state = fastckpt.get_checkpoint_state(directory)
paths = state.all_model_checkpoint_paths[-5:]
average(paths, destination)

with fastckpt.open(destination) as checkpoint:
    print(f"average of {len(paths)}:", checkpoint["w"], "step", checkpoint["global_step"])
    slow = np.mean([fastckpt.load(path)["w"] for path in paths], axis=0)
    print("as NumPy has it:", np.allclose(checkpoint["w"], slow))
