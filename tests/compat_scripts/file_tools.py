"""Files and directories through gfile."""

import tensorflow as tf

gfile = tf.io.gfile
gfile.makedirs("out/deep/er")
with gfile.GFile("out/deep/a.txt", "w") as f:
    f.write("one\ntwo\n")
with gfile.GFile("out/deep/a.txt") as f:
    print(list(f))
with gfile.GFile("out/deep/a.txt", "rb") as f:
    print(f.read(3), f.read(), f.size())
gfile.copy("out/deep/a.txt", "out/deep/b.txt")
gfile.rename("out/deep/b.txt", "out/deep/c.txt")
print(
    sorted(x.rstrip("/") for x in gfile.listdir("out/deep")), sorted(gfile.glob("out/deep/*.txt"))
)
print(gfile.exists("out/deep/b.txt"), gfile.isdir("out/deep"), gfile.stat("out/deep/c.txt").length)
for top, folders, files in gfile.walk("out"):
    print(top.rstrip("/"), [x.rstrip("/") for x in folders], sorted(files))
for call in (
    lambda: gfile.GFile("out/none").read(),
    lambda: gfile.copy("out/deep/a.txt", "out/deep/c.txt"),
    lambda: gfile.remove("out/none"),
    lambda: gfile.stat("out/none"),
    lambda: gfile.mkdir("out/deep"),
):
    try:
        call()
    except tf.errors.NotFoundError:
        print("NotFoundError")
    except tf.errors.AlreadyExistsError:
        print("AlreadyExistsError")
gfile.rmtree("out")
print(gfile.exists("out"))
