"""Walk over GPT-2 names: model/h0/attn/c_attn/w."""

import re

import tensorflow as tf

path = "gpt2/model.ckpt"
for name, shape in tf.train.list_variables(path):
    array = tf.train.load_variable(path, name).squeeze()
    where = []
    for part in name[6:].split("/"):
        scope = re.split(r"(\d+)", part) if re.fullmatch(r"[A-Za-z]+\d+", part) else [part]
        where.append(
            {"w": "weight", "g": "weight", "b": "bias", "wte": "wte.weight"}.get(
                scope[0], scope[0]
            )
        )
        if len(scope) >= 2:
            where.append(str(int(scope[1])))
    print(".".join(where), shape, array.shape, array.dtype)
