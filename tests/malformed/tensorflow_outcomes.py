"""What stock TensorFlow does with every malformed checkpoint. Run by hand:

    PYTHONPATH=tests python tests/malformed/tensorflow_outcomes.py

It writes tensorflow_outcomes.json beside this file and the marked section of docs/security.md.
Every case is opened in a process of its own, which may die.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf

from malformed.case import Case
from malformed.generate import all_cases

JSON = Path(__file__).with_name("tensorflow_outcomes.json")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BEGIN = "<!-- tensorflow-outcomes: begin (written by tests/malformed/tensorflow_outcomes.py) -->"
END = "<!-- tensorflow-outcomes: end -->"

LIMIT_S = 40
# A small file that takes longer than this made TensorFlow wait for memory that does not exist.
STALL_S = 5
EXTRA_ADDRESS_SPACE = 8 << 30

# From best to worst.
OUTCOMES = ("right data", "error", "accepted", "wrong data", "hang", "abort")

KINDS = {
    "table": "container of the index",
    "header": "header",
    "entry": "entries",
    "blocks": "block checksums",
    "names": "names",
    "slices": "partitioned tensors",
    "strings": "strings",
    "variants": "variants",
    "shards": "data shards",
    "v1meta": "V1: list of tensors",
    "v1item": "V1: one tensor in it",
    "v1record": "V1: records of slices",
    "v1block": "V1: blocks",
    "v1shards": "V1: several files",
    "state": "state files",
    "corruption": "tables of `tests/corruption`",
}

Answer = dict[str, Any]


def ask(path: Path, names: list[str]) -> Answer:
    """Open, list and read all with TensorFlow, in this process."""
    try:
        reader = tf.train.load_checkpoint(str(path))
        shapes = reader.get_variable_to_shape_map()
        reader.get_variable_to_dtype_map()
    except Exception as error:  # noqa: BLE001 any error is an answer
        return {"error": type(error).__name__}
    # Once each: after one failure TensorFlow's reader may give something else, or die.
    wanted = dict.fromkeys(name for name in [*shapes, *names] if name in shapes)
    return {"tensors": {name: read(reader, name) for name in wanted}}


def read(reader: Any, name: str) -> Any:
    start = time.monotonic()
    try:
        return ["value", repr(np.asarray(reader.get_tensor(name)).tolist())]
    except Exception as error:  # noqa: BLE001 any error is an answer
        seconds = time.monotonic() - start
        late = f" after {seconds:.0f} s" if seconds > STALL_S else ""
        return ["error", type(error).__name__ + late]


def ask_in_child(path: Path, names: list[str]) -> Answer:
    """Ask in a forked process; what kills it is the answer too."""
    with tempfile.TemporaryFile() as answer:
        pid = os.fork()
        if pid == 0:
            _be_child(path, names, answer.fileno())
        status = _wait(pid)
        answer.seek(0)
        content = answer.read()
    if status is None:
        return {"killed": "hang"}
    if os.WIFSIGNALED(status):
        return {"killed": signal.Signals(os.WTERMSIG(status)).name}
    found: Answer = json.loads(content) if content else {"killed": f"exit {status}"}
    return found


def _be_child(path: Path, names: list[str], answer: int) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_ADDRESS_SPACE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.write(answer, json.dumps(ask(path, names)).encode())
    os._exit(0)


def _wait(pid: int) -> int | None:
    """The child's exit status; None where it had to be stopped."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


# --- judging -------------------------------------------------------------------------------------


def judge(case: Case, answer: Answer) -> dict[str, str]:
    """Give the worst of what TensorFlow did, and a detail."""
    ours = "error" if _has_error(case) else "right data"
    if "killed" in answer:
        outcome = "hang" if answer["killed"] == "hang" else "abort"
        return {"outcome": outcome, "detail": answer["killed"], "fastckpt": ours}
    if "error" in answer:
        return {"outcome": "error", "detail": f"at open: {answer['error']}", "fastckpt": ours}
    found = list(_compare(case, answer["tensors"]))
    outcome, detail = max(found, key=lambda item: _rank(item[0]), default=("right data", ""))
    return {"outcome": outcome, "detail": detail, "fastckpt": ours}


def _rank(outcome: str) -> int:
    # An error for one tensor tells more than another tensor that was accepted.
    return ("right data", "accepted", "error", "wrong data").index(outcome)


def _has_error(case: Case) -> bool:
    return case.opens is not None or any(isinstance(x, type) for x in case.tensors.values())


def _compare(case: Case, tensors: Mapping[str, list[str]]) -> Any:
    if case.opens is not None and not tensors:
        yield "accepted", "lists nothing"
    for name in sorted({*tensors, *case.tensors}):
        kind, given = tensors.get(name, ("absent", ""))
        if kind == "error":
            yield "error", f"on reading: {given}"
        elif kind == "absent" and name.startswith("\0"):
            continue  # It knows the slices of a malformed entry, and hides their keys.
        elif case.opens is not None:
            yield "accepted", "lists and reads"
        elif kind == "absent" or name not in case.tensors:
            yield (
                "wrong data",
                f"{_shown(name)} is {'missing' if kind == 'absent' else 'invented'}",
            )
        elif isinstance(case.tensors[name], type):
            yield "accepted", "reads what is damaged"
        elif given != repr(case.tensors[name]):
            yield "wrong data", f"{_shown(name)} has other values"


def _shown(name: str) -> str:
    return ascii(name if len(name) < 40 else name[:40] + "...")


# --- the document --------------------------------------------------------------------------------


def section(outcomes: Mapping[str, Mapping[str, str]]) -> str:
    """The text between the marks."""
    total = len(outcomes)
    count = Counter(row["outcome"] for row in outcomes.values())
    lines = [
        "## Malformed checkpoints, and what stock TensorFlow does",
        "",
        f"`tests/malformed` makes {total} malformed or unusual checkpoints, most with right",
        "checksums, and says for each which error or which data a reader has to give. fastckpt",
        "gives that for all of them, in one process.",
        "",
        f"TensorFlow {tf.__version__}, told to list and read all, with 8 GiB of address space to",
        f"spare: {count['abort']} of these files end its process (some at the read after the bad",
        f"one), {count['hang']} hang it, {count['wrong data']} hide tensors in silence or change",
        f"them, {count['accepted']} are damaged and accepted all the same.",
        "",
        "| kind | cases | fastckpt: error / right data | " + " | ".join(OUTCOMES) + " |",
        "|---|" + "---|" * (2 + len(OUTCOMES)),
    ]
    for kind, label in KINDS.items():
        rows = [row for name, row in outcomes.items() if name.split("/")[0] == kind]
        ours = Counter(row["fastckpt"] for row in rows)
        theirs = Counter(row["outcome"] for row in rows)
        cells = [str(theirs[outcome] or "") for outcome in OUTCOMES]
        both = f"{ours['error']} / {ours['right data']}"
        lines.append(f"| {label} | {len(rows)} | {both} | " + " | ".join(cells) + " |")
    late = [name for name, row in outcomes.items() if " after " in row["detail"]]
    if late:
        lines += ["", *_listed("Error after ten seconds", late)]
    for outcome, label in (
        ("abort", "Ends the process"),
        ("hang", "Hangs"),
        ("wrong data", "Wrong"),
    ):
        names = [name for name, row in outcomes.items() if row["outcome"] == outcome]
        if names:
            lines += ["", *_listed(label, names)]
    return "\n".join(lines)


def _listed(label: str, names: list[str]) -> list[str]:
    text = f"{label}: {', '.join(f'`{name}`' for name in names)}."
    return textwrap.wrap(text, 110, break_on_hyphens=False, break_long_words=False)


def put_section(text: str, content: str) -> str:
    """Replace or append the marked section."""
    marked = f"{BEGIN}\n{content}\n{END}"
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    if pattern.search(text):
        return pattern.sub(lambda _: marked, text)
    return f"{text.rstrip()}\n\n{marked}\n" if text else f"{marked}\n"


def main() -> None:
    """Ask about all cases, or print the answers for the ids given as arguments."""
    cases = all_cases()
    wanted = sys.argv[1:] or list(cases)
    outcomes = {}
    for name in sorted(wanted):
        case = cases[name]
        with tempfile.TemporaryDirectory() as folder:
            path = case.build(Path(folder))
            outcomes[name] = judge(case, ask_in_child(path, list(case.tensors)))
        if sys.argv[1:]:
            print(name, outcomes[name])
    if sys.argv[1:]:
        return
    document = {"tensorflow": tf.__version__, "outcomes": outcomes}
    JSON.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = ""
    with contextlib.suppress(FileNotFoundError):
        text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(put_section(text, section(outcomes)), encoding="utf-8")


if __name__ == "__main__":
    main()
