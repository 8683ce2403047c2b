"""Where functions by TensorFlow's names do something else than TensorFlow's, and why.

docs/porting is written from this table, and tests assert both sides of every row.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["READER_DEVIATIONS", "SAVER_DEVIATIONS", "Deviation"]


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

SAVER_DEVIATIONS: dict[str, Deviation] = {
    "negative": Deviation(
        "Saver",
        "a negative max_to_keep removes every checkpoint right after it was saved",
        "InvalidArgumentError; of a SaverDef from elsewhere it means that all are kept",
        "whoever writes -1 wants to keep everything",
    ),
    "hidden": Deviation(
        "Saver.save",
        "'dir/' and 'dir/.' write hidden files '.index' and so on; '' does, and raises afterwards",
        "InvalidArgumentError before anything is written; with a global step 'dir/' is fine",
        "such a checkpoint is not found again",
    ),
    "url": Deviation(
        "Saver.save",
        "'file:///d/m' means '/d/m'",
        "InvalidArgumentError, which says to pass '/d/m'; for other URLs UnsupportedError",
        "a checkpoint has one name, by which others find it and wait for it",
    ),
    "suffix": Deviation(
        "Saver.save",
        "'m.index' is a prefix like any other",
        "InvalidArgumentError, which says to pass 'm'; so for .meta and .data-…",
        "it is a slip, and every reader takes the result for a file of 'm'",
    ),
    "parents": Deviation(
        "Saver.save, update_checkpoint_state",
        "one missing directory is made, for unsharded V2 checkpoints alone; else ValueError",
        "all are made, and removed again when the save fails; update_checkpoint_state makes none",
        "the data is there, and only needs a place",
    ),
    "misled": Deviation(
        "Saver.save",
        "with a bare prefix every FailedPreconditionError becomes a ValueError that says "
        "'Parent directory doesn't exist'",
        "the error itself",
        "variables without a value are no missing directory",
    ),
    "taken": Deviation(
        "Saver.save",
        "where a directory is called like the state file the save fails after the data is written",
        "InvalidArgumentError before anything is written",
        "a save does all of its work or nothing",
    ),
    "overwrites": Deviation(
        "Saver.save",
        "a latest_filename or meta_graph_suffix that names a file of the checkpoint replaces it",
        "InvalidArgumentError before anything is written",
        "the checkpoint is lost otherwise",
    ),
    "order": Deviation(
        "Saver.save",
        "the meta graph comes last: a crash leaves a state file that names a checkpoint without",
        "data, meta graph, index, state file, removal",
        "what the state file names is complete",
    ),
    "poisoned": Deviation(
        "Saver.save",
        "a checkpoint whose state file could not be written stays in last_checkpoints",
        "last_checkpoints is what the state file says",
        "later saves would list and remove what nobody has seen",
    ),
    "spelling": Deviation(
        "Saver.save, CheckpointManager.save",
        "'d/m' and './d/m' are two checkpoints: when the first is dropped, the second loses its "
        "files",
        "they are one",
        "the newest checkpoint is lost otherwise",
    ),
    "pattern": Deviation(
        "Saver.save",
        "the name of a dropped checkpoint is a pattern: '*' removes others as well",
        "it is the name; remove_checkpoint takes patterns in both",
        "files of others are not to be removed",
    ),
    "brackets": Deviation(
        "Saver.restore, Saver.save, remove_checkpoint, CheckpointManager",
        "brackets are a pattern: below 'run[1]' nothing is restored, and nothing removed",
        "brackets are ordinary characters",
        "nobody means a character class by them",
    ),
    "first": Deviation(
        "Saver.save over an existing prefix, remove_checkpoint",
        "removes the meta graph, then the index, then the data",
        "the index goes first",
        "a reader finds the whole checkpoint or none",
    ),
    "shape": Deviation(
        "Saver.restore",
        "a resource variable takes a stored tensor of another shape without a word",
        "InvalidArgumentError, as for all other variables",
        "the graph goes on with a shape that it does not know",
    ),
    "report": Deviation(
        "Saver.restore",
        "names the first tensor that is missing or does not fit; some variables may be assigned",
        "one message names all of them, with near names; nothing is assigned. "
        "strict=False restores the rest",
        "one run tells all there is to mend",
    ),
    "index": Deviation(
        "Saver.restore",
        "'m.index' is a checkpoint without tensors: NotFoundError",
        "InvalidArgumentError, which says to pass the prefix 'm'",
        "it says what the mistake is",
    ),
    "behind": Deviation(
        "Saver(write_version=V1).save",
        "writes a V1 file beside a V2 checkpoint of that name, which every reader prefers",
        "InvalidArgumentError",
        "what was saved could not be restored",
    ),
    "list": Deviation(
        "update_checkpoint_state, generate_checkpoint_state_proto",
        "changes the list that it is given; a tuple is refused",
        "leaves it alone, and takes any sequence; the result is a CheckpointState",
        "an argument is not a result",
    ),
    "nameless": Deviation(
        "update_checkpoint_state",
        "an empty path with an absolute directory writes a state file that no reader accepts",
        "InvalidArgumentError",
        "the old state file is lost otherwise",
    ),
    "path": Deviation(
        "Saver.save, Saver.restore",
        "a PathLike is a TypeError",
        "it is taken where there is no session; with one it is a TypeError too",
        "programs without TensorFlow pass them",
    ),
    "session": Deviation(
        "Saver.restore",
        "without a session, or before build(), an AttributeError of None",
        "a TypeError; a RuntimeError, as for save",
        "the former is a slip",
    ),
    "swept": Deviation(
        "CheckpointManager.save",
        "raises when an old checkpoint cannot be removed",
        "says so in the log, as a Saver does",
        "the new checkpoint is there",
    ),
    "quiet": Deviation(
        "Saver, update_checkpoint_state, remove_checkpoint",
        "warn that they are deprecated; a V1 save does so in five lines each time",
        "do not, but for one line at each V1 save",
        "they are what this package is for",
    ),
}
