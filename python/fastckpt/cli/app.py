"""The group of commands: finds them, runs one, and turns its outcome into an exit code."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Never

import click

from fastckpt.cli import failures
from fastckpt.cli.narrow_help import HelpContext

__all__ = ["COMMANDS", "app"]

# Name -> what it does. Each is the attribute `command` of fastckpt.cli.<name>.
COMMANDS = {
    "ls": "List the tensors of a checkpoint.",
    "show": "Show what tensors hold and where they are stored.",
    "verify": "Read everything and compare every checksum.",
    "stats": "Sum up what tensors hold: extremes, means, zeros, NaNs.",
    "diff": "Tell what differs between two checkpoints.",
    "doctor": "Find out why something does not load, and what to do.",
    "convert": "Convert to and from safetensors and npz.",
    "freeze": "Write a graph whose variables are constants: a model in one file.",
    "rename": "Write a checkpoint anew with other names.",
    "drop": "Write a checkpoint anew without some tensors.",
    "keep": "Write a checkpoint anew with some tensors alone.",
    "average": "Write the average of several checkpoints.",
    "prune": "Delete old checkpoints of a directory.",
    "latest": "Print the latest checkpoint of a directory.",
    "demo": "Show what the library does, on a checkpoint it writes or on yours.",
    "crashtest": "Kill saves on your file system, simulate power cuts, and check what is left.",
}

_EPILOG = (
    "PATH is a prefix such as dir/model.ckpt-1000, any file of a checkpoint, a directory with a "
    "'checkpoint' state file (its latest one), or a SavedModel directory.\n\n"
    "fastckpt COMMAND --help says more.\n\n"
    "Exit status: 0 all is well, 1 damaged or different, 2 wrong usage or not found."
)


class App(click.Group):
    """A group whose commands are modules, and whose errors are short messages."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"fastckpt.cli.{cmd_name}").command
        command.context_class = HelpContext
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with."""
        name = args[0]
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise click.UsageError(_unknown_command(name), ctx)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the commands into the help, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002
        **extra: Any,
    ) -> Never:
        """Run and exit with the code of the outcome.

        This replaces click's own, which ends with 1 for a closed pipe and words errors its way.
        """
        name = prog_name or "fastckpt"
        _complete(self, name, complete_var)
        given = list(sys.argv[1:] if args is None else args)
        _write_any_character()
        try:
            code = self._run(given, name, extra)
            sys.stdout.flush()
        except (click.Abort, KeyboardInterrupt):
            code = failures.INTERRUPTED
        except BrokenPipeError:
            code = failures.PIPE_CLOSED
        except Exception as error:  # noqa: BLE001 - the last resort is the point
            code = failures.exit_code(error)
            with contextlib.suppress(OSError):
                failures.print_error(error, as_json=_asks_for_json(given))
        _finish_output()
        sys.exit(code)

    def _run(self, args: list[str], name: str, extra: dict[str, Any]) -> int:
        try:
            # A copy: click takes the arguments out as it reads them.
            with self.make_context(name, list(args), **extra) as ctx:
                return self.invoke(ctx) or failures.OK
        except click.exceptions.Exit as done:
            return done.exit_code


def _complete(group: click.Group, name: str, complete_var: str | None) -> None:
    """Answer the shell where it asks for completions, and exit."""
    variable = complete_var or f"_{name}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    instruction = os.environ.get(variable)
    if instruction:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(group, {}, name, variable, instruction))


def _unknown_command(name: str) -> str:
    from fastckpt.names import near_names

    near = near_names(name, list(COMMANDS))
    if near:
        return f"no command {name!r}; did you mean {near[0]!r}?"
    if os.path.exists(name) or os.path.exists(f"{name}.index"):
        return f"no command {name!r}; to list this checkpoint: fastckpt ls {name}"
    return f"no command {name!r}; there are {', '.join(COMMANDS)}"


def _write_any_character() -> None:
    # A locale without Unicode must not turn a listing into an error.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _finish_output() -> None:
    """Write what is left, or give it up where nobody takes it: the exit is to be quiet."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _asks_for_json(args: Sequence[str]) -> bool:
    before = args[: args.index("--")] if "--" in args else args
    return "--json" in before


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if not value or ctx.resilient_parsing:
        return
    import importlib.metadata

    try:
        version = importlib.metadata.version("tf-fastckpt")
    except importlib.metadata.PackageNotFoundError:
        version = "(not installed)"
    click.echo(f"fastckpt {version}")
    ctx.exit()


@click.group(
    cls=App,
    name="fastckpt",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
def app() -> None:
    """Read and write TensorFlow checkpoints without TensorFlow."""
