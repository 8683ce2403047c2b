"""NumPy, json, pickle and csv through files of gfile, as TPU programs write everything."""

import csv
import io
import json
import pickle

import numpy as np
import tensorflow as tf

tf.io.gfile.makedirs("out")
arrays = {n: tf.train.load_variable("mixed/ckpt", n) for n in ("f", "d", "i8", "c", "none")}
with tf.io.gfile.GFile("out/f.npy", "wb") as f:
    np.save(f, arrays["f"])
with tf.io.gfile.GFile("out/f.npy", "rb") as f:
    print(np.load(f).tolist())
buffer = io.BytesIO()
np.savez(buffer, **arrays)
with tf.io.gfile.GFile("out/all.npz", "wb") as f:
    f.write(buffer.getvalue())
with tf.io.gfile.GFile("out/all.npz", "rb") as f:
    print(sorted(np.load(io.BytesIO(f.read())).files))
with tf.io.gfile.GFile("out/all.pickle", "wb") as f:
    pickle.dump(arrays, f, protocol=4)
with tf.io.gfile.GFile("out/all.pickle", "rb") as f:
    print(sorted(pickle.load(f)))
with tf.io.gfile.GFile("out/shapes.json", "w") as f:
    json.dump({n: list(a.shape) for n, a in arrays.items()}, f, indent=2, sort_keys=True)
with tf.io.gfile.GFile("out/shapes.json") as f:
    print(json.load(f))
with tf.io.gfile.GFile("out/table.tsv", "w") as f:
    writer = csv.writer(f, delimiter="\t", lineterminator="\n")
    for name in sorted(arrays):
        writer.writerow([name, arrays[name].dtype.name, arrays[name].size])
with tf.io.gfile.GFile("out/table.tsv") as f:
    print(f.readline().strip(), "|", f.read(4), f.tell())
    f.seek(0)
    print(len(f.readlines()), repr(f.read()))
with tf.io.gfile.GFile("out/table.tsv", "a") as f:
    f.write("end\n")
    f.flush()
print(tf.io.gfile.stat("out/table.tsv").length, sorted(tf.io.gfile.listdir("out")))
tf.io.gfile.rename("out/table.tsv", "out/renamed.tsv", overwrite=True)
tf.io.gfile.remove("out/renamed.tsv")
print(tf.io.gfile.exists("out/table.tsv"), tf.io.gfile.isdir("out"))
try:
    tf.io.gfile.listdir("nowhere")
except tf.errors.NotFoundError as error:
    print("nowhere" in error.message)
