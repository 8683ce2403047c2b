"""From any path a user may pass to the prefix of a checkpoint; the checkpoint state file."""

from fastckpt.storage.locate import Location, locate
from fastckpt.storage.state import CheckpointState, parse_state, read_state

__all__ = ["CheckpointState", "Location", "locate", "parse_state", "read_state"]
