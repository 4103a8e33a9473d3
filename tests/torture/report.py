"""Write docs/quality/reliability.md from a run."""

import os
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Final

from edge import __version__
from tests.torture.bench import Row
from tests.torture.crashes import POINTS

HEAD: Final = """\
# Reliability

Written by `make torture`, from a run.
Do not edit.
How it is made: `tests/torture/`.

Each scenario gives files to a real daemon, by folder and over a real mosquitto, does something to it, and lets it recover.
Then one oracle (`tests/torture/oracle.py`) looks at the ledger, the folders and what a subscriber received:

- **lost**: files that were accepted and have no outcome in the ledger, or whose result the subscriber never received;
- **two ids**: images with more than one result id, or one `seq` with two contents;
- **other faults**: a file rejected that a quiet run scores; one in no place, in two or in the wrong one; anything left over or unknown; and what a scenario expects beside that, such as a `status` that tells the truth, bounded memory, an exit code.

That the oracle catches planted bugs (acknowledged before it is recorded, forgotten before it is sent, ...) is tested in `tests/torture/test_oracle.py`.
The worker runs a stand-in for the model, so that a thousand kills take minutes; everything else is what a clinic runs.
Recovery is the longest time from the end of the fault until nothing waited any more; it includes the start of the daemon where it had been killed, but not that Python reads its modules, about a second: they are read once for all.

"""

NOT_MADE: Final = """
## What was not made here

- The loss of a disk's own volatile cache.
  A power cut is made from a clone of the disk: what the kernel had not given to the disk is gone, what it had given counts as kept.
  The order of writes, syncs, renames, commits and acknowledgements is checked with strace, too: `tests/torture/test_order.py`.
- A machine of which all memory is used.
  The kernel's OOM killer comes in a memory cgroup, where nothing else is short of memory.
- A file system that freezes (`fsfreeze`): nothing can be told from a very slow disk.
- Remounting the ledger's file system read-only while the daemon runs: the kernel refuses, because files on it are open for writing.
"""


def page(rows: Sequence[Row], scale: float, took_s: float, more: Sequence[str] = ()) -> str:
    """Write the whole page; `more` are further sections."""
    lines = [
        *_facts(scale, took_s),
        "",
        *_table(rows),
        "",
        *_notes(rows),
        *_faults(rows),
        *_steps(),
        *more,
    ]
    return HEAD + "\n".join(lines) + "\n" + NOT_MADE


def _facts(scale: float, took_s: float) -> Iterator[str]:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    today = time.strftime("%Y-%m-%d", time.gmtime())
    yield (
        f"Scale {scale:g} (1 is the whole), {took_s / 60:.0f} minutes, "
        f"{today}, on top of commit {asked.stdout.strip()}."
    )
    yield (
        f"mammo-edge {__version__}, Python {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores, shared with others."
    )


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| scenario | repetitions | files | lost | two ids | other faults | recovery, s |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for row in rows:
        if row.repetitions or row.faults:
            others = len(row.faults)
            cells = (
                row.scenario,
                row.repetitions,
                row.files,
                row.lost,
                row.two_ids,
                others,
                f"{row.recovery_s:.1f}",
            )
            yield f"| {' | '.join(map(str, cells))} |"
    total = [
        sum(getattr(row, name) for row in rows)
        for name in ("repetitions", "files", "lost", "two_ids")
    ]
    faults, longest = sum(len(row.faults) for row in rows), max(row.recovery_s for row in rows)
    yield f"| **all** | {' | '.join(map(str, total))} | {faults} | {longest:.1f} |"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.note:
            yield f"- {row.scenario}: {row.note}."


def _faults(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for fault in row.faults:
            yield f"- **FAULT** in {row.scenario}: {fault.splitlines()[0]}"


def _steps() -> Iterator[str]:
    yield "\n## The steps at which it was killed\n"
    for point in POINTS:
        yield f"- {point}"
