"""Restore parts of an object-based checkpoint, and objects that are made afterwards."""

import tensorflow as tf

checkpoint = tf.train.Checkpoint(
    encoder={"w": tf.Variable([[1.0, 2.0]]), "b": tf.Variable([3.0])},
    heads=[tf.Variable(4.0), tf.Variable(5.0)],
    rate=tf.Variable(0.5, dtype=tf.float64),
)
path = checkpoint.save("parts/ckpt")

encoder = {"w": tf.Variable(tf.zeros((1, 2)))}
status = tf.train.Checkpoint(encoder=encoder).restore(path)
print(encoder["w"].numpy().tolist())
for name in ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match"):
    try:
        getattr(status, name)()
        print(name, "passes")
    except AssertionError:
        print(name, "fails")
status.expect_partial()

late = tf.train.Checkpoint()
status = late.restore(path)
late.rate = tf.Variable(0.0, dtype=tf.float64)
late.heads = []
late.heads.append(tf.Variable(0.0))
late.heads.append(tf.Variable(0.0))
late.encoder = tf.Module()
late.encoder.w = tf.Variable([[0.0, 0.0]])
late.encoder.b = tf.Variable([0.0])
status.assert_consumed()
print(late.rate.numpy(), [v.numpy() for v in late.heads], late.encoder.b.numpy().tolist())

module = tf.Module()
module.encoder = tf.Module()
module.encoder.b = tf.Variable([0.0])
rooted = tf.train.Checkpoint(module, extra=tf.Variable(9))
rooted.restore(path).expect_partial()
print(module.encoder.b.numpy().tolist(), int(rooted.save_counter), rooted.save("parts/rooted"))

for wrong in (tf.Variable([0.0, 0.0]), tf.Variable(0)):
    try:
        tf.train.Checkpoint(rate=wrong).restore(path).expect_partial()
    except (ValueError, tf.errors.InvalidArgumentError):
        print("does not fit")
for what in ("parts/none", "parts"):
    try:
        tf.train.Checkpoint(rate=tf.Variable(0.0)).restore(what)
    except (tf.errors.NotFoundError, tf.errors.DataLossError):
        print("nothing there")
for arguments in ({"a": 3}, {"a": None}, {"a": (1, 2)}):
    try:
        tf.train.Checkpoint(**arguments)
    except ValueError as error:
        print(str(error).split(",")[0])
try:
    tf.train.Checkpoint().restore(None).assert_consumed()
except AssertionError as error:
    print(error)
