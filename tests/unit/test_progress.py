"""Progress reports: rate, the last call, cancelling, and how they look."""

import os
import pty
import subprocess
import sys

import pytest

from fastckpt.errors import InvalidArgumentError
from fastckpt.progress import Progress, Reporter, reporter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def timed(total: int = 1000):
    clock, seen = Clock(), []
    return clock, seen, Reporter(seen.append, total, clock=clock)


def test_at_most_ten_reports_a_second():
    clock, seen, report = timed()
    for step in range(1000):
        report.update(step, step, "w")
        clock.now += 0.001
    assert len(seen) == 10
    assert seen[0] == Progress(0, 1000, 0, "w")


def test_each_report_passes_when_they_are_rare():
    clock, seen, report = timed()
    for step in range(5):
        report.update(step, step, "w")
        clock.now += 0.2
    assert [x.bytes_done for x in seen] == [0, 1, 2, 3, 4]


def test_the_last_state_is_always_delivered_and_only_once():
    _, seen, report = timed()
    with report:
        report.update(1, 0, "a")
        report.update(1000, 2, "b")
    report.close()
    assert seen == [Progress(1, 1000, 0, "a"), Progress(1000, 1000, 2, "b")]


def test_a_last_state_that_was_delivered_is_not_repeated():
    _, seen, report = timed()
    with report:
        report.update(1000, 2, "b")
    assert len(seen) == 1


def test_nothing_to_do_is_reported_too():
    _, seen, report = timed(0)
    with report:
        pass
    assert seen == [Progress(0, 0, 0, "")]


def test_an_exception_ends_the_reports():
    ended = []
    seen = []
    report = Reporter(seen.append, 10, finish=lambda: ended.append(True), clock=Clock())

    def work() -> None:
        with report:
            report.update(1, 0, "a")
            report.update(2, 0, "a")
            raise RuntimeError("damaged")

    with pytest.raises(RuntimeError, match="damaged"):
        work()
    report.close()
    assert len(seen) == 1
    assert ended == [True]


def test_what_the_callable_raises_comes_out():
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt(progress.name)

    report = reporter(stop, label="load")
    with pytest.raises(KeyboardInterrupt, match="w"), report:
        report.update(1, 0, "w")


def test_a_bar_is_taken_away_even_if_the_last_report_raises():
    ended = []

    def fail(progress: Progress) -> None:
        raise ValueError("last")

    report = Reporter(fail, 1, finish=lambda: ended.append(True), clock=Clock())
    with pytest.raises(ValueError, match="last"):
        report.close()
    assert ended == [True]


def test_a_callable_is_called_in_the_calling_thread_with_a_named_tuple():
    seen = []
    with reporter(seen.append, label="load", bytes_total=7) as report:
        report.update(7, 1, "w")
    (only,) = seen
    assert only == Progress(bytes_done=7, bytes_total=7, tensors_done=1, name="w")
    assert type(only) is Progress


@pytest.mark.parametrize("silent", [None, False])
def test_silence(silent, capfd: pytest.CaptureFixture[str]):
    with reporter(silent, label="load", bytes_total=7) as report:
        report.update(7, 1, "w")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", ["yes", 1, 0, []])
def test_other_values_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="progress must be"):
        reporter(wrong, label="load")


def test_plain_lines_off_a_terminal(capfd: pytest.CaptureFixture[str]):
    with reporter(True, label="verify", bytes_total=4 << 20) as report:
        report.update(1 << 20, 3, "w")
        report.update(4 << 20, 5, "x")
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "verify: 1.0 of 4.0 MiB (25 %), 3 tensors",
        "verify: 4.0 of 4.0 MiB (100 %), 5 tensors",
    ]


def test_plain_lines_without_a_total(capfd: pytest.CaptureFixture[str]):
    with reporter(True, label="verify") as report:
        report.update(1 << 20, 3, "w")
    assert capfd.readouterr().err == "verify: 1.0 MiB, 3 tensors\n"


def test_without_stderr_nothing_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", None)
    with reporter(True, label="verify") as report:
        report.update(1, 1, "w")


def on_terminal(program: str, columns: int = 100) -> str:
    """Run a program whose stderr is a terminal and give what it wrote there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=theirs, env=environment, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 4096):
            written += data
    except OSError:
        pass  # Linux tells the end of a terminal so.
    finally:
        os.close(ours)
        assert process.wait() == 0, written.decode()
    return written.decode()


PROGRAM = """if True:
    import sys
    {before}
    from fastckpt.progress import reporter
    assert "rich" not in sys.modules or {blocked}
    with reporter(True, label="verify", bytes_total=1 << 20) as report:
        report.update(1 << 20, 5, "w")
    assert {after}
"""


def test_a_bar_on_a_narrow_terminal_takes_one_line():
    pytest.importorskip("rich")
    program = PROGRAM.format(before="", blocked=False, after="True")
    written = on_terminal(program, 40)
    assert "100%" in written
    assert "MiB" not in written


def test_a_rich_bar_on_a_terminal():
    pytest.importorskip("rich")
    program = PROGRAM.format(before="", blocked=False, after="sys.modules['rich']")
    written = on_terminal(program)
    assert "verify" in written
    assert "1.0/1.0 MiB" in written


def test_plain_lines_on_a_terminal_without_rich():
    program = PROGRAM.format(before="sys.modules['rich'] = None", blocked=True, after=True)
    assert on_terminal(program).split("\r\n")[0] == "verify: 1.0 of 1.0 MiB (100 %), 5 tensors"


def test_rich_is_not_imported_off_a_terminal():
    program = PROGRAM.format(before="", blocked=False, after="'rich' not in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True, stderr=subprocess.PIPE)
