"""The nodes that save and restore the variables of a meta graph, and its SaverDef.

Names, order of inputs and file layout follow what ``tf.compat.v1.train.Saver`` of TensorFlow 2.21
puts into a graph, because programs find these nodes by name.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.meta_encoding import (
    field,
    flag,
    node,
    shape_attr,
    strings_tensor_attr,
    text_tensor_attr,
    type_attr,
    types_attr,
    varint_field,
)
from fastckpt.graph.meta_names import Names, cpu_beside, legal_name
from fastckpt.graph.meta_variables import Variable, assign_node
