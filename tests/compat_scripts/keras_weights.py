"""Read what a Keras model stored: by key, and into plain modules of the same names."""

import re

import tensorflow as tf

path = tf.train.latest_checkpoint("keras")
suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
reader = tf.train.load_checkpoint(path)
weights = {}
for key, shape in sorted(reader.get_variable_to_shape_map().items()):
    if not key.endswith(suffix) or "optimizer" in key:
        continue
    match = re.match(r"model/layers/(\d+)/(\w+)", key)
    print(key[: -len(suffix)], shape, bool(match))
    if match:
        weights.setdefault(int(match[1]), {})[match[2]] = reader.get_tensor(key)
print({number: sorted(parts) for number, parts in weights.items()})


class Layer(tf.Module):
    def __init__(self, shape):
        super().__init__()
        self.kernel = tf.Variable(tf.zeros(shape))
        self.bias = tf.Variable(tf.zeros(shape[-1:]))


model = tf.Module()
model.layers = [Layer(weights[n]["kernel"].shape) for n in sorted(weights)]
status = tf.train.Checkpoint(model=model).restore(path)
status.assert_existing_objects_matched().expect_partial()
for layer, number in zip(model.layers, sorted(weights), strict=True):
    print((layer.kernel.numpy() == weights[number]["kernel"]).all(), layer.bias.numpy().tolist())
