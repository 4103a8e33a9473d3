"""
Requests from the broker: the image itself, or its name in the inbox.

A request is acknowledged once the ledger has it, or once it is refused or given up, and none ends
the loop. What waits here at QoS 1 waits at the broker too, which bounds its number; at QoS 0 the
broker forgets it, so that a budget of bytes bounds it, and a stop loses it.
"""

import dataclasses
import functools
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from edge.contract.exam_reference import exam_of_properties
from edge.contract.limits import QOS_0_BYTES, REFERENCE_BYTES
from edge.daemon.intake import Receiver
from edge.daemon.intake.suspects import ENDED_THE_DAEMON, Suspects, key_of
from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.topics import Topics, why_not_answered
from edge.storage.ledger.records import Request
from edge.system.threads import Loop, note_failure

log = logging.getLogger(__name__)

LOOP: Final = "intake-mqtt"
RETRY_S: Final = 0.5
IMAGE_TRIES: Final = 8
"""Daemons that may end with an image in hand: its bytes are only stored and hashed."""


@dataclass(frozen=True, slots=True)
class Held:
    """The requests in memory."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class _Arrival:
    """A request in memory."""

    incoming: Incoming
    by_reference: bool

    def lapsed(self) -> bool:
        """Tell if the broker delivers the request again."""
        return self.incoming.qos > 0 and self.incoming.stale()


class MqttIntake(Loop):
    """Subscribes `request/image` and `request/ref`, and takes requests in the order they came."""

    def __init__(  # noqa: PLR0913 - each is a fact of another origin
        self,
        broker: MqttClient,
        receiver: Receiver,
        health: Health,
        suspects: Suspects,
        *,
        wake_references: Callable[[], None],
        topics: Topics,
        response_prefix: str,
        shared: tuple[str, str] | None,
    ) -> None:
        super().__init__(LOOP, health)
        self._receiver = receiver
        self._suspects = suspects
        self._wake_references = wake_references
        self._response_prefix = response_prefix
        self._queue: queue.Queue[_Arrival | None] = queue.Queue()
        self._counting = threading.Lock()
        self._held = Held(0, 0)
        self._unpromised = 0
        """Bytes in memory that came at QoS 0."""
        enqueue = functools.partial(self._enqueue, by_reference=False)
        broker.subscribe(topics.request_image, enqueue)
        broker.subscribe(topics.request_ref, functools.partial(self._enqueue, by_reference=True))
        if shared is not None:
            group, topic = shared
            broker.subscribe(topic, enqueue, group=group)

    def held(self) -> Held:
        """Count the requests in memory, and their bytes; from any thread."""
        return self._held

    def wake(self) -> None:
        """End the wait for a request; what is not acknowledged stays with the broker."""
        self._queue.put(None)

    def turn(self) -> None:
        """Take the next request, if one comes within a second."""
        try:
            arrival = self._queue.get(timeout=1.0)
        except queue.Empty:
            return
        if arrival is None:
            return
        try:
            self._take_until_taken(arrival)
        finally:
            self._count(arrival.incoming, -1)

    def last_turn(self) -> None:
        """Count the requests that nobody will deliver again."""
        lost = 0
        while not self._queue.empty():
            arrival = self._queue.get()
            lost += arrival is not None and arrival.incoming.qos == 0
        self._drop(lost, "the daemon ends")

    def _enqueue(self, incoming: Incoming, *, by_reference: bool) -> None:
        """Keep a request until it is its turn. In paho's thread."""
        if incoming.qos == 0 and self._unpromised + len(incoming.payload) > QOS_0_BYTES:
            self._drop(1, "too many bytes wait that came at QoS 0")
        else:
            self._count(incoming, 1)
            self._queue.put(_Arrival(incoming, by_reference))

    def _count(self, incoming: Incoming, sign: int) -> None:
        size = sign * len(incoming.payload)
        with self._counting:
            self._held = Held(self._held.requests + sign, self._held.bytes + size)
            self._unpromised += size if incoming.qos == 0 else 0

    def _drop(self, count: int, why: str) -> None:
        if count:
            log.warning('event=requests_dropped count=%d why="%s"', count, why)
            self._health.count("requests_dropped", count)

    def _take_until_taken(self, arrival: _Arrival) -> None:
        """
        Hold a request back until there is room, and with it those behind it.

        The broker waits for our PUBACK.
        """
        while not arrival.lapsed():
            self._health.beat()
            if self._stop.is_set():
                self._drop(arrival.incoming.qos == 0, "the daemon ends")
                return
            try:
                if self._receiver.has_room():
                    self._take(arrival)
                    self._health.recover(Cause.REQUESTS_WAIT)
                    arrival.incoming.acknowledge()
                    return
            except (Unavailable, OSError, MemoryError) as error:
                why = str(error) if isinstance(error, Unavailable) else _name(error)
                self._health.degrade(Cause.REQUESTS_WAIT, f"requests wait at the broker: {why}")
            self._stop.wait(RETRY_S)

    def _take(self, arrival: _Arrival) -> None:
        """
        Take a request, or give it up.

        Raises:
            Unavailable: disk or ledger do not take it now.
            OSError: the same, as nobody foresaw.
            MemoryError: there is too little memory for it now.
            StateDamagedError: the ledger is damaged.
        """
        incoming = arrival.incoming
        if incoming.retained:
            log.warning("event=retained_request_ignored")
            return
        key = key_of(incoming.topic, incoming.payload, incoming.correlation)
        try:
            ends = self._suspects.ends(key)
            if arrival.by_reference and ends:
                self._receiver.refuse_reference(self._request(incoming), ENDED_THE_DAEMON)
            elif ends >= IMAGE_TRIES:
                self._give_up(ENDED_THE_DAEMON)
            else:
                self._hand_on(arrival, self._suspects.in_hand(LOOP, key))
        except (Unavailable, OSError, MemoryError, StateDamagedError):
            raise
        except Exception as error:  # noqa: BLE001 - one request must not hold up the others
            self._give_up(note_failure("request_failed", error))

    def _hand_on(self, arrival: _Arrival, in_hand: AbstractContextManager[None]) -> None:
        request = self._request(arrival.incoming)
        if not arrival.by_reference:
            with in_hand:
                self._take_image(request, arrival.incoming)
        elif len(request.payload) > REFERENCE_BYTES:
            why = (
                f"the request has {len(request.payload)} bytes, expected {REFERENCE_BYTES} at most"
            )
            self._receiver.refuse_reference(request, why)
        else:
            self._receiver.take_reference(request, reading=in_hand)
            self._wake_references()

    def _take_image(self, request: Request, incoming: Incoming) -> None:
        try:
            exam = exam_of_properties(incoming.user)
        except ValueError as error:  # a film waits for no exam
            log.warning('event=exam_reference_refused why="%s"', error)
            self._health.count("exam_references_refused")
            exam = None
        self._receiver.take_bytes(dataclasses.replace(request, exam=exam))

    def _request(self, incoming: Incoming) -> Request:
        topic = self._allowed(incoming.response_topic)
        return Request(incoming.payload, topic, incoming.correlation, incoming.again)

    def _give_up(self, why: str) -> None:
        log.error('event=request_given_up why="%s"', why)
        self._health.count("requests_given_up")

    def _allowed(self, topic: str | None) -> str | None:
        """Return a response topic that we may publish to; if not, the answer goes to `result`."""
        if topic is None:
            return None
        why = why_not_answered(topic, self._response_prefix)
        if why is not None:
            log.warning('event=response_topic_refused why="%s"', why)
            self._health.count("response_topics_refused")
            return None
        return topic


def _name(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
