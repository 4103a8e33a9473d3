"""
Run `mammo-edge` with a decoder whose worker segfaults at a marked file.

`python crashing.py PROGRAM run ...`. A model of the version `next` is defective too: its known
answers are right, and in use it gives no numbers.
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
    """Examine one file, or crash at a marked one."""
    from edge.inference import examiner  # noqa: PLC0415 - in the worker only

    if CRASH in Path(path).read_bytes():
        os.kill(os.getpid(), signal.SIGSEGV)
    if examiner.examiner().bundle.manifest.version == SICK:
        msg = "the model's output is nan, expected a number from 0 to 1"
        raise InferenceError(msg)
    return examiner.run(path)


def main() -> int:
    """Be the daemon, with only that changed."""
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
