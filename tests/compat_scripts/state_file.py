"""Look at a state file, at what it lists, and write another."""

import os

import tensorflow as tf

state = tf.train.get_checkpoint_state("run")
if state and state.model_checkpoint_path:
    print(state.model_checkpoint_path, list(state.all_model_checkpoint_paths))
for path in state.all_model_checkpoint_paths:
    step = int(os.path.basename(path).split("-")[-1])
    print(
        step,
        tf.compat.v1.train.checkpoint_exists(path),
        tf.train.load_variable(path, "global_step"),
    )
print(tf.train.get_checkpoint_state("nowhere"), tf.train.latest_checkpoint("nowhere"))
tf.compat.v1.train.update_checkpoint_state(
    "run", state.all_model_checkpoint_paths[0], state.all_model_checkpoint_paths[:1], "best"
)
with open("run/best") as f:
    print(f.read())
print(tf.train.latest_checkpoint("run", "best"))
times = tf.compat.v1.train.get_checkpoint_mtimes([*state.all_model_checkpoint_paths, "run/gone"])
print(len(times), all(t == int(t) for t in times))
