"""
The server: accepts connections, and has a thread see each association through to its end.

The loop that accepts does nothing else: TLS shakes hands in the connection's own thread. That
thread outlives pynetdicom's two: a connection counts, and unfinished objects are there, until both
have ended.
"""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Any, Final

from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from edge.config.dicom import Dicom
from edge.config.listen import read_listen
from edge.contract.receiver import Aborted, TurnedAway
from edge.dicom.receive.dimse import Dimse
from edge.dicom.receive.door import CALLING, Door, address_of
from edge.dicom.receive.framing import Framing, PlainSocket, Told, secured
from edge.dicom.receive.inbox import Inbox
from edge.dicom.receive.journal import Ending, Journal
from edge.dicom.receive.limits import REQUEST_S, Limits
from edge.dicom.receive.part10 import IMPLEMENTATION, IMPLEMENTATION_UID
from edge.dicom.receive.services import STORAGE, SYNTAXES, UNCOMPRESSED, VERIFICATION

STORED: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
MOST: Final = 10_000
"""Associations that pynetdicom allows."""
UNSAFE: Final = (TurnedAway.NO_CERTIFICATE, "no TLS with a certificate of the authority")
BROKEN: Final = (TurnedAway.FAILED, "the connection broke")
LOOK_S: Final = 0.1
"""Seconds between looks at an association that goes on."""


@dataclass(frozen=True, slots=True)
class House:
    """All that associations share."""

    settings: Dicom
    inbox: Inbox
    door: Door
    journal: Journal
    context: ssl.SSLContext | None
    """TLS; None if it is off."""


class Server(ThreadedAssociationServer):
    """
    Accepts connections and closes those that the door keeps out.

    Args:
        ae: pynetdicom's settings.
        handlers: of pynetdicom's events.
        house: what associations share.

    Raises:
        OSError: the address is taken, or none of this machine's.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, ae: AE, handlers: list[evt.EventHandlerType], house: House) -> None:
        self.house = house
        self.turned = time.monotonic()
        """Monotonic time of the accepting loop's last turn, in seconds."""
        self._begun = False
        address = read_listen(house.settings.listen)
        super().__init__(
            ae,
            address,
            ae.ae_title,
            ae.supported_contexts,
            evt_handlers=handlers,
            request_handler=Handler,
        )

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accept until `shutdown`."""
        self._begun = True
        super().serve_forever(poll_interval)

    def shutdown(self) -> None:
        """Accept no more, also if a signal came before the loop began, whose end none would see."""
        if self._begun:
            BaseServer.shutdown(self)
        self.server_close()

    def service_actions(self) -> None:
        """Stamp the loop."""
        self.turned = time.monotonic()
        super().service_actions()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        listening: Any = self.socket
        accepted, peer = listening.accept()
        return accepted, peer

    def verify_request(self, _request: object, client_address: Any) -> bool:  # noqa: ANN401 - theirs
        """Ask the door."""
        return self.house.door.enter(address_of(client_address[0]))

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        """Begin a thread for a connection."""
        try:
            super().process_request(request, client_address)
        except BaseException:  # there may be no more threads
            self.house.door.leave(address_of(client_address[0]))
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """See a connection through to its end."""
        peer = address_of(client_address[0])
        try:
            request = self._framed(request, Ending(self.house.journal, str(peer)))
            self.finish_request(request, client_address)
        except OSError as error:
            cause, why = UNSAFE if is_of_tls(error) else BROKEN
            self.house.journal.tell(
                "connection_refused", cause, str(peer), why, error=type(error).__name__
            )
        finally:
            self.shutdown_request(request)
            self.house.door.leave(peer)

    def handle_error(self, _request: object, client_address: Any) -> None:  # noqa: ANN401 - theirs
        """Tell that a connection got no thread."""
        peer = str(address_of(client_address[0]))
        why = "no thread could be begun for it"
        self.house.journal.tell("connection_failed", TurnedAway.FAILED, peer, why)

    def _framed(self, accepted: socket.socket, violated: Told) -> Any:  # noqa: ANN401
        context = self.house.context
        framed = secured(accepted, context) if context else PlainSocket.of(accepted)
        framed.framing = Framing(self.house.settings.max_pdu, violated)
        return framed


class Handler(RequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        """Serve until both of pynetdicom's threads have ended."""
        house = self.server.house
        association = self._create_association()
        violated = self.request.framing.violated
        dimse = Dimse(association, house.inbox, violated)
        association.dimse = dimse
        association.start()
        limits = Limits(house.settings, association, dimse, self._hang_up, time.monotonic())
        dul = association.dul
        while association.is_alive() and (dul.ident is None or dul.is_alive()):
            association.join(LOOK_S)
            limits.look(time.monotonic())
        # without its other half it would wait for a request until REQUEST_S is over
        dul.to_user_queue.put(None)
        association.join()
        dul.join(REQUEST_S)
        if dul.is_alive():  # pynetdicom failed at the request, and no timer of its own runs
            violated(Aborted.FAILED, "its request cannot be answered")
            dul.kill_dul()
            self._hang_up()
        dul.join()
        dimse.close()

    def _hang_up(self) -> None:
        """End the connection below TLS, whose other threads may be at work."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.request, socket.SHUT_RDWR)


def is_of_tls(error: OSError) -> bool:
    """Say if TLS could not be agreed upon; not if the peer only connected and hung up."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)


def make_server(house: House) -> Server:
    """
    Listen, and accept nothing yet.

    Raises:
        OSError: the address is taken, or none of this machine's.
    """
    settings = house.settings
    ae = AE(settings.aet)
    ae.implementation_class_uid = IMPLEMENTATION_UID
    ae.implementation_version_name = IMPLEMENTATION
    ae.require_called_aet = True
    ae.require_calling_aet = [caller.aet for caller in settings.allowed]
    ae.maximum_associations = MOST  # the door counts them
    ae.maximum_pdu_size = settings.max_pdu
    ae.acse_timeout = REQUEST_S
    ae.dimse_timeout = ae.network_timeout = settings.idle_s
    ae.add_supported_context(VERIFICATION, list(UNCOMPRESSED))
    for sop_class in STORAGE:
        ae.add_supported_context(sop_class, list(SYNTAXES))
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_REQUESTED, _requested, [house]),
        (evt.EVT_C_STORE, _stored, [house]),
    ]
    return Server(ae, handlers, house)


def _requested(event: Event, house: House) -> None:
    """Refuse an association unless the door lets it in."""
    association = event.assoc
    try:
        request: Any = association.requestor.primitive
        refusal = house.door.refusal(
            address_of(association.requestor.address),
            request.calling_ae_title,
            request.called_ae_title,
        )
    except Exception:  # noqa: BLE001 - pynetdicom would go on: whatever fails, nobody comes in
        refusal = CALLING
    if refusal is not None:
        association.acse.send_reject(*refusal.code)
        association.kill()  # once the answer is sent


def _stored(event: Event, house: House) -> int:
    """Put an object into the inbox; returns the status for its sender."""
    store: Any = event.request
    peer = str(address_of(event.assoc.requestor.address))
    found = store.incoming.finish()
    if found is None:
        house.journal.took(peer, store.incoming.length)
        return STORED
    house.journal.tell("object_refused", found.cause, peer, found.why)
    return OUT_OF_RESOURCES
