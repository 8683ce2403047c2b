"""Rename scopes of a checkpoint and drop what belongs to the optimizer.

Needs NumPy and fastckpt. The same on the command line:

    fastckpt rename old/model 'tower/=encoder/' 's/gamma$/scale/' -o new/model
    fastckpt drop new/model '*/Adam*' -o small/model
"""

import numpy as np

import fastckpt
from fastckpt.tools.surgery import drop, rename

arrays = {
    "tower/dense/kernel": np.ones((3, 2), np.float32),
    "tower/dense/kernel/Adam": np.zeros((3, 2), np.float32),
    "tower/norm/gamma": np.ones(2, np.float32),
    "global_step": np.int64(7),
}
fastckpt.save("old/model", arrays)

plan = rename("old/model", "new/model", ["tower/=encoder/", "s/gamma$/scale/"], dry_run=True)
for before, after in plan.renamed:
    print(f"{before} -> {after}")
rename("old/model", "new/model", ["tower/=encoder/", "s/gamma$/scale/"])
done = drop("new/model", "small/model", "*/Adam*")
print("dropped", *done.dropped)
print(fastckpt.list_variables("small/model"))
