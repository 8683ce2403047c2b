"""Several processes serve the latest weights while another one trains, saves and prunes.

Each server maps the same files: the memory is shared, and no server ever sees half a checkpoint.
Needs NumPy and fastckpt.
"""

import time
from multiprocessing import get_context
from multiprocessing.synchronize import Event

import numpy as np

import fastckpt

DIRECTORY, SERVERS, STEPS = "served", 3, 40


def train(done: Event) -> None:
    w = np.zeros(250_000, np.float32)
    bias = np.zeros(1, np.float32)
    saver = fastckpt.Saver({"w": w, "bias": bias}, max_to_keep=2)
    for step in range(STEPS):
        w[:] = bias[:] = step
        saver.save(f"{DIRECTORY}/model", global_step=step, write_meta_graph=False)
    done.set()


def serve(name: str, done: Event) -> None:
    seen = set()
    while True:
        last_look = done.is_set()
        path = fastckpt.latest_checkpoint(DIRECTORY)
        if path is not None and path not in seen:
            # The directory, not the path: what was pruned in between is no error.
            with fastckpt.open(DIRECTORY) as checkpoint:
                w, bias = checkpoint["w"], checkpoint["bias"]  # views of the file, verified
                assert w[0] == w[-1] == bias[0], "a mix of two checkpoints"
                seen.add(path)
        if last_look:
            print(f"{name}: all of one piece, the last one {bias[0]:.0f}", flush=True)
            return
        time.sleep(0.01)


if __name__ == "__main__":
    context = get_context("spawn")
    done = context.Event()
    servers = [context.Process(target=serve, args=(f"server {i}", done)) for i in range(SERVERS)]
    for server in servers:
        server.start()
    train(done)
    for server in servers:
        server.join()
        assert server.exitcode == 0
    print("kept:", *fastckpt.get_checkpoint_state(DIRECTORY).all_model_checkpoint_paths)
