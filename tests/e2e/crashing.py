"""`mammo-edge` with a decoder that has a defect: its worker segfaults at a file that says so. `python crashing.py PROGRAM run ...`."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge import app, cli
from edge.domain import Outcome

CRASH: Final = b"here the decoder has a defect"


def run(path: str) -> Outcome:
    """What a worker does with one file."""
    from edge import examine  # noqa: PLC0415 - in the worker only

    if CRASH in Path(path).read_bytes():
        os.kill(os.getpid(), signal.SIGSEGV)
    return examine.run(path)


def main() -> int:
    """Be the daemon, all else as it is."""
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # workers take it over, and find this module there
    ours = app.job_for
    app.job_for = lambda settings, bundle: replace(ours(settings, bundle), run="tests.e2e.crashing.run")
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
