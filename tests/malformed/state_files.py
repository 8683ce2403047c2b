"""State files: text that is none, paths that lead nowhere, and what is odd but right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fastckpt
from corruption.forge import entry, header
from malformed.case import GOOD, VALUES, Case, ErrorClass, Expected, one_block

LOSS = fastckpt.DataLossError
GONE = fastckpt.CheckpointNotFoundError

LATEST = b'model_checkpoint_path: "ck"\n'
INDEX = one_block([header(), entry("a", GOOD)])
READ: dict[str, Expected] = {"a": VALUES}


def state(text: bytes | Callable[[Path], bytes]) -> Callable[[Path], Path]:
    """A directory with the checkpoint "ck" and this state file."""

    def build(folder: Path) -> Path:
        (folder / "ck.index").write_bytes(INDEX)
        (folder / "ck.data-00000-of-00001").write_bytes(GOOD)
        (folder / "checkpoint").write_bytes(text if isinstance(text, bytes) else text(folder))
        return folder

    return build


def path_to(path: bytes) -> bytes:
    """A state file with this path, as written between quotes."""
    return b'model_checkpoint_path: "' + path + b'"\n'


# id: (text, description, what opening the directory raises)
REFUSED: dict[str, tuple[bytes, str, ErrorClass]] = {
    "empty": (b"", "no bytes", LOSS),
    "blank": (b" \n\t\r\n", "white space", LOSS),
    "comment": (b"# saved by nobody\n", "a comment", LOSS),
    "zeros": (bytes(64), "NUL bytes, as after a power cut", LOSS),
    "binary": (bytes(range(128, 256)), "bytes that are no text", LOSS),
    "garbage": (b"ck\n", "a bare path", LOSS),
    "json": (b'{"model_checkpoint_path": "ck"}', "JSON", LOSS),
    "html": (b"<html><body>404 Not Found</body></html>", "a web page", LOSS),
    "utf16": (LATEST.decode().encode("utf-16"), "UTF-16", LOSS),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git-LFS", LOSS,
    ),
    "merge_conflict": (
        b"<<<<<<< HEAD\n" + LATEST + b"=======\n" + path_to(b"other") + b">>>>>>> b\n",
        "marks of a merge conflict", LOSS,
    ),
    "quote_open": (LATEST[:-2], "quotes that are never closed", LOSS),
    "quote_absent": (b"model_checkpoint_path: ck\n", "path without quotes", LOSS),
    "quotes_differ": (b"model_checkpoint_path: \"ck'\n", "two kinds of quotes", LOSS),
    "value_absent": (b"model_checkpoint_path:\n", "no value", LOSS),
    "colon_absent": (b'model_checkpoint_path "ck"\n', "no colon", LOSS),
    "number": (b"model_checkpoint_path: 7\n", "a number as path", LOSS),
    "message": (b"model_checkpoint_path { }\n", "a message as path", LOSS),
    "message_open": (
        LATEST + b"all_model_checkpoint_paths {\n", "a message that stays open", LOSS,
    ),
    "nested": (b"a {" * 5000, "5000 messages in one another", LOSS),
    "unknown_field": (LATEST + b'comment: "x"\n', "a field that the message does not have", LOSS),
    "unknown_number": (LATEST + b'17: "x"\n', "a field by its number", LOSS),
    "extension": (LATEST + b"[a.b.c] { }\n", "an extension", LOSS),
    "latest_absent": (b'all_model_checkpoint_paths: "ck"\n', "no latest checkpoint", LOSS),
    "latest_empty": (path_to(b""), "the latest path is empty", LOSS),
    "timestamp_text": (LATEST + b'last_preserved_timestamp: "x"\n', "text as a time", LOSS),
    "escape_unknown": (path_to(b"ck\\xZZ") + b"oops", "an escape without digits", LOSS),
    "bytes_not_utf8": (path_to(b"\xff\xfe"), "path that is not UTF-8", LOSS),
    "escape_not_utf8": (path_to(b"\\377\\376"), "escapes that are not UTF-8", LOSS),
    "gone": (path_to(b"other"), "a checkpoint that is gone", GONE),
    "gone_absolute": (path_to(b"/nowhere/other"), "an absolute path that is gone", GONE),
    "itself": (path_to(b"checkpoint"), "the state file itself", GONE),
    "directory": (path_to(b"."), "the directory itself", GONE),
    "parent": (path_to(b".."), "the directory above", GONE),
    "index_suffix": (
        path_to(b"ck.index"), "the index in place of the prefix", fastckpt.InvalidArgumentError,
    ),
    "shard": (path_to(b"ck.data-00000-of-00001"), "a shard in place of the prefix", GONE),
    "foreign_file": (path_to(b"/etc/passwd"), "a file that is no checkpoint", GONE),
    "device": (path_to(b"/dev/zero"), "an endless device", GONE),
    "url": (path_to(b"gs://bucket/other"), "a URL", GONE),
    "pattern": (path_to(b"*"), "a pattern", GONE),
    "long_path": (path_to(b"x" * 5000), "a path of 5000 bytes", GONE),
    "nul_in_path": (path_to(b"ck\\000"), "a NUL in the path", fastckpt.CheckpointError),
    "brackets": (path_to(b"[c]k"), "a glob that TensorFlow would follow", GONE),
}  # fmt: skip

# id: (text, description)
ACCEPTED: dict[str, tuple[bytes, str]] = {
    "latest_twice": (path_to(b"other") + LATEST, "two latest paths: the last counts"),
    "crlf": (LATEST.replace(b"\n", b"\r\n"), "lines that end as on Windows"),
    "byte_order_mark": (b"\xef\xbb\xbf" + LATEST, "a byte order mark"),
    "single_quotes": (b"model_checkpoint_path: 'ck'", "single quotes"),
    "joined_strings": (b'model_checkpoint_path: "c" "k"', "a path in two pieces"),
    "escaped": (path_to(b"\\143\\x6b"), "a path in escapes"),
    "windows": (path_to(rb"C:\\train\\ck"), "a path of a Windows machine"),
    "windows_unescaped": (
        path_to(rb"C:\train\ck"), "a Windows path whose backslashes nobody escaped",
    ),
    "moved": (path_to(b"/gone/away/ck"), "a path of another machine"),
    "kept_are_gone": (
        LATEST + b'all_model_checkpoint_paths: "x"\n' * 50, "50 kept paths are gone",
    ),
    "timestamps": (
        LATEST + b"all_model_checkpoint_timestamps: nan\nlast_preserved_timestamp: -inf\n",
        "times that are no numbers",
    ),
    "many_paths": (
        LATEST + b'all_model_checkpoint_paths: "ck"\n' * 5000, "5000 times the same path",
    ),
}  # fmt: skip


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(
            f"state/{name}", description, "SAVER 2, FORMAT 8.5: says what is wrong with the state",
            state(text), opens=error,
        )
        for name, (text, description, error) in REFUSED.items()
    ]  # fmt: skip
    found += [
        Case(
            f"state/{name}", description, "SAVER 2, DESIGN 5.3: forms seen in the wild",
            state(text), tensors=READ, sound=True,
        )
        for name, (text, description) in ACCEPTED.items()
    ]  # fmt: skip
    return [*found, *_special()]


def _special() -> list[Case]:
    def huge(folder: Path) -> Path:
        build = state(LATEST)(folder)
        with (folder / "checkpoint").open("r+b") as file:
            file.truncate(1 << 40)
        return build

    def index_cut(folder: Path) -> Path:
        directory = state(LATEST)(folder)
        (folder / "ck.index").write_bytes(INDEX[:-1])
        return directory

    def index_empty(folder: Path) -> Path:
        directory = state(LATEST)(folder)
        (folder / "ck.index").write_bytes(b"")
        return directory

    def no_data(folder: Path) -> Path:
        directory = state(LATEST)(folder)
        (folder / "ck.data-00000-of-00001").unlink()
        return directory

    return [
        Case(
            "state/huge", "a terabyte of nothing", "DESIGN 4.4: refused unread", huge,
            opens=fastckpt.LimitExceededError,
        ),
        Case("state/index_cut", "it names a truncated index", "FORMAT 6.4", index_cut, opens=LOSS),
        Case("state/index_empty", "it names an empty file", "FORMAT 6.4", index_empty, opens=LOSS),
        Case(
            "state/no_data", "it names an index without its shard", "FORMAT 6.4", no_data,
            tensors={"a": GONE},
        ),
    ]  # fmt: skip
