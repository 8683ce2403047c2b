"""Refuse a green run that proved nothing: read pytest's JUnit files and look at what was skipped.

    ci_interop_guard.py --interop REPORT [--interop REPORT ...] --corpus ../shared/corpus REPORT...

Fails when a report is missing or holds a failure, when an interop report holds no test or a
skipped one, and when a test was skipped for want of the corpus although the corpus is there.
Otherwise prints the sum over all reports as its last line.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One test of a report: outcome is "passed", "failed" or "skipped"."""

    name: str
    outcome: str
    reason: str = ""


def read_report(path: Path) -> list[Case]:
    """Read the test cases of one JUnit file."""
    return [_read_case(element) for element in ET.parse(path).iter("testcase")]


def _read_case(element: ET.Element) -> Case:
    name = f"{element.get('classname')}::{element.get('name')}"
    for tag in ("failure", "error"):
        if element.find(tag) is not None:
            return Case(name, "failed")
    skipped = element.find("skipped")
    if skipped is None:
        return Case(name, "passed")
    # pytest reports an expected failure as skipped; it ran, and proved what it says.
    outcome = "passed" if skipped.get("type") == "pytest.xfail" else "skipped"
    return Case(name, outcome, f"{skipped.get('message')} {skipped.text}")


def interop_complaints(cases: list[Case]) -> list[str]:
    """Name what an interop report lacks: every test of it must have run and passed."""
    if not cases:
        return ["no interop test ran"]
    return [f"interop test {c.outcome}: {c.name}" for c in cases if c.outcome != "passed"]


def other_complaints(cases: list[Case], *, corpus_present: bool) -> list[str]:
    """Name failed tests, and tests skipped for want of a corpus that is there."""
    complaints = [f"test failed: {c.name}" for c in cases if c.outcome == "failed"]
    if corpus_present:
        complaints += [
            f"corpus test skipped although the corpus is there: {c.name}"
            for c in cases
            if c.outcome == "skipped" and "corpus" in c.reason
        ]
    return complaints


def judge(interop: list[Path], reports: list[Path], corpus: Path) -> tuple[list[str], list[Case]]:
    """Collect the complaints and the cases of all reports."""
    missing = [f"no report {path}" for path in (*interop, *reports) if not path.is_file()]
    if missing:
        return missing, []
    complaints, interop_cases = [], []
    for path in interop:
        found = read_report(path)
        complaints += interop_complaints(found)
        interop_cases += found
    cases = [case for path in reports for case in read_report(path)]
    complaints += other_complaints(cases, corpus_present=corpus.is_dir())
    if not cases:
        complaints.append("no test outside tests/interop ran")
    return complaints, interop_cases + cases


def main() -> int:
    """Print complaints, or the closing line, and return the exit status."""
    parser = argparse.ArgumentParser(description="Judge pytest's JUnit reports.")
    parser.add_argument("--interop", type=Path, action="append", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("reports", type=Path, nargs="+")
    options = parser.parse_args()
    complaints, cases = judge(options.interop, options.reports, options.corpus)
    for complaint in complaints:
        print(f"ci: {complaint}", file=sys.stderr)
    if complaints:
        return 1
    count = {o: sum(c.outcome == o for c in cases) for o in ("passed", "failed", "skipped")}
    for case in cases:
        if case.outcome == "skipped":
            print(f"skipped: {case.name}: {case.reason.splitlines()[0]}")
    print("ci: {passed} passed, {failed} failed, {skipped} skipped".format_map(count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
