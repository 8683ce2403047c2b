"""Runs the benchmarks: ``python benchmarks/run.py [--case P1 …] [--smoke]``; see README.md.

Each question runs in a process of its own, in which its contenders take turns. A smoke run puts
all questions into one process.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cases  # noqa: F401 - registers every case
import machine
import native
import report
from data import Store
from measure import CASES, Inputs, Question, Result, Settings, Unavailable, ask

BENCHMARKS = Path(__file__).resolve().parent
SMOKE = {"size_mib": 8, "tensors": 1000, "repeat": 1}
# Of the large checkpoint: its copies by three writers, and two owned copies in memory.
ROOM_FACTOR = 4
MOST_SECONDS = 3600


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", nargs="+", default=[], metavar="P1", help="only these cases")
    parser.add_argument(
        "--peer", nargs="+", default=[], help="only these, and the ceilings; none for no peer"
    )
    parser.add_argument("--size-mib", type=int, default=2048, help="size of the large checkpoint")
    parser.add_argument("--tensors", type=int, default=100_000, help="tensors of the small kind")
    parser.add_argument("--repeat", type=int, default=7, help="rounds, after one warm-up round")
    parser.add_argument("--json", type=Path, help="where the samples go")
    parser.add_argument("--smoke", action="store_true", help="tiny, every case once")
    parser.add_argument("--dir", type=Path, help="folder on a disk; default build/")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), help="folder on a tmpfs")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def case_key(name: str) -> tuple[int, str]:
    """Sort P12 after P2."""
    digits = re.sub(r"\D", "", name)
    return (int(digits) if digits else 0, name)


def chosen_cases(names: Sequence[str]) -> list[str]:
    """Return the names of the cases to run."""
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        raise SystemExit(f"no case {', '.join(unknown)}; there are {', '.join(sorted(CASES))}")
    return sorted(names or CASES, key=case_key)


def storage_folders(options: argparse.Namespace, nbytes: int) -> dict[str, Path]:
    """Return the folders that exist and have room; say which do not."""
    default = BENCHMARKS.parent / "build"
    if options.dir is None:
        default.mkdir(exist_ok=True)
    folders = {"disk": options.dir or default, "tmpfs": options.tmpfs}
    usable = {}
    for storage, folder in folders.items():
        if not folder.is_dir() or shutil.disk_usage(folder).free < ROOM_FACTOR * nbytes:
            print(f"{storage}: {folder} is absent or has no room", file=sys.stderr)
        elif storage == "tmpfs" and machine.file_system(folder) != "tmpfs":
            print(f"{folder} is not a tmpfs", file=sys.stderr)
        else:
            usable[storage] = folder
    return usable


def make_settings(options: argparse.Namespace, folders: Mapping[str, Path]) -> Settings:
    """Return what the workers need to know."""
    cpus = min(8, len(os.sched_getaffinity(0)))
    values: dict[str, Any] = {
        "size_mib": options.size_mib, "tensors": options.tensors, "repeat": options.repeat,
    }  # fmt: skip
    return Settings(
        **(SMOKE if options.smoke else values),
        smoke=options.smoke,
        threads=(1,) if cpus == 1 else (1, cpus),
        storage={storage: machine.file_system(folder) for storage, folder in folders.items()},
        peers=tuple(options.peer),
    )


# --- questions in a process of their own ---------------------------------------------------------


@dataclasses.dataclass
class Order:
    """One question of the plan and, once they are made, the paths of its datasets."""

    case: str
    question: Question
    inputs: Inputs = dataclasses.field(default_factory=dict)

    def blank(self, **values: Any) -> Result:
        """Return a result without samples."""
        q = self.question
        return Result(self.case, q.name, q.unit, q.work, q.cache, q.verified, **values)


def run_worker(orders: Sequence[Order], settings: Settings) -> list[Result]:
    """Ask questions in one new process; when it fails, all of them have its error."""
    asked = [[order.case, order.question.name, dict(order.inputs)] for order in orders]
    try:
        done = subprocess.run(
            [sys.executable, str(BENCHMARKS / "run.py"), "--worker"],
            input=json.dumps({"orders": asked, "settings": dataclasses.asdict(settings)}),
            capture_output=True, text=True, check=False, timeout=MOST_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [order.blank(error=f"took more than {MOST_SECONDS} s") for order in orders]
    if done.returncode:
        return [order.blank(error=done.stderr[-4000:]) for order in orders]
    return [Result(**result) for result in json.loads(done.stdout.splitlines()[-1])]


def work() -> int:
    """Be the process of some questions: orders come on standard input, results go out."""
    content = json.load(sys.stdin)
    settings = Settings(**content["settings"])
    settings = dataclasses.replace(settings, threads=tuple(settings.threads))
    results = []
    for case, name, inputs in content["orders"]:
        (question,) = (q for q in CASES[case].questions(settings) if q.name == name)
        results.append(dataclasses.asdict(ask(case, question, inputs, settings)))
    print("\n" + json.dumps(results))
    return 0


# --- all questions -------------------------------------------------------------------------------


def run_all(names: Sequence[str], settings: Settings, store: Store) -> list[Result]:
    """Ask every question of the cases, in groups that share a process.

    A group is one question, or all of them in a smoke run, where the import of peers would take
    most of the time. Datasets go when no later question needs them.
    """
    plan = [Order(name, q) for name in names for q in CASES[name].questions(settings)]
    results: list[Result] = []
    size = len(plan) if settings.smoke else 1
    for start in range(0, len(plan), size):
        ready = []
        for order in plan[start : start + size]:
            print(f"{order.case} {order.question.name}", file=sys.stderr, flush=True)
            try:
                needs = order.question.needs.items()
                order.inputs = {key: str(store.get(dataset)) for key, dataset in needs}
                ready.append(order)
            except Unavailable as reason:
                results.append(order.blank(left_out=[str(reason)]))
            except Exception:
                results.append(order.blank(error=traceback.format_exc()))
        results += run_worker(ready, settings)
        later = plan[start + size :]
        store.keep_only({dataset for order in later for dataset in order.question.needs.values()})
    return results


def default_json(stamp: Mapping[str, Any]) -> Path:
    """Return ``results/<date>-<cpu>.json``."""
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    slug = re.sub(r"[^a-z0-9]+", "-", str(stamp["cpu"]).lower()).strip("-")
    return BENCHMARKS / "results" / f"{date}-{slug}-{stamp['cpus']}cpu.json"


def save(
    path: Path, stamp: Mapping[str, Any], settings: Settings, results: Sequence[Result]
) -> None:
    """Write the JSON."""
    content = {
        "machine": stamp,
        "settings": dataclasses.asdict(settings),
        "results": [dataclasses.asdict(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, write the JSON; 1 when a question failed."""
    # A run that is ended leaves no datasets behind: on a tmpfs they are memory.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = parse(arguments)
    if options.worker:
        return work()
    names = chosen_cases(options.case)
    nbytes = (SMOKE["size_mib"] if options.smoke else options.size_mib) << 20
    folders = storage_folders(options, nbytes)
    if not folders:
        raise SystemExit("no folder to work in; see --dir")
    settings = make_settings(options, folders)
    store = Store(folders, settings)
    libraries = tempfile.mkdtemp(prefix="fastckpt-bench-")
    os.environ[native.LIBRARY_FOLDER] = libraries
    try:
        stamp = machine.stamp(settings.storage)
        results = run_all(names, settings, store)
    finally:
        store.close()
        shutil.rmtree(libraries, ignore_errors=True)
    path = options.json or (None if options.smoke else default_json(stamp))
    if path:
        save(path, stamp, settings, results)
    print(report.report(stamp, dataclasses.asdict(settings), results))
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
