"""The error tree: classes, attributes, text, pickling, and the table of the core's numbers."""

import copy
import errno
import os
import pickle
import re
from pathlib import Path

import pytest

from fastckpt import errors
from fastckpt.errors import CheckpointError, from_core

# DESIGN: the class and what else it derives.
TREE = {
    "DataLossError": (ValueError,),
    "CheckpointNotFoundError": (FileNotFoundError, ValueError),
    "TensorNotFoundError": (KeyError,),
    "InvalidArgumentError": (ValueError,),
    "UnsupportedError": (NotImplementedError,),
    "LimitExceededError": (ValueError,),
    "CheckpointChangedError": (OSError,),
    "CheckpointBusyError": (OSError,),
    "CheckpointIOError": (OSError,),
    "ClosedError": (ValueError,),
}
BUILTINS = {ValueError, FileNotFoundError, OSError, KeyError, NotImplementedError}
CLASSES = [getattr(errors, name) for name in TREE]


def core_codes(repository: Path) -> dict[int, str]:
    header = (repository / "src" / "base" / "error.h").read_text()
    return {int(n): name for name, n in re.findall(r"^  k(\w+) = (\d+),", header, re.MULTILINE)}


@pytest.mark.parametrize("name", TREE)
def test_each_class_derives_the_base_and_just_the_builtins_of_the_design(name: str):
    cls = getattr(errors, name)
    assert issubclass(cls, CheckpointError)
    expected = {base for builtin in TREE[name] for base in builtin.__mro__} & BUILTINS
    assert {builtin for builtin in BUILTINS if issubclass(cls, builtin)} - {
        OSError
    } == expected - {OSError}
    assert issubclass(cls, OSError) == (OSError in expected)


def test_every_public_class_is_in_the_tree():
    public = {name for name in errors.__all__ if name.endswith("Error")}
    assert public == {*TREE, "CheckpointError"}
    assert CheckpointError.__bases__ == (Exception,)


@pytest.mark.parametrize("cls", [CheckpointError, *CLASSES])
def test_text_is_the_message_and_location_is_none_by_default(cls: type[CheckpointError]):
    error = cls("what, where; so what")
    assert str(error) == "what, where; so what"
    assert repr(error) == f"{cls.__name__}('what, where; so what')"
    assert (error.path, error.offset, error.key) == (None, None, None)


@pytest.mark.parametrize("cls", [CheckpointError, *CLASSES])
@pytest.mark.parametrize("clone", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_clones_keep_text_location_and_extras(cls: type[CheckpointError], clone):
    error = cls("text", path="m.index", offset=4096, key="w")
    error.add_note("a note")
    twin = clone(error)
    assert type(twin) is cls
    assert str(twin) == "text"
    assert (twin.path, twin.offset, twin.key) == ("m.index", 4096, "w")
    assert twin.__notes__ == ["a note"]


def test_location_is_keyword_only():
    with pytest.raises(TypeError):
        CheckpointError("text", "m.index")


@pytest.mark.parametrize(
    ("cls", "number"),
    [
        (errors.CheckpointNotFoundError, errno.ENOENT),
        (errors.CheckpointChangedError, errno.ESTALE),
        (errors.CheckpointBusyError, errno.EBUSY),
        (errors.CheckpointIOError, None),
    ],
)
def test_system_errors_fill_the_fields_of_oserror(cls, number):
    error = cls("cannot", path="m.index")
    assert error.errno == number
    assert error.strerror == ("cannot" if number is None else os.strerror(number))
    assert error.filename == "m.index"
    assert str(error) == "cannot"


def test_errno_survives_pickling():
    error = errors.CheckpointIOError("no space", path="m.data-00000-of-00001", errno=errno.ENOSPC)
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.errno, twin.filename) == (errno.ENOSPC, "m.data-00000-of-00001")
    assert twin.strerror == os.strerror(errno.ENOSPC)


def test_tensor_not_found_is_not_quoted_like_a_key_error():
    assert str(errors.TensorNotFoundError("no tensor 'a'")) == "no tensor 'a'"


def test_from_core_knows_every_number_of_the_header(repository: Path):
    special = {
        "NotFound": "CheckpointNotFoundError",
        "Changed": "CheckpointChangedError",
        "Busy": "CheckpointBusyError",
        "Io": "CheckpointIOError",
    }
    codes = core_codes(repository)
    assert len(codes) == len(TREE)
    for number, name in codes.items():
        error = from_core(number, "text", "", None, None, 0)
        assert type(error).__name__ == special.get(name, f"{name}Error")


def test_from_core_appends_what_the_text_lacks():
    error = from_core(1, "checksum mismatch (stored 1)", "m.index", 4096, b"w", 0)
    assert str(error) == "checksum mismatch (stored 1) [tensor 'w', file 'm.index', offset 4096]"
    assert (error.path, error.offset, error.key) == ("m.index", 4096, "w")


def test_from_core_says_what_to_do_about_a_shard():
    shard = "/d/m.data-00001-of-00002"
    assert str(from_core(2, "gone", shard)).endswith("; copy this data shard here too")
    assert "; copy it here again" in str(from_core(1, "it is too short", shard))
    assert "copy" not in str(from_core(1, "checksum", shard)) + str(from_core(2, "gone", "/d/m"))


def test_from_core_repeats_nothing():
    text = "checksum mismatch of 'w' in 'm.index' at offset 4096"
    assert str(from_core(1, text, "m.index", 4096, b"w", 0)) == text


def test_from_core_sees_names_only_where_they_are_quoted():
    # 'm' and 'a' are letters of "damaged" and yet not mentioned by it.
    assert str(from_core(1, "damaged", "m", None, b"a", 0)) == "damaged [tensor 'a', file 'm']"


def test_from_core_tells_the_systems_reason_once():
    error = from_core(9, "cannot write", "m.index", None, None, errno.ENOSPC)
    assert str(error) == f"cannot write: {os.strerror(errno.ENOSPC)} [file 'm.index']"
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC
    again = from_core(9, str(error), "m.index", None, None, errno.ENOSPC)
    assert str(again) == str(error)


def test_from_core_keeps_names_that_are_not_utf8_readable():
    assert from_core(1, "bad", key=b"a\xff").key == "a\\xff"


def test_from_core_makes_an_unknown_number_the_base_class():
    assert type(from_core(99, "text")) is CheckpointError


def test_from_core_leaves_errno_alone_where_the_class_has_none():
    assert not hasattr(from_core(1, "text", errno=errno.EIO), "errno")
