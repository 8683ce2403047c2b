"""Everything a Saver can save: one protocol, and one adapter a file.

An adapter is imported when an object of its framework appears, which is told by what is in
``sys.modules``: no framework is imported from here.

The walk of a save is ``name_targets(var_list)`` at construction and ``read_values`` at each save;
that of a restore ends in ``assign_values``, and in ``restored`` where values are immutable.
"""

from fastckpt.training.variables.adapting import as_targets
from fastckpt.training.variables.collection import reset_default_collection
from fastckpt.training.variables.mistakes import EagerError, UninitializedError, UnnamedError
from fastckpt.training.variables.protocol import Group, Pair, SliceInfo, Target
from fastckpt.training.variables.values import (
    assign_values,
    default_targets,
    name_targets,
    needs_session,
    read_values,
    restored,
)
from fastckpt.training.variables.variable import Variable

__all__ = [
    "EagerError",
    "Group",
    "Pair",
    "SliceInfo",
    "Target",
    "UninitializedError",
    "UnnamedError",
    "Variable",
    "as_targets",
    "assign_values",
    "default_targets",
    "name_targets",
    "needs_session",
    "read_values",
    "reset_default_collection",
    "restored",
]
