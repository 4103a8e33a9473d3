"""Things that the parts of the pipeline share: an examination, and the objects that all use."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from edge.contract.render import Sender
from edge.daemon.pipeline.current_model import CurrentModel
from edge.daemon.pipeline.exam_names import ExamNames
from edge.daemon.pipeline.tasks import Tasks
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Verdict
from edge.errors import Reason
from edge.health import Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image, Reference, Submission
from edge.storage.spool import Spool


@dataclass(frozen=True, slots=True)
class Examination:
    """One image that came back from a worker, or that no worker need see."""

    image: Image
    serving: Serving
    """The model and its workers."""
    started: float
    ended: float
    """Seconds that the machine had run when a worker took it, and when that was done."""
    verdict: Verdict
    completed_at: float = field(default_factory=time.time)
    """Unix time of the end, in seconds."""

    @property
    def took_s(self) -> float:
        """Seconds for which a worker had it, whatever became of the date meanwhile."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects that the way in, the dispatcher and the rollout of models share."""

    ledger: Ledger
    spool: Spool
    health: Health
    sender: Sender
    model: CurrentModel
    tasks: Tasks
    look_again_s: float
    """Seconds until a truncated file is looked at again, as its writer may not have finished."""
    exams: ExamNames | None = None
    """None if no exams are made."""


Reject: TypeAlias = Callable[[str, Reason, str], None]
"""A function that concludes an image, of that id, that no worker need see; `Recorder.reject`."""

Refuse: TypeAlias = Callable[[Submission, str, Reference | None], Path | None]
"""A function that records a request and why it is refused; `Recorder.refuse`."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Calls that the dispatcher makes to others, all in its own thread."""

    recover: Callable[[], None]
    """Called in each turn before the first image; does nothing once it has succeeded."""
    observers: tuple[Callable[[Examination], None], ...] = ()
    """Called with each examination after it was recorded."""
