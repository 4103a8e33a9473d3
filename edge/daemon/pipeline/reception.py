"""The one way in: bytes into the spool, a row into the ledger, and only then is anyone told."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.daemon.pipeline.dispatcher import Parts, Service
from edge.domain import Source
from edge.errors import Reason, Unavailable
from edge.health import Cause
from edge.storage.claim import Claim
from edge.storage.ledger.records import Submission
from edge.storage.names import RENAMED
from edge.system.files import Fingerprint, NotReadyError

log = logging.getLogger(__name__)

HEX_DIGITS: Final = 64
REFUSE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an image, and who is answered."""

    source: Source
    settled: bool = True
    """Whether it is known to have finished writing."""
    response_topic: str | None = None
    correlation: bytes | None = None


class Reception:
    """
    Takes what the sources bring. It is the intake's Receiver.

    Args:
        parts: ledger, spool and health.
        settings: limits and the inbox.
        service: examines what comes.
    """

    def __init__(self, parts: Parts, settings: Settings, service: Service) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._settings = settings
        self._service = service
        self._sorted = False
        service.take_again = self._take_again
        service.at_start.append(self._take_up_orphans)

    def has_room(self) -> bool:
        """
        Below the limits of queue and disk, and not before the last daemon's leftovers are sorted: a
        fresh file is not one of them.
        """
        if not self._sorted:
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
        """See Receiver."""
        if self._taken_before(path):
            return
        head_start = (
            self._service.head_start if settled else lambda _: None
        )  # else the worker might see another file than the ledger names
        with self._spool.claiming(path, may_copy=may_copy, moved=head_start) as claim:
            self._record(claim, Sender("folder", settled=settled))

    def take_bytes(
        self, data: bytes, response_topic: str | None, correlation: bytes | None
    ) -> None:
        """See Receiver."""
        sender = Sender("mqtt", response_topic=response_topic, correlation=correlation)
        with self._spool.receiving(data) as claim:
            self._record(claim, sender)

    def take_reference(
        self,
        request: bytes,
        response_topic: str | None,
        correlation: bytes | None,
        patient: Callable[[], bool],
    ) -> None:
        """See Receiver."""
        sender = Sender("mqtt", response_topic=response_topic, correlation=correlation)
        try:
            name, sha256 = _parse(request)
            path = self._in_inbox(name)
        except ValueError as error:
            self._refuse(request, sender, str(error))
            return
        submission = Submission(
            sha256,
            Path(),
            b"",
            "mqtt",
            time.time(),
            response_topic=response_topic,
            correlation=correlation,
        )
        if self._ledger.submissions.request_again(
            sha256, submission, self._service.serving.bundle.bundle_id
        ):
            self._service.wake()
            return
        found = self._spool.hash_in_place(path)
        if found == sha256:
            with self._spool.claiming(path, may_copy=True) as claim:
                self._record(claim, sender)
        elif patient():  # its sender may still be writing it
            raise NotReadyError
        else:  # a file under another hash is left to the folder, which has its own rules
            self._refuse(
                request,
                sender,
                f"the file's sha256 is {found}, the request says {sha256}"
                if found
                else "no such file in the inbox",
            )

    def _take_up_orphans(self) -> None:
        """At start: finish what a kill left half done in the spool and in the inbox."""
        arrivals = self._ledger.submissions
        lost = (
            self._ledger.restore.why_empty is not None
        )  # then inbox and broker may have been told long ago
        for path in self._spool.orphans():
            self._health.beat()
            if arrivals.owns(path):
                continue
            if arrivals.adopt(path):
                log.info("event=lost_file_found")
            elif arrivals.knows_claim(path.name) or not (lost or path.name.startswith(RENAMED)):
                path.unlink(missing_ok=True)  # a spare, or inbox or broker still has it
            else:
                log.info("event=orphan_taken_up")
                self._record(self._spool.rehash(path), Sender("folder"))
        for claim, path, fingerprint in arrivals.origins():
            self._remove_origin(claim, path, fingerprint)
        if lost:
            self._ledger.restore.finish()
        self._sorted = True

    def _take_again(self, path: Path, name: bytes) -> None:
        """Record a file of the spool anew, whose bytes are no longer those the ledger knew."""
        self._record(
            self._spool.rehash(path, name), Sender("folder", settled=False)
        )  # it was seen to change

    def _record(self, claim: Claim, sender: "Sender") -> None:
        """
        Make a submission durable; only then remove what else there is of it. Raises only if nothing
        was recorded.
        """
        submission = Submission(
            image_id=claim.image_id,
            path=claim.path,
            name=claim.name,
            source=sender.source,
            received_at=claim.received_at,
            settled=sender.settled,
            origin=claim.origin,
            response_topic=sender.response_topic,
            correlation=sender.correlation,
        )
        if (
            self._ledger.submissions.accept(submission, self._service.serving.bundle.bundle_id)
            != claim.path
        ):
            claim.path.unlink(missing_ok=True)
        if claim.origin is not None:
            self._remove_origin(claim.path.name, *claim.origin)
        self._health.count(f"received_{sender.source}")
        self._service.wake()

    def _refuse(self, request: bytes, sender: "Sender", why: str) -> None:
        """
        Answer a request that names no image: its own bytes stand in for the image, so the answer is
        as durable as any.
        """

        def refuse() -> None:  # between two images, so that no worker takes it first
            with self._spool.receiving(request) as claim:
                self._record(claim, sender)
            self._service.reject(claim.image_id, Reason.MISSING, why)

        answer = self._service.call(refuse)
        try:
            answer.result(timeout=REFUSE_S)
        except TimeoutError:
            if answer.cancel():
                msg = "stopping"
                raise Unavailable(msg) from None
            answer.result()

    def _in_inbox(self, name: str) -> Path:
        """Raises ValueError where the name leads out of the inbox, through a link or `..`."""
        inbox = self._settings.inbox.path.resolve()
        path = (inbox / name).parent.resolve() / Path(name).name
        if not path.is_relative_to(inbox) or path == inbox:
            msg = "no such file in the inbox"
            raise ValueError(msg)
        return path

    def _taken_before(self, path: Path) -> bool:
        """Whether this is what a copy left behind and we could not remove; then try once more."""
        for claim, origin, fingerprint in self._ledger.submissions.origins():
            if origin == path:
                return not self._remove_origin(claim, path, fingerprint) or not path.exists()
        return False

    def _remove_origin(self, claim: str, path: Path, fingerprint: Fingerprint) -> bool:
        """
        Remove what a copy left in the inbox; what cannot be done now is done at the next start.
        """
        removed = self._spool.remove_origin(path, fingerprint)
        try:
            if removed:
                self._ledger.submissions.origin_removed(claim)
        except Unavailable as error:
            log.warning('event=origin_not_noted why="%s"', error)
        if left := len(self._ledger.submissions.origins()):
            self._health.degrade(
                Cause.INBOX_UNDELETABLE,
                f"inbox: {left} files were taken and cannot be removed: check the folder's mode",
            )
        else:
            self._health.recover(Cause.INBOX_UNDELETABLE)
        return removed


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
