"""
Messages of one association, from fragments to requests, with the data set on its way to the disk.

pynetdicom's own provider keeps a whole object in memory and obeys every command of DIMSE. This one
knows C-ECHO and C-STORE, and limits what a peer can make it keep.
"""

import threading
import time
from io import BytesIO
from typing import Any, Final

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu_primitives import P_DATA

from edge.contract.receiver import Aborted
from edge.dicom.receive.command import ECHO, STORE, Command, ViolationError, parse
from edge.dicom.receive.framing import Told
from edge.dicom.receive.inbox import Inbox, Incoming
from edge.dicom.receive.part10 import head

MOST_COMMAND: Final = 2**14
"""Bytes of a command set."""
MOST_UNANSWERED: Final = 8
"""Requests that wait for their answer; a sender without asynchronous operations has one."""
OF_COMMAND: Final = 1
LAST: Final = 2
"""Bits of a fragment's first byte (PS3.8, E.2)."""
PDU_REFUSED: Final = "Evt19"
"""The event at which pynetdicom aborts an association (PS3.8, 9.2: invalid PDU)."""


class Store(C_STORE):
    """A request to store the object that `incoming` has."""

    incoming: Incoming


class Dimse(DIMSEServiceProvider):
    """
    The messages of an association.

    Args:
        association: it is aborted if its peer breaks a rule.
        inbox: the destination of objects.
        violated: called with the cause of an abort, and the reason in words of ours.
    """

    def __init__(self, association: Association, inbox: Inbox, violated: Told) -> None:
        super().__init__(association)
        self._inbox, self._violated = inbox, violated
        self._context: int | None = None
        self._command = bytearray()
        self._request: Command | None = None
        self._incoming: Incoming | None = None
        self._unfinished: list[Incoming] = []
        self._over = False
        self._counting = threading.Lock()
        self.begun: float | None = None
        """Monotonic time at which the object that comes began, in seconds; None if none comes."""
        self.unanswered = 0
        """Requests that came whole and have no answer yet."""

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of a PDU."""
        try:
            for context, fragment in primitive.presentation_data_value_list:
                if not self._over:
                    self._take(context, bytes(fragment))
        except ViolationError as error:
            self.end(error.cause, str(error))

    def send_msg(self, primitive: Any, context_id: int) -> None:  # noqa: ANN401 - theirs
        """Answer a request."""
        super().send_msg(primitive, context_id)
        with self._counting:
            self.unanswered -= 1

    def end(self, cause: Aborted, why: str) -> None:
        """Abort the association, for a reason in words of ours; from any thread."""
        self._over = True
        self._violated(cause, why)
        self.close()
        self.dul.event_queue.put(PDU_REFUSED)

    def close(self) -> None:
        """Remove what is not in the inbox; once no more comes."""
        if self._incoming is not None and self._incoming.is_open and not self._over:
            self._violated(Aborted.SENDER_GONE, "the sender is gone amid an object")
        for incoming in self._unfinished:
            incoming.discard()

    def _take(self, context: int, fragment: bytes) -> None:
        if not fragment or self._context not in (None, context):
            msg = "a fragment that is empty or of another context than its message"
            raise ViolationError(msg)
        self._context = context
        of_command = bool(fragment[0] & OF_COMMAND)
        if of_command == (self._request is not None):
            msg = "a command amid a data set, or a data set without a command"
            raise ViolationError(msg)
        last = bool(fragment[0] & LAST)
        if of_command:
            self._take_command(context, fragment[1:], last=last)
        elif self._request is not None and self._incoming is not None:
            self._incoming.write(fragment[1:])
            if last:
                self._give_store(context, self._request, self._incoming)

    def _take_command(self, context: int, data: bytes, *, last: bool) -> None:
        self._command += data
        if len(self._command) > MOST_COMMAND:
            msg = f"a command of more than {MOST_COMMAND} bytes"
            raise ViolationError(msg)
        if last:
            command = parse(bytes(self._command))
            self._command.clear()
            self._begin(context, command)

    def _begin(self, context: int, command: Command) -> None:
        syntax = self._syntax_of(context, command)
        if self.msg_queue.qsize() >= MOST_UNANSWERED:
            msg = f"more than {MOST_UNANSWERED} requests that wait for an answer"
            raise ViolationError(msg)
        if command.field == ECHO and not command.has_data:
            self._give_echo(context, command)
        elif command.field == STORE and command.has_data and command.instance:
            self._request, self.begun = command, time.monotonic()
            self._incoming = Incoming(
                self._inbox, head(command.sop_class, command.instance, syntax)
            )
            self._unfinished = [one for one in self._unfinished if one.is_open]
            self._unfinished.append(self._incoming)
        else:
            msg = f"command {command.field:04X}, expected C-ECHO, or C-STORE with a data set"
            raise ViolationError(msg)

    def _syntax_of(self, context: int, command: Command) -> str:
        for accepted in self.assoc.accepted_contexts:
            if accepted.context_id == context and accepted.abstract_syntax == command.sop_class:
                return str(accepted.transfer_syntax[0])
        msg = "a request of another SOP class than its context was accepted for"
        raise ViolationError(msg)

    def _give_echo(self, context: int, command: Command) -> None:
        echo = C_ECHO()
        echo.MessageID = command.message_id
        echo.AffectedSOPClassUID = command.sop_class
        self._give(context, echo)

    def _give_store(self, context: int, command: Command, incoming: Incoming) -> None:
        store = Store()
        store.MessageID = command.message_id
        store.AffectedSOPClassUID = command.sop_class
        store.AffectedSOPInstanceUID = command.instance
        store.Priority = 0
        store.DataSet = BytesIO()  # pynetdicom wants one; the object's is on the disk
        store.incoming = incoming
        self._request = self._incoming = self.begun = None
        self._give(context, store)

    def _give(self, context: int, message: C_ECHO | C_STORE) -> None:
        self._context = None
        with self._counting:
            self.unanswered += 1
        self.msg_queue.put((context, message))
