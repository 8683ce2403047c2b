"""Malformed checkpoints, most of them with right checksums: V2, V1 and state files.

    python tests/malformed/generate.py FOLDER      (with tests/ on PYTHONPATH)

writes each into a folder of its own. Two runs give the same bytes. What a reader has to say to
each is part of its `Case`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fastckpt
from corruption.forge import entry, header
from corruption.test_damage_cases import BAD_ENTRIES
from corruption.test_damaged_tables import BAD_RECORDS, BAD_TABLES
from malformed import (
    state_files,
    v1_files,
    v1_shards,
    v2_blocks,
    v2_entries,
    v2_slices,
    v2_stored,
    v2_tables,
)
from malformed.case import GOOD, NEIGHBOURS, Case, files, one_block

__all__ = ["Case", "all_cases"]


def all_cases() -> dict[str, Case]:
    """Every case by its id."""
    found = [
        *v2_tables.cases(),
        *v2_entries.cases(),
        *v2_blocks.cases(),
        *v2_slices.cases(),
        *v2_stored.cases(),
        *v1_files.cases(),
        *v1_shards.cases(),
        *state_files.cases(),
        *_corruption(),
    ]
    by_id = {case.id: case for case in found}
    assert len(by_id) == len(found), "ids are unique"
    return by_id


def _corruption() -> list[Case]:
    """The tables of tests/corruption, so that TensorFlow is tried on them too."""
    refused = {f"records_{name}": one_block(records) for name, records in BAD_RECORDS.items()}
    refused |= {f"table_{name}": index for name, index in BAD_TABLES.items()}
    # An empty index is an error of locating, like every empty file.
    found = [
        Case(
            f"corruption/{name}",
            name.replace("_", " "),
            "tests/corruption/test_damaged_tables.py",
            files(index, GOOD),
            opens=fastckpt.DataLossError,
        )
        for name, index in refused.items()
    ]
    for name, record in BAD_ENTRIES.items():
        records = [header(), entry("a", GOOD), record, entry("z", GOOD)]
        found.append(
            Case(
                f"corruption/entry_{name}",
                name.replace("_", " "),
                "tests/corruption/test_damage_cases.py",
                files(one_block(records), GOOD),
                tensors=NEIGHBOURS | {"bad": fastckpt.DataLossError},
            )
        )
    return found


def main(folder: Path) -> None:
    """Write all cases below a folder."""
    for case in all_cases().values():
        place = folder / case.id.replace("/", "--")
        place.mkdir(parents=True)
        case.build(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
