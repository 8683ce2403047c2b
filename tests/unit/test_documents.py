"""README.md and docs/ say what is true: code runs, output matches, links and tables hold."""

from __future__ import annotations

import builtins
import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fastckpt
from fastckpt import dtypes, errors
from fastckpt.cli.app import COMMANDS
from fastckpt.compat import MissingError
from fastckpt.training.deviations import READER_DEVIATIONS, SAVER_DEVIATIONS, Deviation
from fastckpt.training.variables import reset_default_collection

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
NAMES = [path.relative_to(REPOSITORY).as_posix() for path in DOCUMENTS]
LINKING = [*DOCUMENTS, *(REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md"))]

# Golden checkpoints whose files the examples find beside them.
COPIED = ("linear", "sharded", "types", "partitioned")
MAX_README_LINES = 130

FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KNOWN_FENCES = {"python", "console", "text", "{toctree}", "{eval-rst}"}
DUMP_TITLE = re.compile(r"(\w+/\S+), (?:(\d+) bytes|bytes (\d+) to (\d+))\Z")
DUMP_LINE = re.compile(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  .*)?\Z")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SOURCE_PATH = re.compile(r"`((?:src|python|tests|benchmarks|scripts|docs)/[\w./-]+)`")


class Block(NamedTuple):
    """A fenced block, and the output that the document shows below it."""

    language: str
    code: str
    shown: str | None


def blocks_of(text: str) -> list[Block]:
    """All blocks; a text block that directly follows a python block is its output."""
    found = list(FENCE.finditer(text))
    assert text.count("\n```") + text.startswith("```") == 2 * len(found), "a fence is open"
    blocks = []
    for this, following in zip_longest(found, found[1:]):
        shown = None
        follows = following and not text[this.end() : following.start()].strip()
        if follows and following[1] == "text":
            shown = following[2]
        blocks.append(Block(this[1], this[2], shown if this[1] == "python" else None))
    return blocks


def matches(shown: str, got: str) -> bool:
    """Whether output is as shown, where ``...`` stands for anything."""
    wanted, printed = shown.rstrip("\n"), got.rstrip("\n")
    return doctest.OutputChecker().check_output(wanted, printed, doctest.ELLIPSIS)


# --- code ----------------------------------------------------------------------------------------


def run_document(text: str) -> Iterator[str]:
    """Run the blocks of a document in the current folder, in order; yield complaints."""
    namespace: dict[str, object] = {}
    for block in blocks_of(text):
        if block.language not in KNOWN_FENCES:
            yield f"no rule for a block of {block.language!r}"
        elif block.language == "python":
            got = run_python(block.code, namespace)
            if not matches(block.shown or "", got):
                yield f"{block.code}--- prints\n{got}--- not\n{block.shown}"
        elif block.language == "console":
            yield from run_console(block.code)


def run_python(code: str, namespace: dict[str, object]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, "<document>", "exec"), namespace)
        except fastckpt.CheckpointError as error:
            print(f"{type(error).__name__}: {error}")
    return out.getvalue()


def run_console(code: str) -> Iterator[str]:
    """Run each ``$ fastckpt …``, and look that targets of make and files for pip exist."""
    assert code.startswith("$ ")
    for part in code.removeprefix("$ ").split("\n$ "):
        line, _, shown = part.partition("\n")
        words = shlex.split(line, comments=True)
        if words[0] == "fastckpt":
            got = run_command(words[1:])
            if not matches(shown, got):
                yield f"{line}\n--- prints\n{got}--- not\n{shown}"
        elif words[0] == "make":
            makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
            if not re.search(rf"^{words[1]}\b.*:", makefile, re.MULTILINE):
                yield f"{line}: no such target"
        elif words != ["pip", "install", "."]:
            yield f"{line}: no rule for this command"


def run_command(arguments: list[str]) -> str:
    plain = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-m", "fastckpt", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        env=plain | {"PYTHONUTF8": "1"},
    )
    return done.stdout


@pytest.fixture
def example_folder(golden_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in COPIED:
        for path in (golden_dir / name).iterdir():
            assert not (tmp_path / path.name).exists()
            shutil.copyfile(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    reset_default_collection()  # of variables, which the document before may have left
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_code_runs_and_prints_what_is_shown(name: str, example_folder: Path) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert list(run_document(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```\n```text\n2\n```\n",
        "```python\nprint(1)\n```\n",
        "```python\npass\n```\n\n```text\nmissing\n```\n",
        "```python\nimport fastckpt\nfastckpt.open('nowhere')\n```\n",
        "```console\n$ fastckpt ls nowhere\nno output\n```\n",
        "```console\n$ make nonsense\n```\n",
        "```console\n$ rm -r everything\n```\n",
        "```ruby\nputs 1\n```\n",
    ],
)
def test_a_planted_falsehood_is_found(text: str, example_folder: Path) -> None:
    assert len(list(run_document(text))) == 1


# --- hexadecimal dumps ---------------------------------------------------------------------------


def dumps_of(text: str) -> dict[str, list[str]]:
    """The lines of each annotated dump, by its title."""
    found = {}
    for block in blocks_of(text):
        title, *lines = block.code.splitlines() or [""]
        if block.language == "text" and DUMP_TITLE.match(title):
            found[title] = lines
    return found


def judge_dump(title: str, lines: list[str], root: Path) -> str | None:
    """Say what is wrong with a dump: its bytes, their places, or how far it goes."""
    name, size, first, stop = DUMP_TITLE.match(title).groups()  # type: ignore[union-attr]
    data = (root / name).read_bytes()
    at, end = (0, int(size)) if size else (int(first), int(stop))
    if size and end != len(data):
        return f"{name} has {len(data)} bytes"
    for line in lines:
        match = DUMP_LINE.match(line)
        if match is None or int(match[1], 16) != at:
            return f"not a line of a dump, or not at {at:04x}: {line}"
        dumped = bytes.fromhex(match[2])
        if data[at : at + len(dumped)] != dumped:
            return f"{name} holds {data[at : at + len(dumped)].hex(' ')}: {line}"
        at += len(dumped)
    return None if at == end else f"ends at {at}, not at {end}"


def test_annotated_bytes_are_those_of_the_golden_files(golden_dir: Path) -> None:
    dumps = dumps_of((REPOSITORY / "docs" / "format.md").read_text(encoding="utf-8"))
    assert any(re.search(r"\.index, \d+ bytes$", title) for title in dumps), "no whole index"
    problems = {title: judge_dump(title, lines, golden_dir) for title, lines in dumps.items()}
    assert set(problems.values()) == {None}, problems


@pytest.mark.parametrize(
    ("title", "lines", "problem"),
    [
        ("a/b, 3 bytes", ["0000  00 01  two", "0002  02"], None),
        ("a/b, bytes 1 to 3", ["0001  01 02  both"], None),
        ("a/b, 3 bytes", ["0000  00 01", "0002  03"], "holds 02"),
        ("a/b, 3 bytes", ["0000  00", "0002  02"], "not at 0001"),
        ("a/b, 3 bytes", ["0000  00 01"], "ends at 2"),
        ("a/b, 2 bytes", ["0000  00 01"], "has 3 bytes"),
    ],
)
def test_dumps_are_judged(
    title: str, lines: list[str], problem: str | None, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(range(3)))
    found = judge_dump(title, lines, tmp_path)
    assert (found is None) if problem is None else (problem in str(found))


# --- links and paths -----------------------------------------------------------------------------


def prose_of(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors_of(path: Path) -> set[str]:
    """What headings are called in links, by the rule of the code hosts."""
    titles = re.findall(r"^#+ (.*)$", prose_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path: Path) -> list[str]:
    broken = []
    for link in LINK.findall(prose_of(path)):
        target, _, anchor = link.partition("#")
        file = path.parent / target if target else path
        if not link.startswith("https://") and (
            not file.exists() or (anchor and anchor not in anchors_of(file))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("path", LINKING, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


def test_planted_broken_links_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# A `b`, c\n[x](#a-b-c) [y](a.md#a-b-c) [z](#d) [w](e.md) [v](https://f)\n")
    assert broken_links(path) == ["#d", "e.md"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_of_the_source_tree_exist(name: str) -> None:
    mentioned = SOURCE_PATH.findall((REPOSITORY / name).read_text(encoding="utf-8"))
    assert [path for path in mentioned if not (REPOSITORY / path).exists()] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    toctree = next(block.code for block in blocks_of(index) if block.language == "{toctree}")
    pages = {path.stem for path in DOCUMENTS if path.parent.name == "docs"} - {"index"}
    assert pages == set(toctree.split()) - {":hidden:"}
    assert pages <= set(re.findall(r"\((\w+)\.md\)", index))


# --- tables --------------------------------------------------------------------------------------


def rows_of(path: Path, columns: int) -> list[list[str]]:
    """Cells of all table rows with that many columns, headings and rules among them."""
    lines = (line for line in prose_of(path).splitlines() if line.startswith("|"))
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [row for row in rows if len(row) == columns]


def public_errors() -> dict[str, type[fastckpt.CheckpointError]]:
    found = {name: getattr(errors, name) for name in errors.__all__}
    return {name: value for name, value in found.items() if isinstance(value, type)}


def nearest_builtins(cls: type) -> set[str]:
    """Built-in exceptions of a class that no other of them derives from."""
    found = [x for x in cls.__mro__ if vars(builtins).get(x.__name__) is x]
    return {x.__name__ for x in found if not any(issubclass(y, x) and y is not x for y in found)}


def test_every_error_class_is_described() -> None:
    path = REPOSITORY / "docs" / "errors.md"
    assert len(public_errors()) > 10
    assert {name.lower() for name in public_errors()} <= anchors_of(path)
    said = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in rows_of(path, 3)}
    for name, cls in public_errors().items():
        if cls is not fastckpt.CheckpointError:
            assert said[f"[`{name}`](#{name.lower()})"] == nearest_builtins(cls), name


def test_every_error_attribute_is_described() -> None:
    rows = rows_of(REPOSITORY / "docs" / "errors.md", 3)
    described = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows)))
    error = fastckpt.CheckpointIOError("message", errno=5, path="file")
    attributes = {name for name in vars(error) if not name.startswith("_")}
    assert attributes | {"errno", "strerror", "filename"} <= described


def test_no_document_names_an_error_that_does_not_exist() -> None:
    # What both sides of a deviation raise: TensorFlow's classes, and those that are builtins too.
    known = set(vars(errors)) | set(vars(builtins)) | {MissingError.__name__, "ArgumentTypeError"}
    for path in LINKING:
        named = set(re.findall(r"\b[A-Z]\w+Error\b", path.read_text(encoding="utf-8")))
        assert named <= known, path


def test_every_dependency_has_its_line() -> None:
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    lists = [project["dependencies"], document["build-system"]["requires"]]
    lists += [*project["optional-dependencies"].values(), *document["dependency-groups"].values()]
    texts = [text for requirements in lists for text in requirements if isinstance(text, str)]
    needed = {re.match(r"[\w.-]+", text)[0] for text in texts}  # type: ignore[index]
    rows = rows_of(REPOSITORY / "docs" / "design.md", 3)
    start = next(i for i, row in enumerate(rows) if row[0] == "package")
    described = [row[0] for row in rows[start + 2 :]]
    assert sorted(described) == sorted(needed)
    at_run_time = [row[0] for row in rows if row[1] == "run time"]
    assert len(at_run_time) == len(project["dependencies"])


def test_the_table_of_element_types_is_that_of_the_package() -> None:
    rows = [row for row in rows_of(REPOSITORY / "docs" / "format.md", 4) if row[0].isdigit()]
    assert [int(row[0]) for row in rows] == list(range(1, 34))
    for number, name, numpy_name, size in ((int(row[0]), *row[1:]) for row in rows):
        assert dtypes.tf_name(number) == name
        assert dtypes.item_size(number) == (0 if size == "-" else int(size))
        if numpy_name != "-":
            assert np.dtype(dtypes.numpy_dtype(number)).name == numpy_name


@pytest.mark.parametrize("rows", [READER_DEVIATIONS, SAVER_DEVIATIONS])
def test_every_deviation_is_described(rows: dict[str, Deviation]) -> None:
    page = rows_of(REPOSITORY / "docs" / "deviations.md", 4)
    described = {tuple(cell.replace("\\*", "*") for cell in row) for row in page}
    assert [name for name, row in rows.items() if tuple(row) not in described] == []


def test_the_readme_names_every_command() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`{name}`" not in readme] == []


def test_temporary_files_have_the_names_that_are_described(tmp_path: Path) -> None:
    format_page = (REPOSITORY / "docs" / "format.md").read_text(encoding="utf-8")
    prefix = tmp_path / "model.ckpt-100"
    with fastckpt.CheckpointWriter(prefix) as writer:
        writer.add("w", np.ones(3))
        names = {path.name for path in tmp_path.iterdir()}
        assert len(names) == 3
    with fastckpt.CheckpointWriter(prefix, shard=0, num_shards=4) as writer:
        writer.add("w", np.ones(3))
    names |= {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*.index")}
    assert [name for name in names if f"\n{name} " not in format_page] == []
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [
        f"{prefix.name}.data-00000-of-00001",
        f"{prefix.name}.index",
        f"{prefix.name}_temp",
    ]


def test_readme_stays_short() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= MAX_README_LINES
