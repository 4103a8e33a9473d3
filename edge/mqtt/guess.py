"""
Proof of a guess: that a broker which closes connections unanswered knows no MQTT 5.

A connection of MQTT 3.1.1 that is a guess is used only after a second connection beside it, which
asks for MQTT 5 under a client id of its own, was closed unanswered twice. Until then what the
broker delivers is held back, since a response topic that the sender named is not in it. Later MQTT
5 is tried again, ever more rarely.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from edge.mqtt import reasons
from edge.mqtt.connection import Connection, Incoming, Protocol, disconnect
from edge.mqtt.options import Options, connect_arguments, make_client
from edge.system import workarounds

log = logging.getLogger(__name__)

AGAIN_S: Final = 5.0
"""Seconds between the two connections that prove a guess."""
LATER_S: Final = (50.0, 240.0, 1500.0, 5400.0, 21_600.0)
"""Pauses before each further try of MQTT 5, in seconds; the last one is repeated."""
ANSWER_S: Final = 10.0
"""Seconds in which a broker must answer CONNECT."""


def tries() -> Iterator[float]:
    """Yield the pauses before each further try of MQTT 5, in seconds, without end."""
    yield from LATER_S
    while True:
        yield LATER_S[-1]


def speaks_5(options: Options, beat: Callable[[], None], stop: threading.Event) -> bool:
    """
    Ask a broker for MQTT 5 on a connection of its own, which is ended at once.

    Args:
        options: those of the connection beside which this is done.
        beat: called while this waits.
        stop: ends the wait.

    Returns:
        True if the broker answers in MQTT 5, whatever it answers.
    """
    settings = options.settings.model_copy(update={"session_expiry_s": 0})
    beside = dataclasses.replace(
        options, settings=settings, client_id=f"{options.client_id}-5", will=None
    )
    connection = Connection(
        make_client(beside, Protocol.V5), Protocol.V5, lambda _: None, ack_s=ANSWER_S, beat=beat
    )
    client = connection.client
    workarounds.outlive_packets(client, lambda _: None)
    try:
        arguments = connect_arguments(beside, Protocol.V5)
        client.connect(settings.host, settings.port, settings.keepalive_s, **arguments)
        client.loop_start()
        deadline = time.monotonic() + ANSWER_S
        while not connection.answered.wait(0.1) and not connection.ended.is_set():
            beat()
            if stop.is_set() or time.monotonic() > deadline:
                return False
    except (OSError, ValueError):
        return False
    else:
        reason = connection.reason
        return reason is not None and reason.value != reasons.UNSUPPORTED_VERSION
    finally:
        connection.end()
        disconnect(client)
        connection.release()


class Proof:
    """
    Asks a broker for MQTT 5 beside a connection of MQTT 3.1.1 that is a guess.

    Args:
        options: those of that connection.
        beat: called while this waits.
        stop: ends the wait.
        note_5: called when the broker has answered in MQTT 5.
    """

    def __init__(
        self,
        options: Options,
        beat: Callable[[], None],
        stop: threading.Event,
        note_5: Callable[[], None],
    ) -> None:
        self._options = options
        self._beat = beat
        self._stop = stop
        self._note_5 = note_5

    def holds(self, connection: Connection) -> bool:
        """Tell if the broker closes connections of MQTT 5 unanswered while this one lasts."""
        for pause_s in (0.0, AGAIN_S):
            if connection.ended.wait(pause_s) or self._stop.is_set() or self.refuted():
                return False
        return not connection.ended.is_set()

    def refuted(self) -> bool:
        """Ask once, and tell if the broker speaks MQTT 5 after all."""
        if not speaks_5(self._options, self._beat, self._stop):
            return False
        log.info("event=broker_speaks_5")
        self._note_5()
        return True


class Gate:
    """
    Holds back what a broker delivers until it is opened.

    Args:
        deliver: is given each message once the gate is open.
    """

    def __init__(self, deliver: Callable[[Incoming], None]) -> None:
        self._deliver = deliver
        self._lock = threading.Lock()
        self._open = False
        self._held: list[Incoming] = []

    def __call__(self, incoming: Incoming) -> None:
        """Pass a message on, or hold it back; at QoS 0 that promises nothing."""
        with self._lock:
            if not self._open:
                self._held += [incoming] if incoming.qos else []
                return
        self._deliver(incoming)

    def open(self) -> None:
        """Pass on what was held back, in its order, and all that comes."""
        with self._lock:
            for incoming in self._held:
                self._deliver(incoming)
            self._held.clear()
            self._open = True
