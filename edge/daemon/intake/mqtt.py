"""
Requests from the broker: the image itself, or its name in the inbox.

A request is acknowledged only when the ledger has it.
"""

import logging
import queue
import time
from typing import Final

from edge.daemon.intake import Receiver
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.topics import Topics, is_own
from edge.system.files import NotReadyError
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "intake-mqtt"
RETRY_S: Final = 0.5
REFERENCE_S: Final = 10.0
"""Seconds for which a reference waits for its file."""


class MqttIntake(Loop):
    """Subscribes `request/image` and `request/ref`, and takes requests in the order they came."""

    def __init__(  # noqa: PLR0913 - each is a fact of another origin
        self,
        broker: MqttClient,
        receiver: Receiver,
        health: Health,
        *,
        topics: Topics,
        response_prefix: str,
        shared: tuple[str, str] | None,
    ) -> None:
        super().__init__(LOOP, health)
        self._receiver = receiver
        self._response_prefix = response_prefix
        self._queue: queue.Queue[tuple[bool, Incoming] | None] = queue.Queue()
        broker.subscribe(topics.request_image, lambda incoming: self._queue.put((False, incoming)))
        broker.subscribe(topics.request_ref, lambda incoming: self._queue.put((True, incoming)))
        if shared is not None:
            group, topic = shared
            broker.subscribe(
                topic, lambda incoming: self._queue.put((False, incoming)), group=group
            )

    def wake(self) -> None:
        """End the wait for a request; what is not acknowledged stays with the broker."""
        self._queue.put(None)

    def turn(self) -> None:
        """Take the next request, if one comes within a second."""
        try:
            request = self._queue.get(timeout=1.0)
        except queue.Empty:
            return
        if request is not None:
            by_reference, incoming = request
            self._take_until_taken(incoming, by_reference=by_reference)

    def _take_until_taken(self, incoming: Incoming, *, by_reference: bool) -> None:
        """
        Hold a request back until there is room, and with it those behind it.

        The broker waits for our PUBACK.
        """
        deadline = time.monotonic() + REFERENCE_S
        while not self._stop.is_set() and not incoming.stale():
            self._health.beat()
            try:
                if self._receiver.has_room():
                    self._take(incoming, by_reference=by_reference, deadline=deadline)
                    self._health.recover(Cause.REQUESTS_WAIT)
                    incoming.acknowledge()
                    return
            except NotReadyError:
                log.debug("event=reference_waits_for_its_file")
            except Unavailable as error:
                self._health.degrade(Cause.REQUESTS_WAIT, f"requests wait at the broker: {error}")
            self._stop.wait(RETRY_S)

    def _take(self, incoming: Incoming, *, by_reference: bool, deadline: float) -> None:
        if incoming.retained:
            log.warning("event=retained_request_ignored")
            return
        response_topic = self._allowed(incoming.response_topic)
        if by_reference:
            self._receiver.take_reference(
                incoming.payload,
                response_topic,
                incoming.correlation,
                patient=lambda: time.monotonic() < deadline,
            )
        else:
            self._receiver.take_bytes(incoming.payload, response_topic, incoming.correlation)

    def _allowed(self, topic: str | None) -> str | None:
        """Return a response topic that we may publish to; if not, the answer goes to `result`."""
        if topic is None:
            return None
        wild = not {"#", "+"}.isdisjoint(topic)
        if not topic.startswith(self._response_prefix) or is_own(topic) or wild:
            log.warning("event=response_topic_refused")
            self._health.count("response_topics_refused")
            return None
        return topic
