"""What ends a process whose manager saves asynchronously, and what is left then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from checkpoint_files import numbers
from fastckpt.training.manager import CheckpointManager


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


FORKS = textwrap.dedent(
    """
    import os, sys, threading
    import numpy as np
    import fastckpt
    from fastckpt.training import saver_job

    reached, go_on = threading.Event(), threading.Event()
    start = saver_job.start_save

    def held(*args, then, **options):
        def wait():
            reached.set()
            go_on.wait(60)
            then()
        return start(*args, then=wait, **options)

    saver_job.start_save = held
    manager = fastckpt.CheckpointManager({"w": np.ones(3)}, sys.argv[1], 2)
    handle = manager.save_async()
    reached.wait(60)
    child = os.fork()
    if child == 0:
        go_on.set()
        assert handle.done()
        try:
            handle.result()
        except fastckpt.CheckpointError as error:
            assert "forked child" in str(error)
        else:
            os._exit(1)
        assert manager.checkpoints == []
        assert manager.save(7).endswith("ckpt-7")
        assert manager.save_async(8).result().endswith("ckpt-8")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    print(handle.result())
    """
)


def test_a_forked_child_does_not_wait_for_its_parent_s_save(here: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, str(here / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert numbers() == [1, 7, 8]


PROGRAM = textwrap.dedent(
    """
    import sys
    import numpy as np
    import fastckpt

    values = {"w": np.zeros(int(sys.argv[2]))}
    manager = fastckpt.CheckpointManager(values, sys.argv[1], 2)
    for number in range(1, int(sys.argv[3])):
        values["w"][...] = number
        manager.save_async(number)
        print(number, flush=True)
    """
)


def start(folder: Path, size: int, saves: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(size), str(saves)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_interpreter_ends_when_all_is_saved(here: Path) -> None:
    process = start(here / "run", 1 << 20, 4)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert numbers() == [2, 3]
    assert fastckpt.latest_checkpoint("run") == "run/ckpt-3"


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("after", range(4))
def test_whatever_ends_it_the_state_names_complete_checkpoints(
    sent: signal.Signals, after: int, here: Path
) -> None:
    process = start(here / "run", 1 << 18, 1 << 20)
    assert process.stdout is not None
    for _ in range(4 + after):
        process.stdout.readline()
    time.sleep(0.003 * after)
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0, err
    state = fastckpt.get_checkpoint_state("run")
    assert state is not None
    assert 1 <= len(state.all_model_checkpoint_paths) <= 3
    # What is removed is listed until it is gone, so that the next manager would remove it.
    for path in state.all_model_checkpoint_paths[-2:]:
        found = {float(x) for x in fastckpt.load(path)["w"]}
        assert found == {float(path.rpartition("-")[2])}
    w = np.zeros(1 << 18)
    manager = CheckpointManager({"w": w}, "run", 2)
    assert manager.restore_or_initialize() == state.model_checkpoint_path
    handle = manager.save_async()
    assert handle is not None
    assert handle.result() == manager.latest_checkpoint
    assert [x for x in os.listdir("run") if x.endswith((".tmp", ".lock"))] == []
