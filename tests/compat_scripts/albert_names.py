"""Rewrite names by a chain of replacements, as the ALBERT converter does."""

import tensorflow as tf

RULES = [
    ("ffn_1", "ffn"), ("bert/", "albert/"), ("attention_1", "attention"), ("transform/", ""),
    ("LayerNorm_1", "full_layer_layer_norm"), ("LayerNorm", "attention/LayerNorm"),
    ("transformer/", ""), ("intermediate/dense/", ""),
    ("ffn/intermediate/output/dense/", "ffn_output/"),
]  # fmt: skip
reader = tf.train.load_checkpoint("bert/bert_model.ckpt")
for name in sorted(reader.get_variable_to_shape_map()):
    new = name
    for old, replacement in RULES:
        new = new.replace(old, replacement)
    if len(new.split("/")) == 1 and ("output_bias" in new or "output_weights" in new):
        new = "classifier/" + new
    print(name, "->", new, reader.get_tensor(name).shape)
