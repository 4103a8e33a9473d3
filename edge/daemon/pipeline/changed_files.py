"""Files that changed after they were recorded: their writer went on while a worker had them."""

import logging

from edge.daemon.pipeline.examination import Parts, Reject
from edge.daemon.pipeline.head_start import HeadStart
from edge.errors import FileTooLargeError, Reason, Unavailable
from edge.storage.known_looks import Since
from edge.storage.ledger.records import Image

log = logging.getLogger(__name__)


class ChangedFiles:
    """
    Records a changed file as the image that it is now, and settles the image that it was.

    Args:
        parts: the shared objects.
        reject: concludes the image that it was, if somebody waits for it.
        head_start: forgets what a worker says that may have seen other bytes.
    """

    def __init__(
        self,
        parts: Parts,
        reject: Reject,
        head_start: HeadStart,
    ) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._reject = reject
        self._head_start = head_start
        self._model = parts.model
        self._wake = parts.tasks.wake

    def take_up(self, image: Image) -> bool:
        """
        Hash an image's file again if it may have changed, and take it up anew if it has.

        Returns:
            True if `image` is settled; False if it is still what waits for a worker.

        Raises:
            Unavailable: the spool is away, or the ledger cannot be written.
        """
        if not (self._may_have_changed(image) and self._has_changed(image)):
            return False
        # What is stranded, recovery records in the next turn, or tells why it cannot.
        if self._ledger.submissions.forget(image.image_id):
            self._spool.stranded.append((image.path, image.name))
        elif image.poison:
            return False
        else:  # somebody else waits for it: these other bytes get no result under its id
            self._spool.take_back(image.path, image.name)
            self._reject(
                image.image_id, Reason.MISSING, "its file was changed before it could be examined"
            )
        self._wake()
        log.info("event=file_had_changed")
        return True

    def _may_have_changed(self, image: Image) -> bool:
        since = self._spool.since_hashed(image.path)
        if since is Since.CHANGED:  # a worker that has begun with it saw who knows what
            self._head_start.take(image.path, self._model.serving.workers)
        return since is not Since.SAME or image.postponed or image.poison

    def _has_changed(self, image: Image) -> bool:
        try:
            claim = self._spool.rehash(image.path, image.name, image.image_id)
        except FileTooLargeError:
            return True
        except Unavailable:
            if not self._spool.present():
                raise
            return False  # of this file a worker says what is wrong, and the others go on
        return claim.image_id != image.image_id
