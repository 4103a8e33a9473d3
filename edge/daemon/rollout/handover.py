"""
Handover of images without a decision from a model that failed its trial to the next one.

All of it runs in the dispatcher's thread.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from edge.daemon.pipeline.examination import Parts, Reject
from edge.daemon.rollout.trial import Trial
from edge.errors import MammoEdgeError, Reason
from edge.storage.ledger import Ledger
from edge.storage.ledger.states import State
from edge.system.files import is_seen

log = logging.getLogger(__name__)

CONCLUDED: Final = frozenset({State.CONCLUDED, State.ARCHIVED})


def hand_over(
    trial: Trial, parts: Parts, reject: Reject, swap: Callable[[], None] = lambda: None
) -> None:
    """
    Have the images of a trial that have no decision examined again, as `mammo-edge retry` does.

    Images that wait are examined by the next model anyway.

    Args:
        trial: whose; it forgets them.
        parts: `ledger` knows the images, `tasks` wakes the dispatcher.
        reject: concludes an image that no worker need see.
        swap: makes the other model the current one.
    """
    _conclude_poison(trial, parts.ledger, reject)
    swap()
    _examine_again(trial, parts)
    trial.against.clear()
    parts.tasks.wake()


def _conclude_poison(trial: Trial, ledger: Ledger, reject: Reject) -> None:
    """Conclude poisoned images under the failed model; the next would reject them unseen."""
    for image_id in trial.against:
        with _as_far_as_the_disk_lets_us():
            image = ledger.images.find(image_id)
            if image is not None and image.state is State.RECEIVED and image.poison:
                reject(image_id, Reason.POISON, "it got no score, twice")


def _examine_again(trial: Trial, parts: Parts) -> None:
    ledger = parts.ledger
    for image_id in trial.against:
        with _as_far_as_the_disk_lets_us():
            image = ledger.images.find(image_id)
            if image is None or image.state not in CONCLUDED:
                continue
            # One whose archive is not mounted waits until it is, unless retention removed it.
            away = ledger.pruning.has_file(image_id) and parts.spool.is_away(image.path.parent)
            if away or is_seen(image.path):
                ledger.submissions.retry([image_id])


@contextmanager
def _as_far_as_the_disk_lets_us() -> Iterator[None]:
    """
    Let an image stand as it is if it cannot be changed now; `mammo-edge retry` can do it later.
    """
    try:
        yield
    except MammoEdgeError as error:  # or its state has changed by now
        log.warning('event=not_examined_again why="%s"', error)
