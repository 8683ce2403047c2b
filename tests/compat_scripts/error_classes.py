"""What programs catch."""

import tensorflow as tf

ATTEMPTS = {
    "no checkpoint": lambda: tf.train.load_checkpoint("run/nothing"),
    "no tensor": lambda: tf.train.load_variable("run", "nothing"),
    "wrong type": lambda: tf.compat.v1.train.NewCheckpointReader(None),
    "no file": lambda: tf.compat.v1.train.import_meta_graph("run/nothing.meta"),
    "no saver": lambda: tf.compat.v1.train.Saver({}),
}
for what, attempt in ATTEMPTS.items():
    try:
        with tf.Graph().as_default():
            attempt()
    except (tf.errors.NotFoundError, KeyError, OSError):
        print(what, "not found")
    except (TypeError, ValueError):
        print(what, "wrong")
