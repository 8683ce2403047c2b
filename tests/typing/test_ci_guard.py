"""The guard of the CI run refuses reports that prove nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PASSED = '<testcase classname="c" name="ok"/>'
FAILED = '<testcase classname="c" name="bad"><failure message="m">t</failure></testcase>'
SKIPPED = (
    '<testcase classname="c" name="gone"><skipped type="pytest.skip" message="no corpus at x">'
    "t</skipped></testcase>"
)
XFAILED = '<testcase classname="c" name="x"><skipped type="pytest.xfail" message="m"/></testcase>'


@pytest.fixture(scope="module")
def guard(repository: Path) -> ModuleType:
    path = repository / "scripts" / "ci_interop_guard.py"
    spec = importlib.util.spec_from_file_location("ci_interop_guard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def judge(
    guard: ModuleType, folder: Path, interop: str | None, other: str, corpus: bool
) -> list[str]:
    if interop is not None:
        (folder / "interop.xml").write_text(
            f"<testsuites><testsuite>{interop}</testsuite></testsuites>"
        )
    (folder / "python.xml").write_text(f"<testsuites><testsuite>{other}</testsuite></testsuites>")
    if corpus:
        (folder / "corpus").mkdir()
    complaints, _ = guard.judge(
        [folder / "interop.xml"], [folder / "python.xml"], folder / "corpus"
    )
    return complaints


def test_a_sound_run_passes(guard: ModuleType, tmp_path: Path) -> None:
    assert judge(guard, tmp_path, PASSED + XFAILED, PASSED, corpus=True) == []


def test_a_corpus_skip_passes_without_the_corpus(guard: ModuleType, tmp_path: Path) -> None:
    assert judge(guard, tmp_path, PASSED, PASSED + SKIPPED, corpus=False) == []


@pytest.mark.parametrize(
    ("interop", "other", "complaint"),
    [
        (None, PASSED, "no report"),
        ("", PASSED, "no interop test ran"),
        (PASSED + SKIPPED, PASSED, "interop test skipped: c::gone"),
        (PASSED + FAILED, PASSED, "interop test failed: c::bad"),
        (PASSED, "", "no test outside tests/interop ran"),
        (PASSED, PASSED + FAILED, "test failed: c::bad"),
        (PASSED, PASSED + SKIPPED, "corpus test skipped although the corpus is there: c::gone"),
    ],
)
def test_an_empty_run_is_refused(
    guard: ModuleType, tmp_path: Path, interop: str | None, other: str, complaint: str
) -> None:
    (found,) = judge(guard, tmp_path, interop, other, corpus=True)
    assert found.startswith(complaint)
