"""
`mammo-edge` with a decoder that has a defect: its worker segfaults at a file that says so. `python
crashing.py PROGRAM run ...`.

A model of the version `next` has one, too: in use it gives no numbers, though its known answers are
right.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.cli import main as cli
from edge.daemon.workers import servable
from edge.domain import Outcome
from edge.errors import InferenceError

CRASH: Final = b"here the decoder has a defect"
SICK: Final = "next"


def run(path: str) -> Outcome:
    """What a worker does with one file."""
    from edge.inference import examiner  # noqa: PLC0415 - in the worker only

    if CRASH in Path(path).read_bytes():
        os.kill(os.getpid(), signal.SIGSEGV)
    if examiner.examiner().bundle.manifest.version == SICK:
        msg = "the model's output is nan, expected a number from 0 to 1"
        raise InferenceError(msg)
    return examiner.run(path)


def main() -> int:
    """Be the daemon, all else as it is."""
    sys.path.insert(
        0, str(Path(__file__).parent.parent.parent)
    )  # workers take it over, and find this module there
    ours = servable.job_for
    servable.job_for = lambda settings, bundle: replace(
        ours(settings, bundle), run="tests.support.crashing.run"
    )
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
