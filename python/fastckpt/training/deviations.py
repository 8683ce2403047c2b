"""Where functions by TensorFlow's names do something else than TensorFlow's, and why.

docs/porting is written from this table, and tests assert both sides of every row.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["READER_DEVIATIONS", "Deviation"]


class Deviation(NamedTuple):
    """One difference that a program can see.

    Attributes
    ----------
    where : str
        The functions concerned.
    tensorflow, here : str
        What each does.
    reason : str
        Why.
    """

    where: str
    tensorflow: str
    here: str
    reason: str


READER_DEVIATIONS: dict[str, Deviation] = {
    "moved": Deviation(
        "latest_checkpoint, load_checkpoint and list_variables of a directory, waiting",
        "a stored path that is gone gives None",
        "the checkpoint of that name beside the state file is taken, with a line in the log; "
        "Windows paths too, escaped or not",
        "directories are moved and downloaded; get_checkpoint_state still gives what is stored",
    ),
    "brackets": Deviation(
        "latest_checkpoint, checkpoint_exists, get_checkpoint_mtimes",
        "brackets are a pattern, so a checkpoint below 'run[1]' is not found",
        "brackets are ordinary characters; * and ? are patterns in both",
        "nobody means a character class by them",
    ),
    "index": Deviation(
        "NewCheckpointReader, load_checkpoint",
        "'m.index' opens as a checkpoint without tensors",
        "InvalidArgumentError, which says to pass the prefix 'm'",
        "an empty answer hides the mistake",
    ),
    "slip": Deviation(
        "NewCheckpointReader, load_checkpoint",
        "'m/' for the prefix 'm' is not found, nor is the name that V1 shards share",
        "they open",
        "there is one thing they can mean",
    ),
    "block": Deviation(
        "NewCheckpointReader, load_checkpoint, list_variables",
        "tensors in a damaged later block of the index are missing without a word",
        "DataLossError at open",
        "damage is never passed over",
    ),
    "slices": Deviation(
        "get_tensor, load_variable",
        "partitioned tensors of float16, uint16, strings and others are refused",
        "they are read",
        "the file holds all it takes",
    ),
    "hidden": Deviation(
        "latest_checkpoint",
        "after a save to 'dir/' gives 'dir/.', which no reader opens",
        "gives 'dir/', the prefix of the hidden files",
        "the checkpoint is there",
    ),
    "state": Deviation(
        "get_checkpoint_state",
        "gives a protocol buffer message",
        "gives an object with the same fields, a CheckpointState",
        "protobuf is not needed to use it",
    ),
    "large": Deviation(
        "get_checkpoint_state, latest_checkpoint",
        "reads a state file of any size",
        "LimitExceededError above 4 MiB",
        "a file from a stranger must not fill the memory",
    ),
    "printoption": Deviation(
        "inspect_checkpoint.parse_numpy_printoption",
        "a value of the wrong type ends in an AttributeError",
        "argparse.ArgumentTypeError, as for the other mistakes",
        "the former is a slip in the tool",
    ),
}
