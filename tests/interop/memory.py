"""What the kernel says about this process' memory."""

from __future__ import annotations

import re
from pathlib import Path


def anonymous_bytes() -> int:
    """Memory of this process that no file backs."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def map_figures(prefix: Path | str) -> dict[str, int]:
    """Rss, Pss and private bytes of this process' maps of the checkpoint's data shards."""
    figures = {"Rss": 0, "Pss": 0, "Private_Clean": 0, "Private_Dirty": 0, "Anonymous": 0}
    ours = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ours = f"{prefix}.data-" in line
            assert not ours or line.split()[1].startswith("r--"), line
        elif ours and line.split(":")[0] in figures:
            figures[line.split(":")[0]] += int(line.split()[1]) * 1024
    return figures
