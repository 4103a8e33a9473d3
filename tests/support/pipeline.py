"""The pipeline of a daemon with a real ledger and spool, put together as the daemon does it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config.settings import Settings
from edge.contract.render import Sender
from edge.daemon.pipeline.admission import Admission
from edge.daemon.pipeline.current_model import CurrentModel
from edge.daemon.pipeline.dispatcher import Dispatcher
from edge.daemon.pipeline.examination import Examination, Hooks, Parts
from edge.daemon.pipeline.head_start import HeadStart
from edge.daemon.pipeline.reception import Reception
from edge.daemon.pipeline.recorder import Recorder
from edge.daemon.pipeline.recovery import Recovery
from edge.daemon.pipeline.tasks import Tasks
from edge.daemon.workers.serving import Serving
from edge.errors import Reason
from edge.health import Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Reference, Submission
from edge.storage.spool import Spool


class AtOnce(Tasks):
    """Tasks of a test that is the dispatcher's thread itself."""

    def call(self, task: Callable[[], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(task())
        return future


def parts_of(  # noqa: PLR0913 - what a test may say
    ledger: Ledger,
    spool: Spool,
    serving: Serving,
    *,
    health: Health | None = None,
    tasks: Tasks | None = None,
    sender: Sender | None = None,
    look_again_s: float = 20.0,
) -> Parts:
    return Parts(
        ledger,
        spool,
        health or Health(),
        sender or Sender(),
        CurrentModel(serving),
        tasks or Tasks(),
        look_again_s,
    )


@dataclass(frozen=True)
class Line:
    """The parts of a pipeline and all that works with them; its threads are the test's."""

    parts: Parts
    recorder: Recorder
    head_start: HeadStart
    admission: Admission
    recovery: Recovery
    dispatcher: Dispatcher

    def reception(self, settings: Settings) -> Reception:
        return Reception(
            self.parts,
            settings,
            admission=self.admission,
            recovery=self.recovery,
            head_start=self.head_start,
            refuse=self.recorder.refuse,
        )


def line_of(
    parts: Parts,
    observers: Sequence[Callable[[Examination], None]] = (),
    refused: list[str] | None = None,
) -> Line:
    """Put a pipeline together; what it rejects unseen is only noted, if `refused` is there."""
    recorder, head_start = Recorder(parts, lambda: None), HeadStart(parts.tasks.wake)
    if refused is not None:
        recorder.reject = lambda image_id, reason, detail: refused.append(  # type: ignore[method-assign]
            f"{image_id}: {reason}: {detail}"
        )

        def note(submission: Submission, why: str, waiting: Reference | None) -> Path:
            if waiting is not None:
                parts.ledger.references.settled(waiting)
            refused.append(f"{submission.image_id}: {Reason.MISSING}: {why}")
            return submission.path

        recorder.refuse = note  # type: ignore[method-assign]
    admission = Admission(parts)
    recovery = Recovery(parts, admission)
    hooks = Hooks(recovery.run, tuple(observers))
    dispatcher = Dispatcher(parts, recorder, head_start, hooks)
    return Line(parts, recorder, head_start, admission, recovery, dispatcher)


def folders_of(folder: Path) -> Settings:
    """Settings with inbox, spool, archive and state below one folder."""
    spool = {"path": folder / "spool", "done": folder / "done", "failed": folder / "failed"}
    inbox, state = {"path": folder / "inbox"}, {"path": folder / "state"}
    return Settings(inbox=inbox, spool=spool, state=state)
