"""The way in: bytes go into the spool, then a row into the ledger, and only then is anyone told."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.daemon.pipeline.admission import Admission, Sender
from edge.daemon.pipeline.examination import Parts, Reject
from edge.daemon.pipeline.head_start import HeadStart
from edge.daemon.pipeline.recovery import Recovery
from edge.errors import Reason, Unavailable
from edge.health import Cause
from edge.storage.ledger.records import Submission
from edge.system.files import NotReadyError

log = logging.getLogger(__name__)

HEX_DIGITS: Final = 64
REFUSE_S: Final = 10.0
"""Seconds that a refusal may wait for the dispatcher."""


class Reception:
    """
    The receiver of all intakes: takes what the sources bring.

    Args:
        parts: the shared objects.
        settings: limits and the inbox.
        admission: records claimed files.
        recovery: nothing is taken before it is done.
        head_start: is offered files while they are hashed.
        reject: concludes an image that no worker need see.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        parts: Parts,
        settings: Settings,
        *,
        admission: Admission,
        recovery: Recovery,
        head_start: HeadStart,
        reject: Reject,
    ) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._model = parts.model
        self._tasks = parts.tasks
        self._settings = settings
        self._admission = admission
        self._recovery = recovery
        self._head_start = head_start
        self._reject = reject

    def has_room(self) -> bool:
        """
        Tell if more may come in: below the limits of queue and disk, and after the recovery.

        A fresh file must not be there during the recovery, which would take it for a leftover.
        """
        if not self._recovery.done:
            return False
        least = self._settings.spool.min_free_mb
        try:
            free = self._spool.free_mb()
        except Unavailable as error:
            self._health.degrade(Cause.SPOOL_UNAVAILABLE, str(error))
            return False
        self._health.recover(Cause.SPOOL_UNAVAILABLE)
        if free < least:
            self._health.degrade(Cause.SPACE_SHORT, f"spool: {free} MiB free, intake needs {least}")
            return False
        self._health.recover(Cause.SPACE_SHORT)
        return self._ledger.queries.waiting() < self._settings.spool.max_waiting

    def take_file(self, path: Path, *, settled: bool, may_copy: bool) -> None:
        """See `Receiver`."""
        if self._taken_before(path):
            return
        # If its writer goes on, the worker might see another file than the ledger names.
        moved = self._head_start.offer if settled else lambda _: None
        with self._spool.claiming(path, may_copy=may_copy, moved=moved) as claim:
            self._admission.record(claim, Sender("folder", settled=settled))

    def take_bytes(
        self, data: bytes, response_topic: str | None, correlation: bytes | None
    ) -> None:
        """See `Receiver`."""
        sender = Sender("mqtt", response_topic=response_topic, correlation=correlation)
        with self._spool.receiving(data) as claim:
            self._admission.record(claim, sender)

    def take_reference(
        self,
        request: bytes,
        response_topic: str | None,
        correlation: bytes | None,
        patient: Callable[[], bool],
    ) -> None:
        """See `Receiver`."""
        sender = Sender("mqtt", response_topic=response_topic, correlation=correlation)
        try:
            name, sha256 = _parse(request)
            path = self._in_inbox(name)
        except ValueError as error:
            self._refuse(request, sender, str(error))
            return
        if self._is_known(sha256, sender):
            return
        found = self._spool.hash_in_place(path)
        if found == sha256:
            with self._spool.claiming(path, may_copy=True) as claim:
                self._admission.record(claim, sender)
        elif patient():  # its sender may still be writing it
            raise NotReadyError
        elif found:  # a file under another hash is left to the folder, which has its own rules
            why = f"the file's sha256 is {found}, the request says {sha256}"
            self._refuse(request, sender, why)
        else:
            self._refuse(request, sender, "no such file in the inbox")

    def _is_known(self, sha256: str, sender: Sender) -> bool:
        """Record a request for bytes that are here already; False if they are not."""
        submission = Submission(
            sha256,
            Path(),
            b"",
            sender.source,
            time.time(),
            response_topic=sender.response_topic,
            correlation=sender.correlation,
        )
        bundle_id = self._model.serving.bundle.bundle_id
        known = self._ledger.submissions.request_again(sha256, submission, bundle_id)
        if known:
            self._tasks.wake()
        return known

    def _refuse(self, request: bytes, sender: Sender, why: str) -> None:
        """
        Answer a request that names no image.

        The request's own bytes stand in for the image, so the answer is as durable as any.
        """

        def refuse() -> None:  # between two images, so that no worker takes it first
            with self._spool.receiving(request) as claim:
                self._admission.record(claim, sender)
            self._reject(claim.image_id, Reason.MISSING, why)

        answer = self._tasks.call(refuse)
        try:
            answer.result(timeout=REFUSE_S)
        except TimeoutError:
            if answer.cancel():
                msg = "stopping"
                raise Unavailable(msg) from None
            answer.result()

    def _in_inbox(self, name: str) -> Path:
        """Resolve a name; ValueError if it leads out of the inbox, through a link or `..`."""
        inbox = self._settings.inbox.path.resolve()
        path = (inbox / name).parent.resolve() / Path(name).name
        if not path.is_relative_to(inbox) or path == inbox:
            msg = "no such file in the inbox"
            raise ValueError(msg)
        return path

    def _taken_before(self, path: Path) -> bool:
        """Tell if a copy left this file behind, and try once more to remove it."""
        for claim, origin, fingerprint in self._ledger.submissions.origins():
            if origin == path:
                removed = self._admission.remove_origin(claim, path, fingerprint)
                return not removed or not path.exists()
        return False


def _parse(request: bytes) -> tuple[str, str]:
    try:
        fields = json.loads(request)
    except (ValueError, RecursionError):
        msg = 'the request is not JSON, expected {"name": "...", "sha256": "..."}'
        raise ValueError(msg) from None
    name, sha256 = (
        (fields.get("name"), fields.get("sha256")) if isinstance(fields, dict) else (None, None)
    )
    if not isinstance(name, str) or not name or "\0" in name:
        msg = "the request has no name, expected that of a file in the inbox"
        raise ValueError(msg)
    if (
        not isinstance(sha256, str)
        or len(sha256) != HEX_DIGITS
        or not set(sha256.lower()) <= set("0123456789abcdef")
    ):
        msg = "the request has no sha256, expected 64 hex digits"
        raise ValueError(msg)
    return name, sha256.lower()
