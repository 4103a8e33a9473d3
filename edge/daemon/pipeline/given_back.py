"""Examinations that workers gave back: recorded, or the image blamed or put off, and shown."""

import contextlib
import queue
from collections.abc import Callable, Sequence

from edge.daemon.pipeline.examination import Examination, Parts
from edge.daemon.pipeline.put_off import PutOff
from edge.daemon.pipeline.recorder import Recorder
from edge.daemon.workers.verdict import Interrupted
from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image
from edge.storage.ledger.states import IllegalMoveError, Move
from edge.system.threads import note_failure


class GivenBack:
    """
    The examinations that came back and are not recorded yet; in the dispatcher's thread.

    Args:
        parts: the shared objects.
        recorder: records each.
        put_off: is told of images that came back without an outcome.
        rest: has nothing given out for a while, for a reason that a person is told.
        observers: called with each examination after it was recorded.
    """

    def __init__(
        self,
        parts: Parts,
        recorder: Recorder,
        put_off: PutOff,
        rest: Callable[[Cause, str], None],
        observers: Sequence[Callable[[Examination], None]],
    ) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._wake = parts.tasks.wake
        self._recorder = recorder
        self._put_off = put_off
        self._rest = rest
        self._observers = observers
        self._arrived: queue.SimpleQueue[Examination] = queue.SimpleQueue()
        self._unrecorded: list[Examination] = []

    def add(self, examination: Examination) -> None:
        """Take one that has come back; from any thread."""
        self._arrived.put(examination)
        self._wake()

    def arrived(self) -> int:
        """Count those that nobody has tried to record yet."""
        return self._arrived.qsize()

    def stuck(self) -> bool:
        """Tell if some could not be recorded when that was tried last."""
        return bool(self._unrecorded)

    def record(self, *, stopping: bool) -> bool:
        """
        Record what came back, and try again what could not be recorded before.

        Args:
            stopping: true if the daemon ends.

        Returns:
            False if there is nothing, or if nothing was recorded.
        """
        found, self._unrecorded = self._unrecorded, []
        while not self._arrived.empty():
            found.append(self._arrived.get())
        for examination in found:
            self._health.beat()
            self._record(examination, stopping=stopping)
        return len(found) > len(self._unrecorded)

    def _record(self, examination: Examination, *, stopping: bool) -> None:
        try:
            settled = self._recorder.record(examination, stopping=stopping)
        except Unavailable as error:
            self._unrecorded.append(examination)
            self._rest(Cause.STORAGE_UNAVAILABLE, str(error))
            return
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - one image must not hold up the others
            _blame(self._ledger, self._health, examination.image, error)
            return
        if isinstance(examination.verdict, Interrupted):
            self._interrupted(examination.image, examination.verdict.why)
        else:
            self._put_off.had_its_turn(examination.image)
        for observe in self._observers if settled else ():
            show(observe, examination, self._health)

    def _interrupted(self, image: Image, why: str) -> None:
        """Have workers rest that gave an image back, unless it is a file of the archive alone."""
        archived = image.path.parent != self._spool.claimed
        shut = self._spool.is_shut_alone(image.path)
        if shut:
            self._put_off.interrupted(image, why, archived=archived)
        if not (shut and archived):
            self._rest(Cause.WORKERS_UNAVAILABLE, f"worker: {why}")


def _blame(ledger: Ledger, health: Health, image: Image, error: Exception) -> None:
    """Count an attempt of an image whose outcome cannot be recorded, for no passing reason."""
    note_failure("outcome_not_recorded", error)
    health.count("records_failed")
    with contextlib.suppress(Unavailable, IllegalMoveError):
        ledger.images.move(image.image_id, Move.BLAME)


def show(observe: Callable[[Examination], None], examination: Examination, health: Health) -> None:
    """Show an examination to somebody who looks on, and may fail."""
    try:
        observe(examination)
    except StateDamagedError:
        raise
    except Exception as error:  # noqa: BLE001 - the outcome is recorded, whoever looks on
        note_failure("observer_failed", error)
        health.count("loop_failures")
