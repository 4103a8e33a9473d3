"""
Run in workers under torture: a tenth of a millisecond in place of a model, and misbehaviour on
demand.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Final

from edge.domain import (
    Decision,
    Identity,
    ImageFacts,
    Origin,
    Outcome,
    Prediction,
    Rejection,
    Result,
    Runtime,
    Timing,
)
from edge.errors import Reason

HANG: Final = b"hang"
"""
The beginning of a file that hangs its worker, each time; the words below make other faults.
"""
CRASH: Final = b"crash"
LEAK: Final = b"leak"
"""The beginning of a film for which there is never memory enough."""
GREEDY: Final = b"greedy"
"""The beginning of a film that needs GREEDY_MB for a moment, and is scored if it gets that."""
GREEDY_MB: Final = 256
SLOW: Final = b"slow"
BAD: Final = b"bad"
TORN: Final = b"torn"
"""The beginning of a film that is truncated until it ends with the word `end`."""
VIEW: Final = b"view "
"""The beginning of a file that is one view of a study; JSON follows, up to the end of the line."""

FILM: Final = Origin("film", "header", measured=True)

_runtime: Runtime | None = None


def start(folder: str, *_: object) -> Runtime:
    """Stand in for edge.inference.examiner.start."""
    global _runtime  # noqa: PLW0603 - one worker, one model
    manifest = json.loads((Path(folder) / "bundle.json").read_bytes())
    _runtime = Runtime("litert", manifest["default_model"], 1)
    return _runtime


def run(path: str) -> Outcome:
    """Stand in for edge.inference.examiner.run."""
    data = Path(path).read_bytes()
    assert _runtime is not None
    if data.startswith(BAD):
        return Rejection(Reason.UNREADABLE, "as the file asked", runtime=_runtime)
    if data.startswith(TORN) and not data.endswith(b"end"):
        return Rejection(Reason.TRUNCATED, "as the file said", runtime=_runtime)
    if data.startswith((HANG, CRASH, LEAK, GREEDY, SLOW)):
        _misbehave(data)
    raw = hashlib.sha256(data).digest()[0] / 256
    said = json.loads(data[len(VIEW) :].splitlines()[0]) if data.startswith(VIEW) else {}
    facts = ImageFacts(1, 1, 8, "MONOCHROME2", "png", said.get("side"), said.get("view"))
    identity = Identity(str(said), said["study"]) if said else None
    prediction = Prediction(raw, raw, Decision("default", 0.5, 0.5, 0.5), origin=FILM)
    return Result(facts, prediction, _runtime, Timing(), identity)


def _misbehave(data: bytes) -> None:
    if data.startswith(SLOW):
        time.sleep(0.05)
    elif data.startswith(HANG):
        signal.pause()
    elif data.startswith(CRASH):
        os.kill(os.getpid(), signal.SIGSEGV)
    else:
        hoard: list[bytes] = []
        while not data.startswith(GREEDY) or len(hoard) < GREEDY_MB // 16:
            hoard.append(b"x" * 2**24)
