"""A manager with intervals, an initial function, another name, and options."""

import tensorflow as tf

step = tf.Variable(0, dtype=tf.int64, name="step")
w = tf.Variable([0.0, 0.0])
checkpoint = tf.train.Checkpoint(step=step, w=w)
options = tf.train.CheckpointOptions(experimental_io_device="/job:localhost")
manager = tf.train.CheckpointManager(
    checkpoint,
    "managed",
    max_to_keep=2,
    checkpoint_name="model",
    step_counter=step,
    checkpoint_interval=3,
    init_fn=lambda: print("initialised", w.assign([1.0, 1.0]).numpy().tolist()),
)
print(manager.restore_or_initialize(), manager.checkpoint_interval, manager.directory)
for i in range(10):
    step.assign_add(1)
    w.assign([float(i), float(-i)])
    print(int(step), manager.save(options=options))
print(manager.checkpoints, manager.latest_checkpoint, int(checkpoint.save_counter))
print(manager.save(checkpoint_number=step, check_interval=False))
w.assign(tf.zeros(2))
second = tf.train.CheckpointManager(checkpoint, "managed", max_to_keep=5, checkpoint_name="model")
print(second.restore_or_initialize(), w.numpy().tolist(), second.checkpoints)
print(second.save(), second.checkpoint is checkpoint)
state = tf.train.get_checkpoint_state("managed")
print(state.model_checkpoint_path, list(state.all_model_checkpoint_paths))
print(list(tf.train.checkpoints_iterator("managed", timeout=0)))
try:
    tf.train.CheckpointManager(checkpoint, "managed", max_to_keep=0)
except ValueError as error:
    print(error)
tf.io.gfile.remove("managed/checkpoint")  # it has the times
