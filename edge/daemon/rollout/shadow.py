"""
A second model that sees what the first one sees, and decides nothing.

Its results go to `shadow/result`, and agreement with the first model is counted.
"""

import json
import logging
import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.daemon.pipeline.examination import Examination
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Interrupted, Verdict
from edge.domain import Outcome, Rejection, Result
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.models.bundle import Bundle
from edge.mqtt.errors import HangUps, RefusedError
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "shadow"
SCHEMA: Final = "mammo.shadow/1"
MOST_WAITING: Final = 256
"""Images that may wait for the shadow; more are skipped and counted, so that it delays nothing."""
NOBODY_TO_TELL: Final = (
    "publish.mqtt and intake.mqtt are off, so there is nobody to "
    "tell what it says, and it is not opened"
)
TRIES: Final = 3
"""Times that an image is looked for which is archived meanwhile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The first model's outcome of one image."""

    image_id: str
    outcome: Outcome
    bundle: Bundle


class Shadow(Loop):
    """
    Examines each image once more, one by one, in a thread and a worker of its own.

    Args:
        serving: the second model, proved.
        locate: finds an image's file by its id.
        publish: sends one message; may fail, which loses it.
        health: for counters and stamps.
    """

    def __init__(
        self,
        serving: Serving,
        locate: Callable[[str], Path | None],
        publish: Callable[[bytes], None],
        health: Health,
    ) -> None:
        super().__init__(LOOP, health)
        self.serving = serving
        self._locate = locate
        self._publish = publish
        self._queue: queue.Queue[Seen] = queue.Queue(MOST_WAITING)
        self._hang_ups = HangUps()

    def wake(self) -> None:
        """End the examination that runs; `stop` calls it, and forgets what waits."""
        self.serving.workers.close()

    def observe(self, examination: Examination) -> None:
        """Note an image that was concluded; in the dispatcher's thread."""
        if not isinstance(examination.verdict, Result | Rejection):
            return
        try:
            self._queue.put_nowait(
                Seen(examination.image.image_id, examination.verdict, examination.serving.bundle)
            )
        except queue.Full:
            self._health.count("shadow_skipped")

    def turn(self) -> None:
        """Show it the next image, if there is one."""
        try:
            seen = self._queue.get(timeout=1.0)
        except queue.Empty:
            return
        verdict = self._examine(seen.image_id)
        if not self._stop.is_set():
            self._tell(seen, verdict)

    def _examine(self, image_id: str) -> Verdict:
        verdict: Verdict = Interrupted("its file is gone")
        for _ in range(TRIES):
            try:
                path = self._locate(image_id)
            except Unavailable as error:
                return Interrupted(str(error))
            if path is None or self._stop.is_set():
                return verdict
            verdict = self.serving.workers.examine(path, lambda: self._health.stamp(LOOP))
            if not isinstance(verdict, Interrupted):
                return verdict
        return verdict

    def _tell(self, seen: Seen, verdict: Verdict) -> None:
        if not isinstance(verdict, Result | Rejection):
            self._health.count("shadow_failed")
            return
        first, second = _words(seen.outcome, seen.bundle), _words(verdict, self.serving.bundle)
        agree = first["outcome"] == second["outcome"]
        self._health.count("shadow_agree" if agree else "shadow_disagree")
        if self._hang_ups.too_many:
            return
        message = {
            "schema": SCHEMA,
            "image_id": seen.image_id,
            "agree": agree,
            "shadow": second,
            "serving": first,
        }
        try:
            self._publish(json.dumps(message, separators=(",", ":")).encode())
        except (Unavailable, RefusedError) as error:
            log.debug('event=shadow_not_told why="%s"', error)
            if self._hang_ups.note(error):
                self._health.degrade(
                    Cause.SHADOW_HUNG_UP,
                    "shadow model: the broker hangs up on shadow/result, so "
                    "it is told no more: check its ACL",
                )
        else:
            self._hang_ups.end()


def _words(outcome: Outcome, bundle: Bundle) -> dict[str, Any]:
    """Put one model's answer into numbers and versions, nothing of the picture."""
    model = {
        "bundle": bundle.bundle_id,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
    }
    if isinstance(outcome, Rejection):
        return {"outcome": "rejected", "malignant": None, "model": model}
    return {
        "outcome": outcome.prediction.label,
        "malignant": outcome.prediction.malignant,
        "model": model,
    }
