"""The thread that connects to the broker, and connects again whenever the connection ends."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from edge.health import Cause, Health
from edge.mqtt.backoff import Backoff, Ended
from edge.mqtt.connection import Connection, Protocol, disconnect
from edge.mqtt.options import Options, connect_arguments, make_client
from edge.mqtt.subscriptions import Subscriptions
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "broker"
CONNECT_S: Final = 10.0
"""The time that a broker may take to answer CONNECT, in seconds."""


class Reconnector(Loop):
    """
    The thread that keeps a connection up.

    Args:
        options: the facts that every connection begins with.
        health: is told when the broker is away.
        subscriptions: begun on each new connection, and given its messages.
    """

    def __init__(self, options: Options, health: Health, subscriptions: Subscriptions) -> None:
        super().__init__(LOOP, health)
        self._options = options
        self._subscriptions = subscriptions
        self._backoff = Backoff()
        self._pause_s = 0.0
        self.greeters: list[Callable[[], None]] = []
        """Called after each successful connection; they only wake others."""
        self.connection: Connection | None = None
        """The present connection; None while there is none."""

    @property
    def stopping(self) -> threading.Event:
        """Set once the connection is not wanted any more."""
        return self._stop

    @property
    def protocol(self) -> Protocol:
        """The version of the present connection, or of the next attempt."""
        return self._backoff.protocol

    def wake(self) -> None:
        """End the present connection in order."""
        connection = self.connection
        if connection is not None:
            connection.client.disconnect()

    def turn(self) -> None:
        """Make one connection, and choose the pause before the next one when it has ended."""
        started = time.monotonic()
        ended = self._connect_once()
        self._pause_s = self._backoff.after(ended, time.monotonic() - started)
        self._health.beat()  # a pause is shorter than a loop may be silent

    def _rest_s(self) -> float:
        return self._pause_s

    def _connect_once(self) -> Ended:
        """Make one connection, and return when it has ended."""
        settings = self._options.settings
        connection = Connection(
            make_client(self._options, self.protocol),
            self.protocol,
            self._subscriptions.dispatch,
            ack_s=settings.ack_s,
            beat=self._health.beat,
        )
        try:
            connection.client.connect(
                settings.host,
                settings.port,
                settings.keepalive_s,
                **connect_arguments(self._options, self.protocol),
            )
        except (OSError, ValueError) as error:
            self._report_away(getattr(error, "strerror", None) or type(error).__name__)
            connection.release()
            return Ended.UNREACHABLE
        connection.client.loop_start()
        try:
            return self._stay(connection)
        finally:
            self.connection = None
            connection.end()
            disconnect(connection.client)
            connection.release()

    def _stay(self, connection: Connection) -> Ended:
        """Wait for CONNACK, and then for the end of the connection."""
        deadline = time.monotonic() + CONNECT_S
        while not connection.answered.wait(0.2):
            if connection.ended.is_set():
                self._report_away("closed the connection before CONNACK")
                return Ended.CLOSED_UNANSWERED
            if self._stop.is_set() or time.monotonic() > deadline:
                self._report_away("no CONNACK")
                return Ended.UNREACHABLE
        reason = connection.reason
        if reason is None or reason.is_failure:
            self._report_away(str(reason))
            unsupported = str(reason) == "Unsupported protocol version"
            return Ended.UNSUPPORTED if unsupported else Ended.REFUSED
        self._welcome(connection)
        while not connection.ended.wait(1.0) and not self._stop.is_set():
            self._health.stamp(LOOP)
        if not self._stop.is_set():
            self._report_away("connection lost")
        return Ended.LASTED

    def _welcome(self, connection: Connection) -> None:
        log.info("event=broker_connected protocol=%s", self.protocol)
        self._subscriptions.begin(connection.client)
        self.connection = connection
        self._health.recover(Cause.BROKER_AWAY)
        for greet in self.greeters:
            greet()

    def _report_away(self, why: str) -> None:
        self._health.degrade(Cause.BROKER_AWAY, f"broker: {why}")
        log.warning('event=broker_away why="%s"', why)
