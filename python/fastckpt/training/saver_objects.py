"""Restoring by variable names what tf.train.Checkpoint stored by the places of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastckpt.errors import TensorNotFoundError

__all__ = ["map_names"]


def map_names(
    names: Sequence[str], names_to_keys: Mapping[str, str], *, strict: bool
) -> dict[str, str]:
    """Give the key for each name.

    Raises
    ------
    TensorNotFoundError
        With `strict`, names that no variable of the checkpoint had.
    """
    found = {name: names_to_keys[name] for name in names if name in names_to_keys}
    if strict and len(found) < len(names):
        missing = sorted(set(names) - set(found))
        raise TensorNotFoundError(
            f"Existing variables not in the checkpoint: {', '.join(missing)}\n\n"
            "Variables names when this checkpoint was written which don't exist now: "
            f"{', '.join(sorted(set(names_to_keys) - set(names)))}\n\n"
            f"({len(found)} variable name(s) did match)\n\n"
            "Could not find some variables in the checkpoint. It is object-based "
            "(tf.train.Checkpoint, tf.keras), and was searched by the names that its variables "
            "had. Nothing was assigned. Leave the missing ones out "
            "of the var_list, or make it a dictionary whose keys are the names above or those of "
            "the checkpoint.",
            key=missing[0],
        )
    return found
