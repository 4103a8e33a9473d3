"""Commands from the broker, if the configuration allows them: obeyed, answered, acknowledged."""

import dataclasses
import functools
import json
import logging
import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

from edge.contract import messages
from edge.contract.feedback import OBEYED
from edge.contract.limits import COMMAND_BYTES
from edge.daemon.control.audited import Handler
from edge.daemon.intake.suspects import ENDED_THE_DAEMON, Suspects, key_of
from edge.errors import MammoEdgeError, StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.errors import HangUps, RefusedError
from edge.mqtt.topics import Topics
from edge.system.threads import Loop, note_failure

log = logging.getLogger(__name__)

LOOP: Final = "intake-command"
RETRY_S: Final = 0.2
MOST_WAITING: Final = 100
"""Commands at QoS 0 that may wait; more are dropped and counted."""
CUT_OFF: Final = 10
"""Connections that a command may lose in a row, before the loss is its answer."""

TRIES: Final = {"model/install": 2}
"""
Tries of a command that may have ended the daemon, if more than one.

A bundle comes in chunks for minutes, in which a kill by others is likelier, and goes on after it.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """The answer to a command, or None and the reason."""

    answer: bytes | None
    why: str = ""
    final: bool = True
    """True if another try would get the same answer."""


class CommandIntake(Loop):
    """
    Subscribes commands; the answer goes to `.../ack`, with the correlation data that came.

    Args:
        broker: the connection.
        health: for the stamps.
        topics: those of this device.
        handlers: functions that obey the allowed commands, by name.
        suspects: the commands that may have ended a daemon.
    """

    def __init__(
        self,
        broker: MqttClient,
        health: Health,
        topics: Topics,
        handlers: Mapping[str, Handler],
        suspects: Suspects,
    ) -> None:
        super().__init__(LOOP, health)
        self._broker = broker
        self._topics = topics
        self._handlers = handlers
        self._suspects = suspects
        self._queue: queue.Queue[tuple[str, Incoming] | None] = queue.Queue()
        self._untold: dict[tuple[str, bytes, bytes | None], bytes] = {}
        """The last command and its answer, kept in case the broker delivers the command again."""
        self._hang_ups, self._cut_off = HangUps(), 0
        for name in handlers:
            broker.subscribe(topics.command(name), functools.partial(self._enqueue, name))

    def wake(self) -> None:
        """End the wait for a command; commands without PUBACK stay with the broker."""
        self._queue.put(None)

    def _enqueue(self, name: str, incoming: Incoming) -> None:
        """Keep what is looked at of a command until it is its turn. In paho's thread."""
        if incoming.qos == 0 and self._queue.qsize() >= MOST_WAITING:
            self._health.count("commands_dropped")
            return
        cut = incoming.payload[: COMMAND_BYTES + 1]
        self._queue.put((name, dataclasses.replace(incoming, payload=cut)))

    def turn(self) -> None:
        """Obey the next command, if one comes within a second."""
        try:
            command = self._queue.get(timeout=1.0)
        except queue.Empty:
            return
        if command is None or command[1].stale():
            return
        try:
            self._obey(*command)
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - one command must not hold up the others
            note_failure("command_given_up", error)
            self._health.count("commands_given_up")
            command[1].acknowledge()

    def _obey(self, name: str, incoming: Incoming) -> None:
        if incoming.retained:
            log.warning("event=retained_command_ignored")
        else:
            key = (name, incoming.payload, incoming.correlation)
            answer = self._untold.get(key) if incoming.again else None
            answer = answer or self._try(name, incoming)
            if answer is None:
                return  # not acknowledged: the broker delivers it again
            self._untold = {key: answer}
            if not self._tell(name, answer, incoming):
                return
        incoming.acknowledge()
        if not incoming.stale():
            self._untold = {}

    def _try(self, name: str, incoming: Incoming) -> bytes | None:
        """Obey a command that can be worked on, see `_await_answer`; refuse any other."""
        if len(incoming.payload) > COMMAND_BYTES:
            return self._refuse(name, f"the command has more than {COMMAND_BYTES} bytes")
        key = key_of(incoming.topic, incoming.payload, incoming.correlation)
        if self._suspects.ends(key) >= TRIES.get(name, 1):
            self._health.count("commands_given_up")
            return self._refuse(name, ENDED_THE_DAEMON)
        with self._suspects.in_hand(LOOP, key):
            return self._await_answer(name, incoming)

    def _await_answer(self, name: str, incoming: Incoming) -> bytes | None:
        """
        Obey, and return the answer.

        Returns:
            None if the daemon ends, or if the command needs the connection and lost it.
        """
        future: Future[_Said] = Future()
        # Proving a model takes longer than a loop may be silent. A daemon thread, since it may wait
        # for a dispatcher that has ended.
        work = threading.Thread(
            target=self._work, args=(name, incoming.payload, future), name="command", daemon=True
        )
        try:
            work.start()
        except RuntimeError as error:  # threads or memory are short
            return self._refuse(name, f"it was not begun: {error}; send it again in a while")
        while not wait([future], timeout=1.0).done:
            self._health.beat()
            if self._stop.is_set():
                return None
        said = future.result()
        if not said.final and incoming.stale() and self._cut_off + 1 < CUT_OFF:
            self._cut_off += 1
            return None
        self._cut_off = 0
        if said.answer is None:
            return self._refuse(name, said.why)
        return said.answer

    def _work(self, name: str, payload: bytes, future: Future[_Said]) -> None:
        """Obey, and hand over an answer whatever happens: the loop waits until then."""
        said = _Said(None, "it ended without an answer")
        try:
            said = self._answer(name, payload)
        finally:
            future.set_result(said)

    def _answer(self, name: str, payload: bytes) -> _Said:
        """Obey, and return the answer, or the reason for none."""
        try:
            request = _parse(payload)
            return _Said(_answer(name, self._handlers[name](request)))
        except MammoEdgeError as error:
            return _Said(None, str(error), final=not isinstance(error, Unavailable))
        except Exception as error:  # nothing that a stranger sends ends the daemon
            log.exception("event=command_failed")
            return _Said(None, type(error).__name__)

    def _refuse(self, name: str, why: str) -> bytes:
        """Count a command once, however often it was tried, and return the answer."""
        self._health.count("commands_refused")
        return messages.encode(
            messages.Refusal(schema=messages.ACK, command=name, ok=False, error=why)
        )

    def _tell(self, name: str, answer: bytes, incoming: Incoming) -> bool:
        """
        Publish the answer while the connection lasts that delivered the command.

        Returns:
            False if it did not last: the broker delivers the command again.
        """
        topic = self._topics.command_ack(name)
        while not incoming.stale():
            if self._hang_ups.too_many:
                self._give_up(Cause.COMMAND_ANSWER_HUNG_UP, "the broker hangs up on it")
                return True
            try:
                self._broker.publish(topic, answer, correlation=incoming.correlation)
            except RefusedError as error:
                self._give_up(Cause.COMMAND_ANSWER_REFUSED, str(error))
            except Unavailable as error:  # perhaps we have not noticed yet that we are connected
                log.info('event=command_not_answered_yet why="%s"', error)
                self._hang_ups.note(error)
                self._health.beat()
                if self._stop.wait(RETRY_S):
                    return False
                continue
            else:
                self._hang_ups.end()
                self._health.recover(Cause.COMMAND_ANSWER_HUNG_UP, Cause.COMMAND_ANSWER_REFUSED)
            return True
        return False

    def _give_up(self, cause: Cause, why: str) -> None:
        """Leave the answer untold, since the command would otherwise come again and again."""
        self._hang_ups.end()
        self._health.recover(Cause.COMMAND_ANSWER_HUNG_UP, Cause.COMMAND_ANSWER_REFUSED)
        log.warning('event=command_not_answered why="%s"', why)
        self._health.degrade(cause, f"command: it was obeyed, and its answer cannot be told: {why}")


def _parse(payload: bytes) -> dict[str, Any]:
    """Read a command; MammoEdgeError if it is no JSON object."""
    try:
        request = json.loads(payload)
    except (ValueError, RecursionError):
        msg = "the command is not JSON"
        raise MammoEdgeError(msg) from None
    if not isinstance(request, dict):
        msg = "the command is no JSON object"
        raise MammoEdgeError(msg)
    return request


def _answer(name: str, fields: Mapping[str, Any]) -> bytes:
    _, model = OBEYED.get(name, (messages.Command, messages.Answer))
    return messages.encode(model(schema=messages.ACK, command=name, ok=True, **fields))
