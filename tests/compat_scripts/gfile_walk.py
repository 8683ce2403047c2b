"""Find checkpoints below a directory with gfile, as evaluation jobs do, and copy the best."""

import os
import re

import tensorflow as tf
from tensorflow.python.lib.io import file_io
from tensorflow.python.platform import gfile

for top, folders, files in sorted(tf.io.gfile.walk("run")):
    print(top, sorted(folders), sorted(f for f in files if f.endswith(".index")))
steps = [
    (int(re.search(r"model-(\d+)\.index$", path)[1]), path[: -len(".index")])
    for path in tf.io.gfile.glob(os.path.join("run", "*.index"))
]
best = max(steps)[1]
print(sorted(steps), best)
tf.io.gfile.makedirs("export/best")
for path in tf.io.gfile.glob(best + ".*"):
    tf.io.gfile.copy(path, os.path.join("export/best", os.path.basename(path)), overwrite=True)
with tf.io.gfile.GFile("export/best/checkpoint", "w") as f:
    f.write(f'model_checkpoint_path: "{os.path.basename(best)}"\n')
with gfile.GFile("export/best/checkpoint", "rb") as f:
    print(f.read(), f.size() if hasattr(f, "size") else None)
with gfile.Open("export/best/checkpoint") as f:
    print([line.strip() for line in f])
print(tf.train.latest_checkpoint("export/best"), gfile.Exists("export/none"))
print(file_io.file_exists("export/best/checkpoint"), file_io.is_directory("export"))
print(sorted(file_io.get_matching_files("export/best/*.index")))
print(file_io.read_file_to_string("export/best/checkpoint"))
file_io.recursive_create_dir("export/more/deep")
file_io.write_string_to_file("export/more/deep/note.txt", "done")
print(
    sorted(file_io.list_directory("export/more")), file_io.stat("export/more/deep/note.txt").length
)
file_io.delete_recursively("export/more")
print(tf.io.gfile.exists("export/more"))
try:
    tf.io.gfile.GFile("export/none", "rb").read()
except tf.errors.NotFoundError:
    print("not found")
try:
    tf.io.gfile.copy("export/best/checkpoint", "export/best/checkpoint2")
    tf.io.gfile.copy("export/best/checkpoint", "export/best/checkpoint2")
except tf.errors.AlreadyExistsError:
    print("exists")
