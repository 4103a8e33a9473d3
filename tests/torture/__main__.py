"""
Run scenarios and write docs/quality/reliability.md.

python -m tests.torture [--scale 0.1] [--only WORD] [--write docs/quality/reliability.md]
"""

import argparse
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture import durability, report
from tests.torture.bench import Bench, NotHereError, Row, Scenario
from tests.torture.scenarios import ALL


def run(scenario: Scenario, scale: float) -> Row:
    """Run one scenario on a bench of its own; an exception becomes a fault in its row."""
    started, title = time.monotonic(), (scenario.__doc__ or "").strip().rstrip(".")
    with Bench() as bench:
        try:
            row = scenario(bench, scale)
        except NotHereError as error:
            row = Row(title, 0, note=f"not made here: {error}")
        except Exception as error:  # noqa: BLE001 - the next scenario is still worth running
            traceback.print_exc()
            row = Row(title, 0, faults=[f"{type(error).__name__}: {str(error)[:3000]}"])
    print(f"{scenario.__name__}: {row} in {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201
    return row


def main() -> int:
    """Run the scenarios; returns 0 if nothing was lost and nothing has two ids."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="1 is the whole: 1,000 kills over 2,000 files and more",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=3,
        help="scenarios at the same time; they wait more than they work",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="WORD",
        help="only scenarios whose module or name has this word",
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there")
    arguments = parser.parse_args()
    began = time.monotonic()
    chosen = [one for one in ALL if arguments.only in f"{one.__module__}.{one.__name__}"]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(lambda scenario: run(scenario, arguments.scale), chosen))
    if arguments.write:
        with Bench() as bench:
            more = durability.section(bench, arguments.scale)
        arguments.write.write_text(
            report.page(rows, arguments.scale, time.monotonic() - began, more)
        )
    return 1 if any(row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
