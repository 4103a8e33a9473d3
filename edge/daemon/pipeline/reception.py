"""The way in: bytes go into the spool, then a row into the ledger, and only then is anyone told."""

import hashlib
import logging
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from edge.config.settings import Settings
from edge.contract.exam_reference import exam_of_reference
from edge.contract.reference import NO_SUCH_FILE, parse_reference
from edge.daemon.intake import CLOSED, UNWATCHED
from edge.daemon.intake.candidates import SETTLED_AFTER
from edge.daemon.pipeline.admission import Admission, Sender
from edge.daemon.pipeline.exam_names import ExamNames
from edge.daemon.pipeline.examination import Parts, Refuse
from edge.daemon.pipeline.head_start import HeadStart
from edge.errors import FileTooLargeError, LockedError, NoRoomError, Unavailable
from edge.health import Cause, Health
from edge.storage.claim import Claim
from edge.storage.ledger.records import Reference, Request, Submission
from edge.storage.sizes import demand_size
from edge.system.files import NotReadyError

log = logging.getLogger(__name__)

REFUSE_S: Final = 10.0
"""Seconds that a refusal may wait for the dispatcher."""


class Recovering(Protocol):
    """The recovery at start, as far as the way in must know."""

    done: bool


class Reception:
    """
    The receiver of all intakes: takes what the sources bring.

    Args:
        parts: the shared objects.
        settings: limits and the inbox.
        admission: records claimed files.
        recovery: nothing is taken before it is done.
        head_start: is offered files while they are hashed.
        refuse: records a request and that it is refused.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        parts: Parts,
        settings: Settings,
        *,
        admission: Admission,
        recovery: Recovering,
        head_start: HeadStart,
        refuse: Refuse,
    ) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._model = parts.model
        self._tasks = parts.tasks
        self._exams = parts.exams
        self._settings = settings
        self._admission = admission
        self._recovery = recovery
        self._head_start = head_start
        self._refuse = refuse

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
            self._health.recover(Cause.SPACE_SHORT)  # nobody knows any more
            self._health.degrade(Cause.SPOOL_UNAVAILABLE, str(error))
            return False
        self._health.recover(Cause.SPOOL_UNAVAILABLE)
        if free < least:
            self._health.degrade(Cause.SPACE_SHORT, f"spool: {free} MiB free, intake needs {least}")
            return False
        self._health.recover(Cause.SPACE_SHORT)
        queries, most = self._ledger.queries, self._settings.spool.max_waiting
        # The first question is quick, and nearly always enough; an archive may be away for long.
        return queries.waiting() < most or queries.waiting_in(self._spool.claimed, most) < most

    def finish_taking(self) -> None:
        """See `Receiver`."""
        self._admission.originals.remove_left()

    def forget_gone(self, *, idle: bool) -> None:
        """See `Receiver`."""
        self._admission.originals.forget_gone(idle=idle)

    def take_file(self, path: Path, *, quiet: float) -> bool:
        """See `Receiver`."""
        gone = self._admission.originals.settle(path, quiet)
        if gone is not None:
            return gone
        demand_size(path, self._spool.most_mb)
        believed_done, settled = quiet >= SETTLED_AFTER, quiet == CLOSED
        # If its writer goes on, the worker might see another file than the ledger names.
        moved = self._head_start.offer if believed_done else lambda _: None
        exam = self._exams.of_file(path) if self._exams else None
        inbox = self._settings.inbox.path
        with self._spool.claiming(
            path, below=inbox, may_copy=believed_done, moved=moved, exam=exam
        ) as claim:
            self._admission.record(claim, Sender("folder", settled=settled))
        return settled or claim.origin is None

    def take_bytes(self, request: Request) -> None:
        """See `Receiver`."""
        if request.again and self._was_answered(_hash(request), request):
            return
        with self._spool.receiving(request.payload) as claim:
            self._admission.record(claim, _sender(self._exams, request, request.exam))

    def take_reference(
        self, request: Request, *, reading: AbstractContextManager[None] = UNWATCHED
    ) -> None:
        """See `Receiver`."""
        if request.again:
            if self._ledger.references.waits(request):
                return
            submission = _submission(_hash(request), _sender(self._exams, request))
            refusal_to_come = self._ledger.requests.answer_to_come(submission)
            if refusal_to_come:
                return
            if refusal_to_come is None:  # once one was told, the file may have come since
                with reading:
                    sha256 = _named_hash(request.payload)
                if sha256 is not None and self._was_answered(sha256, request):
                    return
        self._ledger.references.wait(request)

    def _was_answered(self, image_id: str, request: Request) -> bool:
        """Answer a request that is delivered once more as it was answered before, if it was."""
        sender = _sender(self._exams, request)
        known = self._ledger.requests.answered_before(_submission(image_id, sender))
        if known:
            self._tasks.wake()
        return known

    def references(self) -> list[Reference]:
        """See `Receiver`."""
        return self._ledger.references.waiting()

    def settle_reference(
        self,
        reference: Reference,
        *,
        patient: bool,
        reading: AbstractContextManager[None] = UNWATCHED,
    ) -> None:
        """See `Receiver`."""
        request = reference.request
        try:
            with reading:
                name, sha256 = parse_reference(request.payload)
                exam = _exam_of(request, self._health)
            sender = _sender(self._exams, request, exam)
            if not self._is_known(sha256, sender):
                self._take_named(name, sha256, sender, patient=patient)
        except ValueError as error:
            self.refuse_reference(request, str(error), reference)
        else:
            self.drop_reference(reference)

    def drop_reference(self, reference: Reference) -> None:
        """See `Receiver`."""
        self._ledger.references.settled(reference)

    def _take_named(self, name: str, sha256: str, sender: Sender, *, patient: bool) -> None:
        """
        Take the file of that name out of the inbox.

        Raises:
            NotReadyError: it may still come, or be let go.
            ValueError: there is no such file, or it cannot be taken.
        """
        path = self._in_inbox(name)
        try:
            found = self._spool.hash_in_place(path)
        except FileTooLargeError as error:
            raise ValueError(str(error)) from None
        if found == sha256:
            exam = self._exams.of_file(path) if self._exams else None
            inbox = self._settings.inbox.path.resolve()  # as `path` is
            try:
                with self._spool.claiming(path, below=inbox, may_copy=True, exam=exam) as claim:
                    self._admission.record(claim, sender)
            except (LockedError, NoRoomError, FileTooLargeError) as error:  # of this file alone
                if patient:
                    raise NotReadyError from None
                raise ValueError(str(error)) from None
        elif patient:  # its sender may still be writing it
            raise NotReadyError
        else:  # a file under another hash is left to the folder, which has its own rules
            why = f"the file's sha256 is {found}, the request says {sha256}"
            raise ValueError(why if found else NO_SUCH_FILE)

    def _is_known(self, sha256: str, sender: Sender) -> bool:
        """Record a request for bytes that are here already; False if they are not."""
        submission = _submission(sha256, sender)
        bundle_id = self._model.serving.bundle.bundle_id
        known = self._ledger.submissions.request_again(sha256, submission, bundle_id)
        if known:
            self._tasks.wake()
        return known

    def refuse_reference(
        self, request: Request, why: str, waiting: Reference | None = None
    ) -> None:
        """
        See `Receiver`.

        The request's own bytes stand in for the image, so the answer is as durable as any.
        """
        if request.again and self._was_answered(_hash(request), request):
            return

        def refuse() -> None:  # in the dispatcher's thread, which alone concludes and archives
            with self._spool.receiving(request.payload) as claim:
                sender = _sender(self._exams, request)
                self._admission.record(claim, sender, lambda it: self._refuse(it, why, waiting))

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
        try:
            inbox = self._settings.inbox.path.resolve()
            path = (inbox / name).parent.resolve() / Path(name).name
        except (OSError, RuntimeError):  # too long for the file system, or links in a circle
            raise ValueError(NO_SUCH_FILE) from None
        if not path.is_relative_to(inbox) or path == inbox:
            raise ValueError(NO_SUCH_FILE)
        return path


def _sender(names: ExamNames | None, request: Request, exam: str | None = None) -> Sender:
    """Say who asks; `exam` is the sender's own reference."""
    return Sender(
        "mqtt",
        response_topic=request.response_topic,
        correlation=request.correlation,
        exam=names.of_request(exam) if names else None,
    )


def _exam_of(request: Request, health: Health) -> str | None:
    """Read the exam that a reference names; one that is none is counted and not used."""
    try:
        return exam_of_reference(request.payload)
    except ValueError as error:  # a film waits for no exam
        log.warning('event=exam_reference_refused why="%s"', error)
        health.count("exam_references_refused")
        return None


def _submission(image_id: str, sender: Sender) -> Submission:
    """Make a submission of bytes that need not come again."""
    return sender.submission(Claim(Path(), b"", image_id))


def _hash(request: Request) -> str:
    return hashlib.sha256(request.payload).hexdigest()


def _named_hash(request: bytes) -> str | None:
    """Read the hash that a reference gives; None if it gives none."""
    try:
        return parse_reference(request)[1]
    except ValueError:
        return None
