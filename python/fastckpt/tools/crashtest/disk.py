"""A simulated disk: what is on the device for certain, and what may be.

A file's content is certain as of its last sync, the names in a directory as of the sync of that
directory, and nothing else is: this is what POSIX promises, and less than what usual file systems
do. Of what was not synced any part may be on the device. Changes of names happen whole or not at
all, in any order; writes in any number of their sectors; and a file's size before its data.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

__all__ = ["Disk", "File", "Folder", "NameChange", "Record", "Write"]


class Record(NamedTuple):
    """One change of a trace, as ``TracedFiles.records`` lists them."""

    change: str
    path: str
    new_path: str
    file: int
    offset: int
    content: bytes
    result: int

    def __str__(self) -> str:
        name = os.path.basename(self.path)
        into = f" to {os.path.basename(self.new_path)}" if self.new_path else ""
        where = f" [{self.offset}, {self.offset + len(self.content)})" if self.content else ""
        return f"{self.change} {name}{into}{where}"


class Write(NamedTuple):
    """Bytes at an offset, or a new size where there are none."""

    offset: int
    content: bytes | None

    def apply(self, data: bytearray) -> None:
        """Do it."""
        if self.content is None:
            data[self.offset :] = bytes(max(0, self.offset - len(data)))
            return
        data.extend(bytes(max(0, self.offset - len(data))))
        data[self.offset : self.offset + len(self.content)] = self.content


class File:
    """A file, whatever its names: its writes in order, the first `settled` of them certain."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.writes: list[Write] = []
        self.settled = 0

    def content(self, num_writes: int) -> bytearray:
        """Give the content after its first writes."""
        data = bytearray()
        for write in self.writes[:num_writes]:
            write.apply(data)
        return data


class NameChange(NamedTuple):
    """A name that is taken away, a name that is given, or both at one stroke."""

    removed: str | None
    given: str | None
    what: File | Folder

    def apply(self, entries: dict[str, File | Folder]) -> None:
        """Do it. A name that belongs to another file meanwhile is not taken away."""
        if self.removed is not None and entries.get(self.removed) is self.what:
            del entries[self.removed]
        if self.given is not None:
            entries[self.given] = self.what

    def __str__(self) -> str:
        if self.removed is None:
            return f"+{self.given}"
        return f"-{self.removed}" if self.given is None else f"{self.removed} -> {self.given}"


class Folder:
    """A directory: the names that are certain, and changes in order that are not."""

    def __init__(self) -> None:
        self.settled: dict[str, File | Folder] = {}
        self.pending: list[NameChange] = []

    def entries(self, changes: Sequence[NameChange]) -> dict[str, File | Folder]:
        """Give the names after some of the pending changes."""
        found = dict(self.settled)
        for change in changes:
            change.apply(found)
        return found


class Disk:
    """The files and directories below one directory, all certain at first."""

    def __init__(self, top: Path) -> None:
        self.top = str(top)
        self.root = Folder()
        self._folders = {"": self.root}
        self._all_files: dict[int, File] = {}
        # By the numbers of the trace.
        self._files: dict[int, File] = {}
        for path in sorted(top.rglob("*")):
            place, name = self._split(str(path))
            place.settled[name] = self._loaded(path)

    def folders(self) -> list[Folder]:
        """All directories that ever were."""
        return list(self._folders.values())

    def file(self, number: int) -> File:
        """Find a file by its number."""
        return self._all_files[number]

    def apply(self, record: Record) -> None:
        """Do what a record says; one of a call that failed changes nothing."""
        if record.result >= 0:
            getattr(self, f"_{record.change}")(record)

    def _create(self, record: Record) -> None:
        folder, name = self._split(record.path)
        found = folder.entries(folder.pending).get(name)
        if found is None:
            found = self._new_file()
            folder.pending.append(NameChange(None, name, found))
        self._files[record.file] = cast(File, found)

    def _write(self, record: Record) -> None:
        self._file(record).writes.append(Write(record.offset, record.content))

    def _truncate(self, record: Record) -> None:
        self._file(record).writes.append(Write(record.offset, None))

    def _sync_file(self, record: Record) -> None:
        file = self._file(record)
        file.settled = len(file.writes)

    def _sync_directory(self, record: Record) -> None:
        # Those above the top are none of the disk's.
        folder = self._folders.get(self._relative(record.path), Folder())
        folder.settled = folder.entries(folder.pending)
        folder.pending = []

    def _rename(self, record: Record) -> None:
        folder, name = self._split(record.path)
        new_folder, new_name = self._split(record.new_path)
        if folder is not new_folder:
            raise ValueError(f"no save renames from one directory to another: {record}")
        what = folder.entries(folder.pending)[name]
        folder.pending.append(NameChange(name, new_name, what))

    def _link(self, record: Record) -> None:
        folder, name = self._split(record.path)
        new_folder, new_name = self._split(record.new_path)
        what = folder.entries(folder.pending)[name]
        new_folder.pending.append(NameChange(None, new_name, what))

    def _unlink(self, record: Record) -> None:
        folder, name = self._split(record.path)
        what = folder.entries(folder.pending)[name]
        folder.pending.append(NameChange(name, None, what))

    _remove_directory = _unlink

    def _make_directory(self, record: Record) -> None:
        folder, name = self._split(record.path)
        made = Folder()
        self._folders[self._relative(record.path)] = made
        folder.pending.append(NameChange(None, name, made))

    def _file(self, record: Record) -> File:
        if record.file not in self._files:
            # Opened for reading, to be synced.
            folder, name = self._split(record.path)
            self._files[record.file] = cast(File, folder.entries(folder.pending)[name])
        return self._files[record.file]

    def _new_file(self) -> File:
        made = File(len(self._all_files) + 1)
        self._all_files[made.number] = made
        return made

    def _loaded(self, path: Path) -> File | Folder:
        if path.is_dir():
            folder = self._folders[self._relative(str(path))] = Folder()
            return folder
        file = self._new_file()
        file.writes.append(Write(0, path.read_bytes()))
        file.settled = 1
        return file

    def _relative(self, path: str) -> str:
        found = os.path.relpath(path, self.top)
        return "" if found == "." else found

    def _split(self, path: str) -> tuple[Folder, str]:
        place, name = os.path.split(self._relative(path))
        return self._folders[place], name
