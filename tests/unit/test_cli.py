"""The command as a whole: help, errors, exit codes, pipes, interrupts."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.cli.app import COMMANDS, app
from golden.manifest import golden
from unit.cli_helpers import (
    command,
    flip_byte,
    invoke,
    on_terminal,
    plain,
    shard_of,
    spawn,
    write_many,
)

LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """The prefix of a scratch copy of the golden checkpoint `linear`."""
    return golden("linear").copy_to(tmp_path / "linear")


# --- help and version ----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command(option: str) -> None:
    result = invoke(option)
    assert result.exit_code == 0
    for name, purpose in COMMANDS.items():
        assert f"{name} " in result.stdout
        assert purpose.split()[0] in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = invoke(name, "-h")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: fastckpt {name} ")


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom fastckpt.cli import main\n"
        "try: main(['-h'])\nexcept SystemExit: pass\n"
        "print([x for x in sys.modules if x in ('rich', 'fastckpt.cli.ls', 'fastckpt.cli.demo')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_ls_imports_neither_rich_nor_protobuf_nor_other_commands(linear: Path) -> None:
    code = (
        "import sys\nfrom fastckpt.cli import main\n"
        f"try: main(['ls', {str(linear)!r}])\nexcept SystemExit as e: assert not e.code\n"
        "others = {'rich', 'google.protobuf', 'fastckpt.cli.show', 'fastckpt.cli.tree'}\n"
        "print(sorted(others & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version() -> None:
    result = invoke("--version")
    assert result.stdout == f"fastckpt {importlib.metadata.version('tf-fastckpt')}\n"
    assert result.exit_code == 0


def test_no_arguments_show_the_help() -> None:
    result = spawn()
    assert result.returncode == 2
    assert "Commands:" in result.stderr
    assert result.stdout == ""


# --- wrong usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lst"], "no command 'lst'; did you mean 'ls'?"),
        (["frobnicate"], "no command 'frobnicate'; there are ls, show,"),
        (["ls"], "Missing argument 'PATH'"),
        (["ls", "--sort", "colour", "x"], "'colour' is not one of 'name', 'size', 'file'"),
        (["ls", "--tree", "--json", "x"], "--tree goes with none of"),
        (["show", "x"], "Missing argument 'NAME...'"),
        (["verify"], "Missing argument 'PATH...'"),
        (["verify", "--threads", "0", "x"], "0 is not in the range"),
    ],
)
def test_wrong_usage(args: list[str], message: str) -> None:
    result = spawn(*args)
    assert result.returncode == 2
    # With --json, errors are objects on standard output.
    text = result.stdout if "--json" in args else result.stderr
    assert message in text
    assert "Traceback" not in text
    if "--json" not in args:
        usage, more, error = result.stderr.splitlines()
        assert usage.startswith("usage: fastckpt")
        assert more.removeprefix("help:  ").endswith(" --help")
        assert error.startswith("fastckpt: error: ")


def test_a_path_in_place_of_a_command(linear: Path) -> None:
    result = invoke(linear)
    assert result.exit_code == 2
    assert f"to list this checkpoint: fastckpt ls {linear}" in result.stderr


@pytest.mark.parametrize("args", [(), *((name,) for name in COMMANDS)])
def test_help_fits_narrow_terminals(args: tuple[str, ...]) -> None:
    _, output = on_terminal(*args, "--help", columns=40)
    wide = [line for line in output.splitlines() if len(line) > 40]
    # Choices are one word, and the rules of `rename` a table.
    assert [line for line in wide if "[refuse|" not in line and args != ("rename",)] == []
    assert ("Usage: fastckpt" in output, "\x1b" in output) == (True, False)


# --- errors of the library -----------------------------------------------------------------------


def test_an_error_is_one_line_with_a_hint(linear: Path) -> None:
    result = spawn("ls", linear.with_name("model.ckpt-10"))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("fastckpt: error: no checkpoint ")
    assert "did you mean" in line
    assert str(linear) in line
    assert result.stdout == ""


def test_directory_without_state(tmp_path: Path) -> None:
    prefix = golden("types").copy_to(tmp_path)
    result = invoke("ls", tmp_path)
    assert result.exit_code == 2
    assert f"pass a prefix: '{prefix}'" in result.stderr


def test_lfs_pointer(tmp_path: Path) -> None:
    (tmp_path / "m.index").write_text(LFS_POINTER)
    for name in ("ls", "verify", "demo"):
        result = invoke(name, tmp_path / "m")
        assert result.exit_code == 2
        assert "git lfs pull" in result.stderr


def test_damaged_index_is_exit_code_1(linear: Path) -> None:
    index = linear.with_name(f"{linear.name}.index")
    index.write_bytes(index.read_bytes()[:-8])
    for name in ("ls", "verify", "demo"):
        result = invoke(name, linear)
        assert result.exit_code == 1
        assert result.stderr.startswith("fastckpt: error: ")


def test_errors_as_json(tmp_path: Path) -> None:
    result = spawn("ls", "--json", tmp_path / "nowhere")
    assert result.returncode == 2
    assert result.stderr == ""
    error = json.loads(result.stdout)["error"]
    assert set(error) == {"type", "message", "path", "offset", "key"}
    assert error["type"] == "CheckpointNotFoundError"
    assert error["path"] == str(tmp_path / "nowhere")


def test_json_after_two_dashes_is_a_name(tmp_path: Path) -> None:
    result = invoke("ls", "--", "--json")
    assert result.exit_code == 2
    assert "no checkpoint '--json'" in result.stderr


def test_debug_adds_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCKPT_DEBUG", "1")
    result = invoke("ls", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("fastckpt: error: ")


def test_a_path_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    result = invoke("ls", tmp_path / "\x1b[31mred\nfastckpt: error: two lines")
    assert len(result.stderr.splitlines()) == 1
    assert "\x1b" not in result.stderr


def test_messages_are_broken_between_words(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "m", {"a": np.ones(2), "words": ["x"], "b\nc": ["y"]}, sync=False)
    code, output = on_terminal("convert", tmp_path / "m", tmp_path / "m.safetensors", columns=40)
    lines = plain(output).splitlines()
    assert code == 2
    assert lines[0] == "fastckpt: error: 2 of the tensors of"
    assert "    'words': safetensors has no string" in lines
    assert "    'b\\nc': safetensors has no string" in lines
    # The lines of the message are those of the library, not of a name.
    plain_lines = invoke("convert", tmp_path / "m", tmp_path / "m.safetensors").stderr.splitlines()
    assert [x.split(":")[0] for x in plain_lines[1:3]] == ["    'words'", "    'b\\nc'"]
    assert len(plain_lines) == 4


def test_a_defect_is_told_from_damage(monkeypatch: pytest.MonkeyPatch, linear: Path) -> None:
    from click.testing import CliRunner

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("fastckpt.open", broken)
    result = CliRunner().invoke(app, ["ls", str(linear)])
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert "RuntimeError: planted; this is a defect of fastckpt" in result.stderr


# --- pipes and interrupts ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose listing is larger than the buffer of any pipe."""
    prefix = tmp_path_factory.mktemp("many") / "m"
    write_many(prefix, 20_000)
    return prefix


@pytest.mark.parametrize("option", ["--long", "--json", "--tree"])
def test_a_closed_pipe_is_no_error(many: Path, option: str) -> None:
    process = subprocess.Popen(
        command("ls", many, option), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_interrupt(many: Path) -> None:
    process = subprocess.Popen(
        command("ls", many),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a script inherits that SIGINT is ignored.
        preexec_fn=functools.partial(  # noqa: PLW1509
            signal.signal, signal.SIGINT, signal.SIG_DFL
        ),
    )
    assert process.stdout is not None
    # The pipe is full now, or soon: the command cannot end before it is interrupted.
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told(many: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("ls", many), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line


# --- locales -------------------------------------------------------------------------------------


def test_names_beyond_the_locale_are_escaped() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = spawn("ls", golden("types").prefix, "name", "--tree", env=environment)
    assert result.returncode == 0
    assert "`- \\xfcn\\xefcode/\\u65e5" in result.stdout


def test_module_and_script_are_the_same(linear: Path) -> None:
    script = Path(sys.executable).with_name("fastckpt")
    if not script.exists():
        pytest.skip("fastckpt is not installed beside this Python: no script")
    flip_byte(shard_of(linear), 0)
    ours = spawn("verify", "--json", linear)
    theirs = subprocess.run(
        [script, "verify", "--json", linear], capture_output=True, text=True, check=False
    )
    assert ours.returncode == theirs.returncode == 1
    found = [json.loads(x.stdout)["checkpoints"][0]["failures"] for x in (ours, theirs)]
    assert found[0] == found[1]
    assert plain(ours.stderr) == plain(theirs.stderr) == ""
