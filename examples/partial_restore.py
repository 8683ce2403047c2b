"""Save some variables, restore some of them, and give them other names: dicts say which.

Needs NumPy and fastckpt.
"""

import numpy as np

import fastckpt

v1 = fastckpt.Variable(np.full(3, 1.0, np.float32), name="v1")
v2 = fastckpt.Variable(np.full(5, 2.0, np.float32), name="v2")
path = fastckpt.Saver().save("checkpoint/saver1.ckpt")
print("saved", fastckpt.list_variables(path))

# A list stores variables under their own names, a dict under its keys.
fastckpt.Saver([v1]).save("checkpoint/one.ckpt")
fastckpt.Saver({"weights": v1}).save("checkpoint/renamed.ckpt")
print(fastckpt.list_variables("checkpoint/one.ckpt"))
print(fastckpt.list_variables("checkpoint/renamed.ckpt"))

# Into arrays of other names; what is in no dict stays as it is.
other = {"other_v1": np.zeros(3, np.float32), "other_v2": np.zeros(5, np.float32)}
fastckpt.Saver({"v1": other["other_v1"], "v2": other["other_v2"]}).restore(path)
v1.assign(np.zeros(3, np.float32))
v2.assign(np.zeros(5, np.float32))
fastckpt.Saver({"v2": v2}).restore(path)
print(other["other_v1"], v1.value, v2.value)

# What does not fit is said in one message, and nothing is changed.
wrong = fastckpt.Saver({"v1": np.zeros(4, np.float32), "vv2": np.zeros(5, np.float32)})
try:
    wrong.restore(path)
except fastckpt.CheckpointError as error:
    print(f"{type(error).__name__}: {error}")
report = wrong.restore(path, strict=False)
print(report)
