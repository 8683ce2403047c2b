"""Saves in processes of their own: interrupted, forked, short of space, side by side, measured."""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import CheckpointWriter
from unit.writer_helpers import loaded, names_in

MIB = 1 << 20
LIMIT_S = 120


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "m"


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a program beside this one; it is interrupted by SIGINT whatever this one does."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        # A job in the background of a script inherits that SIGINT is ignored.
        preexec_fn=functools.partial(  # noqa: PLW1509
            signal.signal, signal.SIGINT, signal.SIG_DFL
        ),
    )


def run(code: str, *arguments: object) -> Any:
    """What a program prints, read as JSON."""
    with start(code, *arguments) as process:
        printed, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    return json.loads(printed)


# --- interrupts ----------------------------------------------------------------------------------

# Saves until it is interrupted; says so when bytes of a save are on their way.
INTERRUPTED = """
import sys, numpy as np, fastckpt
said = False
def say(state):
    global said
    if state.bytes_done and not said:
        said = True
        print("under way", flush=True)
tensors = {f"t{i}": np.broadcast_to(np.float32(i), (3 << 20,)) for i in range(200)}
try:
    fastckpt.save(sys.argv[1], tensors, num_shards=int(sys.argv[2]), num_threads=2, progress=say)
except KeyboardInterrupt:
    print("interrupted")
else:
    print("saved")
"""


@pytest.mark.parametrize("num_shards", [1, 3])
def test_ctrl_c(prefix: Path, num_shards: int) -> None:
    fastckpt.save(prefix, {"old": 1})
    with start(INTERRUPTED, prefix, num_shards) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
    assert process.returncode == 0
    assert loaded(prefix) == {"old": 1}
    assert names_in(prefix.parent) == ["m.data-00000-of-00001", "m.index"]


def test_a_killed_save_leaves_the_old_checkpoint(prefix: Path) -> None:
    fastckpt.save(prefix, {"old": 1})
    with start(INTERRUPTED, prefix, 2) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        process.kill()
    assert loaded(prefix) == {"old": 1}
    fastckpt.save(prefix, {"new": 2})
    assert loaded(prefix) == {"new": 2}
    # What the dead one left behind is gone.
    assert all(name.startswith(("m.data-", "m.index")) for name in names_in(prefix.parent))
    assert len(names_in(prefix.parent)) == 1 + fastckpt.open(prefix).num_shards


# --- forks ---------------------------------------------------------------------------------------

# The child uses what it inherited, and exits as Python does.
FORKED = """
import json, os, sys, warnings, numpy as np, fastckpt
warnings.simplefilter("ignore")
def errors(writer):
    found = []
    for use in (lambda: writer.add("c", 1), lambda: writer.add_all({"d": 2}), writer.commit):
        try:
            use()
        except fastckpt.CheckpointError as error:
            found.append([type(error).__name__, "fork" in str(error)])
    return found
writer = fastckpt.CheckpointWriter(sys.argv[1], num_shards=2, num_threads=2)
writer.add("a", np.ones(3 << 20))
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, json.dumps(errors(writer)).encode())
    writer.abort()
    sys.exit(0)
os.wait()
seen = json.loads(os.read(read, 10_000))
writer.add("b", np.ones(3 << 20))
writer.commit()
print(json.dumps(seen))
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_writer_alone(prefix: Path) -> None:
    assert run(FORKED, prefix) == [["ClosedError", True]] * 3
    assert loaded(prefix).keys() == {"a", "b"}
    assert len(names_in(prefix.parent)) == 3


# --- space ---------------------------------------------------------------------------------------

# Saves with a limit on the size of files, which fails as a full disk does.
LIMITED = """
import json, resource, signal, sys, numpy as np, fastckpt
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit, size, name_size, num_shards, num_threads = map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
tensors = {str(i) + "n" * name_size: np.ones(size // 4, np.uint8) for i in range(4)}
try:
    fastckpt.save(sys.argv[1], tensors, num_shards=num_shards, num_threads=num_threads)
except fastckpt.CheckpointIOError as error:
    print(json.dumps([error.errno, error.filename, str(error)]))
else:
    print("null")
"""


@pytest.mark.parametrize(
    ("limit", "size", "name_size", "num_shards", "num_threads", "suffix"),
    [
        (4 * MIB, 12 * MIB, 1, 1, 1, ".data-"),
        (4 * MIB, 12 * MIB, 1, 1, 3, ".data-"),
        (2 * MIB + 5, 9 * MIB, 1, 4, 3, ".data-"),
        (100_000, 400_000, 1, 2, 2, ".data-"),
        (100_000, 4, 30_000, 1, 2, ".index"),
        (0, 4, 1, 1, 1, ".data-"),
    ],
)
def test_no_space(
    prefix: Path,
    limit: int,
    size: int,
    name_size: int,
    num_shards: int,
    num_threads: int,
    suffix: str,
) -> None:
    fastckpt.save(prefix, {"old": 1})
    number, filename, text = run(LIMITED, prefix, limit, size, name_size, num_shards, num_threads)
    assert number == errno.EFBIG
    assert filename.startswith(f"{prefix}{suffix}")
    assert "ulimit -f" in text
    assert loaded(prefix) == {"old": 1}
    assert names_in(prefix.parent) == ["m.data-00000-of-00001", "m.index"]


def test_just_enough_space(prefix: Path) -> None:
    assert run(LIMITED, prefix, 3 * MIB, 12 * MIB, 1, 4, 2) is None
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.verify().ok


# Saves to more shards than the process may have files.
MANY_FILES = """
import json, resource, sys, fastckpt
resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))
try:
    fastckpt.save(sys.argv[1], {"w": 1}, num_shards=100)
except fastckpt.CheckpointIOError as error:
    print(json.dumps([error.errno, "ulimit -n" in str(error)]))
"""


def test_too_many_files(prefix: Path) -> None:
    fastckpt.save(prefix, {"old": 1})
    assert run(MANY_FILES, prefix) == [errno.EMFILE, True]
    assert loaded(prefix) == {"old": 1}
    assert names_in(prefix.parent) == ["m.data-00000-of-00001", "m.index"]


# --- side by side --------------------------------------------------------------------------------

# Holds a writer until its standard input ends.
HOLDER = """
import sys, fastckpt
with fastckpt.CheckpointWriter(sys.argv[1]) as writer:
    writer.add("theirs", 1)
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_live_writer_in_another_process(prefix: Path) -> None:
    fastckpt.save(prefix, {"old": 1})
    with start(HOLDER, prefix) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        before = names_in(prefix.parent)
        with pytest.raises(fastckpt.CheckpointBusyError):
            fastckpt.save(prefix, {"ours": 2})
        with pytest.raises(fastckpt.CheckpointBusyError):
            CheckpointWriter(prefix)
        assert names_in(prefix.parent) == before
        assert loaded(prefix) == {"old": 1}
        holder.communicate(timeout=LIMIT_S)
    assert loaded(prefix) == {"theirs": 1}


def test_a_killed_writer_owns_nothing(prefix: Path) -> None:
    with start(HOLDER, prefix) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        holder.kill()
    fastckpt.save(prefix, {"ours": 2})
    assert loaded(prefix) == {"ours": 2}
    assert names_in(prefix.parent) == ["m.data-00000-of-00001", "m.index"]


# Maps a checkpoint, waits for a line, and says whether its view is what it was.
VIEWER = """
import sys, numpy as np, fastckpt
ckpt = fastckpt.open(sys.argv[1], backend="mmap")
view = ckpt["w"]
before = view.tobytes()
print("mapped", flush=True)
sys.stdin.readline()
print(view.tobytes() == before and ckpt["late"].tolist() == [1, 2] and ckpt.verify().ok)
"""


def test_saving_over_what_another_process_maps(prefix: Path) -> None:
    fastckpt.save(prefix, {"w": np.arange(MIB), "late": np.int32([1, 2])})
    with start(VIEWER, prefix) as viewer:
        assert viewer.stdout is not None
        assert viewer.stdout.readline() == "mapped\n"
        for i in range(3):
            fastckpt.save(prefix, {"w": np.full(MIB, i), "late": np.int32([0, 0])})
        printed, _ = viewer.communicate("go\n", timeout=LIMIT_S)
    assert printed == "True\n"


# --- memory --------------------------------------------------------------------------------------

# Prints by how much the memory of the process grew at its highest, as a thread saw it, and how
# often that looked. The arrays are pages of a file, and no part of that memory.
MEASURED = """
import json, sys, threading, numpy as np, fastckpt
from interop.memory import anonymous_bytes
array = np.memmap(sys.argv[1] + ".raw", np.float32, "r", shape=(50, 1 << 20))
fastckpt.save(sys.argv[1], {"warm": np.ones((3, 1 << 20), np.float32).T}, num_threads=2)
peak, looks, stop = 0, 0, threading.Event()
def watch():
    global peak, looks
    while not stop.wait(0.002):
        peak = max(peak, anonymous_bytes())
        looks += 1
thread = threading.Thread(target=watch)
before = anonymous_bytes()
thread.start()
tensors = {"transposed": array.T, "swapped": array[:20].view(">f4"), "cut": array[:20, ::2]}
fastckpt.save(sys.argv[1], tensors, num_threads=2, sync=False)
stop.set()
thread.join()
print(json.dumps([peak - before, looks]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_arrays_of_any_layout_are_not_copied(prefix: Path) -> None:
    np.arange(50 << 20, dtype=np.float32).tofile(f"{prefix}.raw")
    growth, looks = run(MEASURED, prefix)
    assert looks > 5
    assert growth < 64 * MIB
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.nbytes >= 320 * MIB
        assert ckpt.verify().ok
