"""Count parameters, by scope."""

import collections
import math

import tensorflow as tf

counts = collections.Counter()
for name, shape in tf.train.list_variables("bert/bert_model.ckpt"):
    if "adam" not in name:
        counts[name.split("/")[0]] += math.prod(shape)
for scope, count in sorted(counts.items()):
    print(f"{scope:10} {count:,}")
print(sum(counts.values()))
