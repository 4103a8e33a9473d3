"""The one way in: bytes into the spool, a row into the ledger, and only then is anyone told."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.errors import Reason, Unavailable
from edge.ledger.images import Arrival, Source
from edge.service import Parts, Service
from edge.settings import Settings
from edge.spool import FROM_MQTT, Claim, NotReadyError

log = logging.getLogger(__name__)

HEX_DIGITS: Final = 64
REFUSE_S: Final = 10.0


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
        service.take_again = self._take_again

    def has_room(self) -> bool:
        """Below the limits of queue and disk."""
        free, least = self._spool.free_mb(), self._settings.spool.min_free_mb
        if free < least:
            self._health.degrade("space", f"spool: {free} MiB free, intake needs {least}")
            return False
        self._health.recover("space")
        return self._ledger.queries.waiting() < self._settings.spool.max_waiting

    def take_file(self, path: Path, *, settled: bool, may_copy: bool) -> None:
        """See Receiver."""
        if self._taken_before(path):
            return
        claim = self._spool.claim(path, may_copy=may_copy)
        try:
            self._record(claim, "folder", settled=settled)
        except Unavailable:
            self._spool.give_back(claim, path)
            raise

    def take_bytes(self, data: bytes, response_topic: str | None, correlation: bytes | None) -> None:
        """See Receiver."""
        claim = self._spool.receive(data)
        self._record_request(claim, response_topic, correlation)

    def take_reference(self, request: bytes, response_topic: str | None, correlation: bytes | None, patient: Callable[[], bool]) -> None:
        """See Receiver."""
        try:
            name, sha256 = _parse(request)
        except ValueError as error:
            self._refuse(request, response_topic, correlation, str(error))
            return
        arrival = Arrival(sha256, Path(), b"", "mqtt", time.time(), response_topic=response_topic, correlation=correlation)
        if self._ledger.images.request_again(sha256, arrival, self._service.serving.bundle.bundle_id):
            self._service.wake()
            return
        try:
            claim = self._spool.claim(self._in_inbox(name), may_copy=True)
        except (NotReadyError, ValueError) as error:
            if patient() and isinstance(error, NotReadyError):
                msg = "a referenced file is not there yet"
                raise Unavailable(msg) from None
            self._refuse(request, response_topic, correlation, "no such file in the inbox")
            return
        if claim.image_id == sha256:
            self._record_request(claim, response_topic, correlation)
        else:  # a good file under the wrong hash: it is examined for `result`, the requester is told
            self._record(claim, "folder", settled=True)
            self._refuse(request, response_topic, correlation, f"the file's sha256 is {claim.image_id}, the request says {sha256}")

    def take_up_orphans(self) -> None:
        """At start: finish what a kill left half done in the spool and in the inbox."""
        for path in self._spool.orphans():
            if self._ledger.images.owns(path):
                continue
            if self._ledger.images.knows_claim(path.name) or path.name.startswith(FROM_MQTT):
                self._spool.drop(path)  # a spare copy, or a request that was never acknowledged: the broker has it
            else:
                log.info("event=orphan_taken_up")
                self._record(self._spool.rehash(path, b"recovered"), "folder", settled=True)
        for claim, path, fingerprint in self._ledger.images.origins():
            self._remove_origin(claim, path, fingerprint)

    def _take_again(self, path: Path, name: bytes) -> None:
        """Record a file of the spool anew, whose bytes are no longer those the ledger knew."""
        self._record(self._spool.rehash(path, name), "folder", settled=True)

    def _record_request(self, claim: Claim, response_topic: str | None, correlation: bytes | None) -> None:
        try:
            self._record(claim, "mqtt", settled=True, response_topic=response_topic, correlation=correlation)
        except Unavailable:
            if claim.origin is None and claim.path.name.startswith(FROM_MQTT):
                self._spool.drop(claim.path)
            raise

    def _record(
        self, claim: Claim, source: Source, *, settled: bool, response_topic: str | None = None, correlation: bytes | None = None
    ) -> None:
        arrival = Arrival(
            image_id=claim.image_id,
            path=claim.path,
            name=claim.name,
            source=source,
            received_at=time.time(),
            settled=settled,
            origin=claim.origin,
            response_topic=response_topic,
            correlation=correlation,
        )
        if self._ledger.images.accept(arrival, self._service.serving.bundle.bundle_id) != claim.path:
            self._spool.drop(claim.path)
        if claim.origin is not None:
            self._remove_origin(claim.path.name, *claim.origin)
        self._health.count(f"received_{source}")
        self._service.wake()

    def _refuse(self, request: bytes, response_topic: str | None, correlation: bytes | None, why: str) -> None:
        """Answer a request that names no image: its own bytes stand in for the image, so the answer is as durable as any."""

        def refuse() -> None:  # between two images, so that no worker takes it first
            claim = self._spool.receive(request)
            self._record_request(claim, response_topic, correlation)
            self._service.reject(claim.image_id, Reason.MISSING, why)

        try:
            self._service.call(refuse).result(timeout=REFUSE_S)
        except TimeoutError:
            msg = "stopping"
            raise Unavailable(msg) from None

    def _in_inbox(self, name: str) -> Path:
        inbox = self._settings.inbox.path.resolve()
        path = (inbox / name).parent.resolve() / Path(name).name
        if not path.is_relative_to(inbox) or path == inbox:
            msg = "the name leaves the inbox"
            raise ValueError(msg)
        return path

    def _taken_before(self, path: Path) -> bool:
        """Whether this is what a copy left behind and we could not remove; then try once more."""
        for claim, origin, fingerprint in self._ledger.images.origins():
            if origin == path:
                return not self._remove_origin(claim, path, fingerprint) or not path.exists()
        return False

    def _remove_origin(self, claim: str, path: Path, fingerprint: tuple[int, int, int, int]) -> bool:
        removed = self._spool.remove_origin(path, fingerprint)
        if removed:
            self._ledger.images.origin_removed(claim)
        left = len(self._ledger.images.origins())
        if left:
            self._health.degrade("inbox-undeletable", f"inbox: {left} files were taken and cannot be removed: check the folder's mode")
        else:
            self._health.recover("inbox-undeletable")
        return removed


def _parse(request: bytes) -> tuple[str, str]:
    try:
        fields = json.loads(request)
    except ValueError:
        msg = 'the request is not JSON, expected {"name": "...", "sha256": "..."}'
        raise ValueError(msg) from None
    name, sha256 = (fields.get("name"), fields.get("sha256")) if isinstance(fields, dict) else (None, None)
    if not isinstance(name, str) or not name or "\0" in name:
        msg = "the request has no name, expected that of a file in the inbox"
        raise ValueError(msg)
    if not isinstance(sha256, str) or len(sha256) != HEX_DIGITS or not set(sha256.lower()) <= set("0123456789abcdef"):
        msg = "the request has no sha256, expected 64 hex digits"
        raise ValueError(msg)
    return name, sha256.lower()
