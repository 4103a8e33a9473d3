"""Commands from the broker, where the configuration allows them: done, answered, and only then acknowledged."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from edge.broker import Broker
from edge.errors import MammoEdgeError, Unavailable
from edge.health import Health
from edge.session import Incoming, RefusedError

log = logging.getLogger(__name__)

LOOP: Final = "intake-command"

Handler: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]


class CommandIntake:
    """Subscribes `command/replay`; the answer goes to `command/replay/ack`, with the correlation data that came."""

    def __init__(self, broker: Broker, health: Health, topic_prefix: str, replay: Handler) -> None:
        self._broker = broker
        self._health = health
        self._prefix = topic_prefix
        self._replay = replay
        self._queue: queue.Queue[Incoming | None] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=LOOP, daemon=True)
        broker.subscribe(f"{topic_prefix}/command/replay", self._queue.put)

    def start(self) -> None:
        """Begin to obey."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; what is not acknowledged stays with the broker."""
        self._stop.set()
        self._queue.put(None)
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._health.stamp(LOOP)
            try:
                incoming = self._queue.get(timeout=1.0)
            except queue.Empty:
                continue
            if incoming is not None and not incoming.stale():
                self._obey(incoming)
        self._health.retire(LOOP)

    def _obey(self, incoming: Incoming) -> None:
        if incoming.retained:
            log.warning("event=retained_command_ignored")
        else:
            answer = {"schema": "mammo.ack/1", "command": "replay", **self._answer(incoming.payload)}
            self._tell(json.dumps(answer, separators=(",", ":")).encode(), incoming.correlation)
        incoming.acknowledge()

    def _answer(self, payload: bytes) -> dict[str, Any]:
        try:
            request = json.loads(payload)
            if not isinstance(request, dict):
                return {"ok": False, "error": "the command is no JSON object"}
            return {"ok": True, **self._replay(request)}
        except ValueError:
            return {"ok": False, "error": "the command is not JSON"}
        except MammoEdgeError as error:
            return {"ok": False, "error": str(error)}

    def _tell(self, answer: bytes, correlation: bytes | None) -> None:
        try:
            self._broker.publish(f"{self._prefix}/command/replay/ack", answer, correlation=correlation)
        except (Unavailable, RefusedError) as error:
            log.warning('event=command_not_answered why="%s"', error)
