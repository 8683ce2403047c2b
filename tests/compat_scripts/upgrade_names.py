"""An old model's names to new objects: a table of patterns, strict about what is left."""

import re

import tensorflow as tf

PATTERNS = [
    (r"^bert/embeddings/LayerNorm/(gamma|beta)$", r"embeddings/norm/\1"),
    (r"^bert/embeddings/word_embeddings$", r"embeddings/table"),
    (r"^bert/encoder/layer_(\d+)/(.*)$", r"layers/\1/\2"),
    (r"^bert/pooler/dense/(\w+)$", r"pooler/\1"),
]

reader = tf.train.load_checkpoint("bert/bert_model.ckpt")
tree, left = {}, []
for name in sorted(reader.get_variable_to_shape_map()):
    if re.search(r"adam_[mv]|global_step", name):
        continue
    for pattern, target in PATTERNS:
        new, count = re.subn(pattern, target, name)
        if count:
            *parents, leaf = new.split("/")
            at = tree
            for parent in parents:
                at = at.setdefault(parent, {})
            at[leaf] = tf.Variable(reader.get_tensor(name), name=name)
            break
    else:
        left.append(name)
print(left)
path = tf.train.Checkpoint(**tree).save("upgraded/bert")
names = [n.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for n, _ in tf.train.list_variables(path)]
print("\n".join(names))

model = tf.Module()
model.layers = {"0": {}, "1": {}}
checkpoint = tf.train.Checkpoint(model)
status = checkpoint.restore(path)
model.pooler = tf.Module()
model.pooler.kernel = tf.Variable(tf.ones([4, 4]))
status.assert_existing_objects_matched().expect_partial()
print(bool((model.pooler.kernel.numpy() == reader.get_tensor("bert/pooler/dense/kernel")).all()))
for version in (1, 2):
    saver = tf.compat.v1.train.Saver({"k": model.pooler.kernel}, write_version=version)
    where = saver.save(None, f"upgraded/v{version}", write_meta_graph=False, write_state=False)
    print(where, tf.train.list_variables(where))
