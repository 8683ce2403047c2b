"""Load BERT-style weights by walking over their names, as converters to other frameworks do."""

import re

import numpy as np
import tensorflow as tf


class Holder:
    pass


tf_path = "bert/bert_model.ckpt"
names, arrays = [], []
for name, shape in tf.train.list_variables(tf_path):
    array = tf.train.load_variable(tf_path, name)
    assert list(array.shape) == shape
    names.append(name)
    arrays.append(array)

model = Holder()
for full_name, array in zip(names, arrays, strict=True):
    parts = full_name.split("/")
    if any(x in ("adam_v", "adam_m", "global_step") for x in parts):
        print("Skipping", full_name)
        continue
    pointer = model
    for part in parts:
        scope = re.split(r"_(\d+)", part) if re.fullmatch(r"[A-Za-z]+_\d+", part) else [part]
        attribute = {"kernel": "weight", "gamma": "weight", "beta": "bias"}.get(scope[0], scope[0])
        if not hasattr(pointer, attribute):
            setattr(pointer, attribute, Holder())
        pointer = getattr(pointer, attribute)
        if len(scope) >= 2:
            pointer = pointer.__dict__.setdefault(int(scope[1]), Holder())
    pointer.data = np.transpose(array) if parts[-1] == "kernel" else array
    print("Initialize", full_name, pointer.data.shape, float(array.sum()))
layer = model.bert.encoder.layer.__dict__[0]
print(layer.attention.self.query.weight.data[0, :3].tolist())
