"""The job of worker processes: the functions that they run, and their limits."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """A dotted path to run in each worker, and what it may use: no settings, no secrets."""

    start: str
    """Dotted path of a function(*arguments) -> Runtime, called once in each worker."""
    run: str
    """Dotted path of a function(path) -> Outcome."""
    arguments: tuple[object, ...]
    count: int
    """Number of workers."""
    timeout_s: float
    """Wall clock of one file, in seconds."""
    memory_mb: int
    """Address space of one worker, in MiB."""
    oom_score_adj: int = 500
    """The kernel ends these before the supervisor when memory is short; 1000 before all others."""
    cpu_s: float | None = None
    """Processor time of one file, all threads together, in seconds; None: any."""
    spare: Callable[[str], tuple[object, ...]] | None = None
    """
    Makes the arguments to go on without an accelerator, from the reason.

    Used once a worker was lost, so that an accelerator costs no image an attempt.
    """
