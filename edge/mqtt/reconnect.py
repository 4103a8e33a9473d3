"""The thread that connects to the broker, and connects again whenever the connection ends."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from edge.health import Cause, Health
from edge.mqtt import reasons
from edge.mqtt.backoff import Backoff, Ended
from edge.mqtt.connection import Connection, Protocol, disconnect
from edge.mqtt.guess import Gate, Proof, tries
from edge.mqtt.options import Options, connect_arguments, make_client
from edge.mqtt.spoken import Spoken
from edge.mqtt.subscriptions import Subscriptions
from edge.system import workarounds
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "broker"
CONNECT_S: Final = 10.0
"""The time that a broker may take to answer CONNECT, in seconds."""
FIXED: Final = {"5": Protocol.V5, "3.1.1": Protocol.V311}
"""The version by `[broker] protocol`; another value finds it out."""
TAKEN_OVER_S: Final = 10.0
"""The pause after another client took our place, in seconds: else the two chase each other."""
UNDISTURBED_S: Final = 60.0
"""The time that a connection lasts until nobody is taken to want our place, in seconds."""


class Reconnector(Loop):
    """
    The thread that keeps a connection up.

    Args:
        options: the facts that every connection begins with.
        health: is told when the broker is away.
        subscriptions: begun on each new connection, and given its messages.
        spoken: the brokers that have spoken MQTT 5.
    """

    def __init__(
        self, options: Options, health: Health, subscriptions: Subscriptions, spoken: Spoken
    ) -> None:
        super().__init__(LOOP, health)
        self._options = options
        self._subscriptions = subscriptions
        self._spoken = spoken
        where = (options.settings.host, options.settings.port)
        fixed = FIXED.get(options.settings.protocol)
        self._backoff = Backoff(fixed, spoke_5=spoken.knows(*where))
        self._proof = Proof(options, health.beat, self._stop, self._note_5)
        self._pause_s = 0.0
        self._taken_over = False
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

    @property
    def guessed(self) -> bool:
        """True if this version is a guess."""
        return self._backoff.guessed

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
        if self._taken_over:
            self._pause_s = max(self._pause_s, TAKEN_OVER_S)
        self._health.beat()  # a pause is shorter than a loop may be silent

    def _rest_s(self) -> float:
        return self._pause_s

    def _connect_once(self) -> Ended:
        """Make one connection, and return when it has ended."""
        settings = self._options.settings
        gate = Gate(self._subscriptions.dispatch)
        connection = Connection(
            make_client(self._options, self.protocol),
            self.protocol,
            gate,
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
        workarounds.outlive_packets(connection.client, self._note_dropped)
        connection.client.loop_start()
        try:
            return self._stay(connection, gate)
        finally:
            self.connection = None
            connection.end()
            disconnect(connection.client)
            connection.release()

    def _stay(self, connection: Connection, gate: Gate) -> Ended:
        """Wait for CONNACK, and then for the end of the connection."""
        deadline = time.monotonic() + CONNECT_S
        while not connection.answered.wait(0.2):
            if connection.ended.is_set():
                only_5 = self._backoff.spoke_5 and self.protocol is Protocol.V5
                spoke = "; it has spoken MQTT 5 before, so no other is tried" if only_5 else ""
                self._report_away(f"closed the connection before CONNACK{spoke}")
                return Ended.CLOSED_UNANSWERED
            if self._stop.is_set() or time.monotonic() > deadline:
                self._report_away("no CONNACK")
                return Ended.UNREACHABLE
        reason = connection.reason
        if reason is None or reason.is_failure:
            self._report_away(reasons.in_words(reason))
            unsupported = reason is not None and reason.value == reasons.UNSUPPORTED_VERSION
            return Ended.UNSUPPORTED if unsupported else Ended.REFUSED
        if self.guessed and not self._proof.holds(connection):
            return Ended.LASTED
        self._welcome(connection)
        gate.open()
        self._keep(connection)
        return Ended.LASTED

    def _note_5(self) -> None:
        self._backoff.spoke_5 = True
        self._spoken.note(self._options.settings.host, self._options.settings.port)

    def _keep(self, connection: Connection) -> None:
        """Wait for the end of a connection, and note why it ended."""
        until_undisturbed = time.monotonic() + UNDISTURBED_S
        pauses = tries()
        next_try = time.monotonic() + next(pauses)
        while not connection.ended.wait(1.0) and not self._stop.is_set():
            self._health.stamp(LOOP)
            if time.monotonic() > until_undisturbed:
                self._health.recover(Cause.CLIENT_ID_TAKEN)
            if self.guessed and time.monotonic() > next_try:
                next_try = time.monotonic() + next(pauses)
                if self._proof.refuted():
                    return
        if self._stop.is_set():
            return
        said = connection.farewell
        self._taken_over = said is not None and said.value == reasons.TAKEN_OVER
        self._report_away(reasons.in_words(said) if said else "connection lost")
        if self._taken_over:
            self._health.count("connections_taken_over")
            self._health.degrade(
                Cause.CLIENT_ID_TAKEN,
                "broker: another client with our client id takes our place again and again: "
                "are there two devices of one name?",
            )

    def _note_dropped(self, error: str) -> None:
        """Count a packet that paho could not read, or whose message nobody could take."""
        log.warning("event=ill_formed_packet error=%s", error)
        self._health.count("ill_formed_packets")

    def _welcome(self, connection: Connection) -> None:
        log.info("event=broker_connected protocol=%s guessed=%s", self.protocol, self.guessed)
        if self.protocol is Protocol.V5:
            self._note_5()
        self._subscriptions.begin(connection.client, self.protocol)
        self.connection = connection
        self._health.recover(Cause.BROKER_AWAY)
        for greet in self.greeters:
            greet()

    def _report_away(self, why: str) -> None:
        self._health.degrade(Cause.BROKER_AWAY, f"broker: {why}")
        log.warning('event=broker_away why="%s"', why)
