"""State files, existence and times by TensorFlow's names against TensorFlow's own."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf
from tensorflow.python.tools import inspect_checkpoint as their_tool
from tensorflow.python.training import checkpoint_utils

import fastckpt
from fastckpt.training import waiting
from fastckpt.training.deviations import READER_DEVIATIONS
from golden.manifest import CORPUS_ROOT, golden, require_corpus
from interop import zoo
from interop.differential import Outcome, assert_same_error, assert_same_outcome, outcome

# protobuf warns of backslashes that start no escape; ours asks it about none (tests/unit).
pytestmark = [
    pytest.mark.tf,
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]

FIELDS = (
    "model_checkpoint_path",
    "all_model_checkpoint_paths",
    "all_model_checkpoint_timestamps",
    "last_preserved_timestamp",
)

THEIRS = tf.compat.v1.train

# The user id that owns nothing.
NOBODY = 65534


def as_fields(state: Any) -> dict[str, Any] | None:
    """Spell out a state, whichever class it has."""
    if state is None:
        return None
    values = {name: getattr(state, name) for name in FIELDS}
    return {k: v if isinstance(v, str | float) else list(v) for k, v in values.items()}


def compare_states(directory: Any, *args: Any) -> Outcome:
    """Compare the state of a directory; give TensorFlow's outcome."""
    assert_same_outcome(
        lambda *x: as_fields(fastckpt.get_checkpoint_state(*x)),
        lambda *x: as_fields(THEIRS.get_checkpoint_state(*x)),
        directory,
        *args,
    )
    return outcome(THEIRS.get_checkpoint_state, directory, *args)


def compare(directory: Any, *args: Any) -> Outcome:
    """Compare state and latest checkpoint of a directory; give the outcome of the latter."""
    compare_states(directory, *args)
    assert_same_outcome(fastckpt.latest_checkpoint, THEIRS.latest_checkpoint, directory, *args)
    return outcome(THEIRS.latest_checkpoint, directory, *args)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with the checkpoint `m`, a V1 pattern and a subdirectory with `n`."""
    monkeypatch.chdir(tmp_path)
    zoo.write(Path("m"), {"v": tf.constant([1.0, 2.0])})
    Path("v1-00000-of-00002").write_bytes(b"x")
    zoo.write(Path("sub/n"), {"v": tf.constant([1.0, 2.0])})
    os.utime("m.index", ns=(10**18, 1_234_567_890_987_654_321))
    return tmp_path


# Every form agrees with TensorFlow in the state and in the latest checkpoint.
FORMS: dict[str, bytes] = {
    "plain": b'model_checkpoint_path: "m"\nall_model_checkpoint_paths: "m"\n',
    "crlf": b'model_checkpoint_path: "m"\r\nall_model_checkpoint_paths: "m"\r\n',
    "cr": b'model_checkpoint_path: "m"\rall_model_checkpoint_paths: "m"\r',
    "no end of line": b'model_checkpoint_path: "m"',
    "single quotes": b"model_checkpoint_path: 'm'",
    "comments": b'# c\nmodel_checkpoint_path: "m" # d\n',
    "two parts": b'model_checkpoint_path: "" "m"',
    "repeated": b'model_checkpoint_path: "a" model_checkpoint_path: "m"',
    "list": b'model_checkpoint_path: "m" all_model_checkpoint_paths: ["a", "m"]',
    "timestamps": b'model_checkpoint_path: "m"\nall_model_checkpoint_paths: "m"\n'
    b"all_model_checkpoint_timestamps: 1757461169.1449866\nlast_preserved_timestamp: 1e9\n",
    "infinite": b'model_checkpoint_path: "m" all_model_checkpoint_timestamps: inf',
    "dotted": b'model_checkpoint_path: "./m"',
    "below": b'model_checkpoint_path: "sub/n"',
    "sideways": b'model_checkpoint_path: "sub/../m"',
    "non-ASCII": 'model_checkpoint_path: "m\u00e8"'.encode(),
    "octal": rb'model_checkpoint_path: "\155"',
    "v1 pattern": b'model_checkpoint_path: "v1-?????-of-00002"',
    "v2 pattern": b'model_checkpoint_path: "?"',
    "directory": b'model_checkpoint_path: "sub"',
    "nowhere": b'model_checkpoint_path: "gone"',
    "absolute nowhere": b'model_checkpoint_path: "/no/such/gone"',
    "windows nowhere": rb'model_checkpoint_path: "C:\\Users\\gone"',
    "tabs of windows": rb'model_checkpoint_path: "D:\train\gone"',
    "empty": b"",
    "blank": b"\n \n",
    "empty path": b'model_checkpoint_path: ""',
    "no path": b'all_model_checkpoint_paths: "m"',
    "garbled": b"garbage",
    "cut": b'model_checkpoint_path: "m',
    "unknown field": b'model_checkpoint_path: "m" unknown: 3',
    "wrong type": b"model_checkpoint_path: 7",
    "conflict": b"<<<<<<< HEAD\nmodel_checkpoint_path: 'm'\n",
    "not UTF-8": b'model_checkpoint_path: "\xff"',
    "escaped not UTF-8": rb'model_checkpoint_path: "\377"',
    "utf-16": 'model_checkpoint_path: "m"'.encode("utf-16"),
    "binary": bytes(range(256)),
    "nul": b'model_checkpoint_path: "m\0"',
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("directory", [".", "", "./", "sub/..", Path()], ids=repr)
def test_forms(here: Path, form: str, directory: Any) -> None:
    (here / "checkpoint").write_bytes(FORMS[form])
    compare(directory)
    compare(here)


@pytest.mark.parametrize("stored", ["m", "sub/n", "gone"])
def test_absolute_paths(here: Path, stored: str) -> None:
    (here / "checkpoint").write_text(f'model_checkpoint_path: "{here / stored}"')
    compare(".")
    (here / "sub" / "checkpoint").write_text(f'model_checkpoint_path: "{here / "m"}"')
    compare("sub")


@pytest.mark.parametrize("directory", [None, 3, b".", "nothing", Path("nothing"), "m", "no/no"])
def test_directories(here: Path, directory: Any) -> None:
    assert compare(directory).value is None


@pytest.mark.parametrize("name", ["other", "", "sub/other", "../checkpoint", Path("other"), 3])
def test_latest_filename(here: Path, name: Any) -> None:
    for place in ("other", "sub/other"):
        (here / place).write_text('model_checkpoint_path: "m"')
    compare(".", name)


def test_a_directory_in_its_place(here: Path) -> None:
    (here / "checkpoint").mkdir()
    assert compare(".") == Outcome(None)


def test_a_file_that_may_not_be_read(here: Path) -> None:
    (here / "checkpoint").touch(mode=0)
    # Root may read everything, and gives that up for a moment.
    is_root = os.geteuid() == 0
    if is_root:
        here.chmod(0o755)
        os.seteuid(NOBODY)
    try:
        assert compare(".") == Outcome(None)
    finally:
        if is_root:
            os.seteuid(0)


def test_corpus() -> None:
    require_corpus()
    found = 0
    for path in sorted(CORPUS_ROOT.rglob("checkpoint")):
        if path.is_file():
            compare_states(path.parent)
            found += 1
    assert found >= 40


def test_latest_checkpoint_of_the_corpus() -> None:
    require_corpus()
    found = 0
    for path in sorted(CORPUS_ROOT.rglob("checkpoint")):
        latest = outcome(THEIRS.latest_checkpoint, path.parent)
        if path.is_file() and latest.value is not None:
            assert outcome(fastckpt.latest_checkpoint, path.parent) == latest
            found += 1
    assert found >= 20


# --- existence and times -------------------------------------------------------------------------

PREFIXES = [
    "m", "m.index", "m.data-00000-of-00001", ".", "", "m*", "?", "nope", "m/", "?ub/n",
    "s*/n", "sub/*", "v1-?????-of-00002", "v1-?????-of-00003", "sub", "sub/", "nul\0", None, 3,
    b"m", Path("m"),
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES, ids=repr)
def test_checkpoint_exists(here: Path, prefix: Any) -> None:
    assert_same_outcome(fastckpt.checkpoint_exists, THEIRS.checkpoint_exists, prefix)


@pytest.mark.parametrize(
    "prefixes",
    [*([prefix] for prefix in PREFIXES), "m", [], None, 3, ["m", "nope", "sub/n"], ("sub", "m")],
    ids=repr,
)
def test_get_checkpoint_mtimes(here: Path, prefixes: Any) -> None:
    assert_same_outcome(fastckpt.get_checkpoint_mtimes, THEIRS.get_checkpoint_mtimes, prefixes)
    theirs = outcome(THEIRS.get_checkpoint_mtimes, prefixes)
    assert all(type(time) is float for time in theirs.value or [])


def test_mtimes_are_whole_seconds(here: Path) -> None:
    assert fastckpt.get_checkpoint_mtimes(iter(["m"])) == [1234567890.0]


# --- waiting -------------------------------------------------------------------------------------


class Timeline:
    """A clock that only sleeping moves, and what happens at certain times."""

    def __init__(self, events: dict[float, Callable[[], object]]) -> None:
        self.now = 0.0
        self.events = dict(sorted(events.items()))

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in [x for x in self.events if x <= self.now]:
            self.events.pop(due)()


def play(iterate: Callable[..., Any], directory: Path, clock: Timeline, **options: Any) -> list:
    """Run an iterator to its end; give what it gave, and when."""
    asked: list[float] = []

    def timeout_fn() -> bool:
        asked.append(clock.now)
        return clock.now > 30

    if options.pop("asks", False):
        options["timeout_fn"] = timeout_fn
    given = [(path, clock.now) for path in iterate(directory, **options)]
    return [given, asked, clock.now]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 5},
        {"timeout": 0},
        {"timeout": 0.5},
        {"timeout": 3, "min_interval_secs": 7},
        {"timeout": 3, "asks": True},
        {"timeout": 3, "min_interval_secs": 4, "asks": True},
    ],
    ids=repr,
)
def test_checkpoints_iterator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    played = []
    for module, iterate in (
        (waiting, fastckpt.checkpoints_iterator),
        (checkpoint_utils, tf.train.checkpoints_iterator),
    ):
        directory = tmp_path / "run"
        shutil.rmtree(directory, ignore_errors=True)

        def appear(name: str, directory: Path = directory) -> None:
            directory.mkdir(exist_ok=True)
            (directory / f"{name}.index").touch()
            (directory / "checkpoint").write_text(f'model_checkpoint_path: "{name}"')

        events = {t: lambda t=t: appear(f"m-{t}") for t in (0, 2.5, 3.5, 10, 11, 40)}
        clock = Timeline(events)
        clock.sleep(0)
        monkeypatch.setattr(module, "time", clock)
        played.append(play(iterate, directory, clock, **options))
    assert played[0] == played[1]
    assert played[0][0] or options == {}


# --- where they differ ---------------------------------------------------------------------------


def differs_moved(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    for stored in ("/no/such/m", r"C:\\run\\m", r"C:\run\m", "no/such/m"):
        (here / "checkpoint").write_text(f'model_checkpoint_path: "{stored}"')
        assert THEIRS.latest_checkpoint(here) is None
        with caplog.at_level(logging.INFO, "fastckpt"):
            assert fastckpt.latest_checkpoint(here) == str(here / "m")
        assert any("is gone; using" in x.getMessage() for x in caplog.records)
        assert fastckpt.list_variables(here) == [("v", [2])]
        assert next(fastckpt.checkpoints_iterator(here, timeout=0)) == str(here / "m")
        compare_states(here)


def differs_brackets(here: Path, _: Any) -> None:
    shutil.copytree("sub", "run[1]")
    (here / "run[1]" / "checkpoint").write_text('model_checkpoint_path: "n"')
    for ours, theirs, argument, values in (
        (fastckpt.checkpoint_exists, THEIRS.checkpoint_exists, "run[1]/n", (True, False)),
        (fastckpt.latest_checkpoint, THEIRS.latest_checkpoint, "run[1]", ("run[1]/n", None)),
    ):
        assert (ours(argument), theirs(argument)) == values
    assert THEIRS.checkpoint_exists("[m]") is True
    assert fastckpt.checkpoint_exists("[m]") is False
    assert THEIRS.get_checkpoint_mtimes(["run[1]/n"]) == []
    assert len(fastckpt.get_checkpoint_mtimes(["run[1]/n"])) == 1


def differs_index(here: Path, _: Any) -> None:
    assert THEIRS.NewCheckpointReader("m.index").get_variable_to_shape_map() == {}
    with pytest.raises(fastckpt.InvalidArgumentError, match="pass the prefix 'm'"):
        fastckpt.NewCheckpointReader("m.index")


def differs_slip(here: Path, _: Any) -> None:
    theirs = outcome(THEIRS.NewCheckpointReader, "m/")
    assert isinstance(theirs.error, tf.errors.NotFoundError)
    assert fastckpt.NewCheckpointReader("m/").has_tensor("v")


def differs_block(here: Path, _: Any) -> None:
    zoo.write(Path("herd"), zoo.many_tensors(5_000))
    data = bytearray(Path("herd.index").read_bytes())
    data[300_000] ^= 1  # in the second block of 256 KiB
    Path("herd.index").write_bytes(data)
    assert 0 < len(tf.train.list_variables("herd")) < 5_000
    with pytest.raises(fastckpt.DataLossError):
        fastckpt.list_variables("herd")


def differs_slices(here: Path, _: Any) -> None:
    value = tf.constant([1, 2, 3], tf.float16)
    tf.raw_ops.SaveV2(
        prefix="half", tensor_names=["h", "h"], shape_and_slices=["3 0,1", "3 1,2"],
        tensors=[value[:1], value[1:]],
    )  # fmt: skip
    assert outcome(tf.train.load_variable, "half", "h").error is not None
    assert fastckpt.load_variable("half", "h").tolist() == [1, 2, 3]


def differs_hidden(here: Path, _: Any) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copyfile(f"m{suffix}", f"sub/{suffix}")
    (here / "sub" / "checkpoint").write_text('model_checkpoint_path: "."')
    assert THEIRS.latest_checkpoint("sub") == "sub/."
    assert outcome(THEIRS.NewCheckpointReader, "sub/.").error is not None
    assert fastckpt.latest_checkpoint("sub") == "sub/"


def differs_state(here: Path, _: Any) -> None:
    (here / "checkpoint").write_bytes(FORMS["timestamps"])
    assert isinstance(fastckpt.get_checkpoint_state("."), fastckpt.training.CheckpointState)


def differs_large(here: Path, _: Any) -> None:
    text = 'model_checkpoint_path: "m"\n' + "# comment\n" * 500_000
    (here / "checkpoint").write_text(text)
    assert THEIRS.latest_checkpoint(".") == "./m"
    with pytest.raises(fastckpt.LimitExceededError):
        fastckpt.latest_checkpoint(".")


def differs_printoption(here: Path, _: Any) -> None:
    theirs = outcome(their_tool.parse_numpy_printoption, "threshold=many")
    assert isinstance(theirs.error, AttributeError)
    ours = outcome(fastckpt.inspect_checkpoint.parse_numpy_printoption, "threshold=many")
    assert type(ours.error).__name__ == "ArgumentTypeError"


@pytest.mark.parametrize("name", READER_DEVIATIONS)
def test_deviation(here: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    globals()[f"differs_{name}"](here, caplog)


def test_same_error_sees_a_difference() -> None:
    with pytest.raises(AssertionError):
        assert_same_error(fastckpt.DataLossError("x"), TypeError("y"))
    with pytest.raises(AssertionError):
        assert_same_error(None, tf.errors.NotFoundError(None, None, "z"))
    assert golden("linear").prefix.parent.is_dir()
