"""How a shadow model's worker begins: as any other, but it is the first that the kernel ends where memory is short."""

import contextlib
from pathlib import Path

from edge.inference import examiner
from edge.domain import Runtime


def start(*arguments: object) -> Runtime:
    """
    As `edge.inference.examiner.start`. An image that the shadow costs its memory is the shadow's alone.

    Raises:
        ModelError: the bundle is not usable.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    return examiner.start(*arguments)  # type: ignore[arg-type]  # they cross a process border as plain values
