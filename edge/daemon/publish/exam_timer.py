"""Publishes the exams that wait for no further image, and counts what becomes of exams."""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.storage.ledger.exam_queue import ExamQueue
from edge.storage.ledger.exam_rows import MOST_IMAGES, SEVERAL_PATIENTS, TOO_MANY
from edge.storage.ledger.exams import COUNTED, FAILED
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "exams"
TURN_S: Final = 2.0
CAUSES: Final[Mapping[str, tuple[Cause, str]]] = {
    COUNTED[SEVERAL_PATIENTS]: (Cause.EXAM_SEVERAL_PATIENTS, "images of several patients"),
    COUNTED[TOO_MANY]: (Cause.EXAM_TOO_LARGE, f"more than {MOST_IMAGES} images"),
}
"""Code and words of the counters that a person should hear of."""


class ExamTimer(Loop):
    """
    Looks now and then, in a thread of its own, so that no image waits for it.

    Args:
        exams: of the ledger.
        health: for stamps, counters and reasons.
        wake_courier: called when there is something to deliver.
    """

    def __init__(self, exams: ExamQueue, health: Health, wake_courier: Callable[[], None]) -> None:
        super().__init__(LOOP, health)
        self._exams = exams
        self._wake_courier = wake_courier
        exams.on_news(self.note)

    def _rest_s(self) -> float:
        return TURN_S

    def turn(self) -> None:
        """Publish what is due; what the disk does not take now is due at the next turn, too."""
        try:
            self._exams.publish_due(go_on=self._go_on)
        except Unavailable as error:
            log.warning('event=exams_wait why="%s"', error)

    def _go_on(self) -> bool:
        self._health.beat()
        return not self._stop.is_set()

    def note(self, what: str) -> None:
        """Count what became of an exam; from the thread that noted it in the ledger."""
        self._health.count(what)
        if what in CAUSES:
            cause, of_what = CAUSES[what]
            number = self._health.counters[what]
            why = f"exams: {number} since the start have {of_what}, and no result"
            self._health.degrade(cause, why)
        elif what != FAILED:
            self._wake_courier()
