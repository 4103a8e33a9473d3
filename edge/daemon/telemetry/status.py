"""
Tells the world how the daemon is: the retained `status`, the periodic `health`, systemd and its
watchdog.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from edge import __version__
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.errors import HangUps, RefusedError
from edge.mqtt.topics import Topics
from edge.system.systemd import Systemd

log = logging.getLogger(__name__)

TURN_S: Final = 1.0
HUNG_UP_RETRY_S: Final = 60.0
"""
How long the results have the connection for themselves where the broker hangs up on `status`, in
seconds.
"""
CHANCE_RETRY_S: Final = 5.0
"""The same where it took one before, and may only have been restarted twice."""


class Announcer:
    """
    Threads that wake every second.

    Args:
        health: what to tell.
        systemd: whom to tell it.
        overdue: whether an image is past its time limit and nobody ended it.
    """

    def __init__(self, health: Health, systemd: Systemd, overdue: Callable[[], bool]) -> None:
        self._health = health
        self._systemd = systemd
        self._overdue = overdue
        self._mqtt: Mqtt | None = None
        self._beside: Callable[[], None] | None = None
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="announce", daemon=True)]

    def attach(self, mqtt: "Mqtt", beside: Callable[[], None] | None = None) -> None:
        """
        Before `start`: tell a broker too, and what goes beside, in a thread of its own, since a
        broker may keep one waiting.
        """
        self._mqtt, self._beside = mqtt, beside
        self._threads.append(
            threading.Thread(target=self._run_mqtt, args=(mqtt,), name="announce-mqtt", daemon=True)
        )

    def start(self) -> None:
        """Begin to tell."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Say goodbye and end."""
        self._stop.set()
        self._health.changed.set()
        for thread in self._threads:
            thread.join(timeout=1)
        if self._mqtt is not None and not self._threads[-1].is_alive():
            self._mqtt.say_offline()

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            state = self._state()
            if state != told:
                self._systemd.notify(f"STATUS={state}")
                told = state
            self._feed_watchdog()
            self._stop.wait(TURN_S)

    def _run_mqtt(self, mqtt: "Mqtt") -> None:
        while not self._stop.is_set():
            changed = self._health.changed.is_set()
            if changed:  # else one that comes between these two lines would be lost
                self._health.changed.clear()
            mqtt.turn(changed=changed)
            if self._beside:
                self._beside()
            self._health.changed.wait(TURN_S)

    def _state(self) -> str:
        reasons = "; ".join(self._health.reasons)
        return f"{self._health.phase}{': ' + reasons if reasons else ''}"

    def _feed_watchdog(self) -> None:
        stuck = self._health.stuck()
        if stuck or self._overdue():
            log.error("event=stuck loops=%s", ",".join(stuck) or "workers")
        else:
            self._systemd.notify("WATCHDOG=1")


class Mqtt:
    """The topics `status` and `health`."""

    def __init__(
        self,
        broker: MqttClient,
        topics: Topics,
        health: Health,
        counters: Callable[[], dict[str, Any]],
        health_s: float,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._health = health
        self._counters = counters
        self._health_s = health_s
        self._told = False
        self._next_health = 0.0
        self._hang_ups = HangUps()
        self._hung_up_until = 0.0
        self._taken = False

    def turn(self, *, changed: bool) -> None:
        """Publish what is due; a broker that is away is told when it is back."""
        self._told = self._told and not changed
        if not self._broker.connected:
            self._told = False
            return
        if self._hang_ups.too_many and time.monotonic() < self._hung_up_until:
            return
        try:
            if not self._told:
                self._broker.publish(self._topics.status, self._status(), retain=True)
                self._told = self._taken = True
            if time.monotonic() >= self._next_health:
                self._broker.publish(self._topics.health, self._encode(self._counters()), qos=0)
                self._next_health = time.monotonic() + self._health_s
        except Unavailable as error:
            log.warning('event=status_not_told why="%s"', error)
            if self._hang_ups.note(error):
                self._hung_up_until = time.monotonic() + (
                    CHANCE_RETRY_S if self._taken else HUNG_UP_RETRY_S
                )
                self._health.degrade(
                    Cause.STATUS_HUNG_UP,
                    "broker: it hangs up on our status, which it is told "
                    "only now and then: check its ACL",
                )
        except RefusedError as error:  # nobody else would ever tell
            self._health.degrade(
                Cause.STATUS_REFUSED, f"broker: our status or health is not taken: {error}"
            )
        else:
            self._hang_ups.end()
            self._health.recover(Cause.STATUS_HUNG_UP, Cause.STATUS_REFUSED)

    def say_offline(self) -> None:
        """
        The last status, as the last will would say it; at QoS 0, for there is no time left to wait
        for a broker.
        """
        if self._broker.connected:
            try:
                self._broker.publish(self._topics.status, offline(), retain=True, qos=0)
            except (Unavailable, RefusedError):
                log.info("event=offline_not_told")

    def _status(self) -> bytes:
        protocol = str(self._broker.protocol)
        warnings = (
            []
            if protocol == "5"
            else [
                "MQTT 3.1.1: a publish that the broker denies looks delivered; no response topics"
            ]
        )
        told = self._health.reasons_and_causes()
        return self._encode(
            {
                "schema": "mammo.status/1",
                "status": "online",
                "state": self._health.phase,
                "reasons": [reason for reason, _ in told],
                "reason_codes": [cause for _, cause in told],
                "warnings": warnings,
                "protocol": protocol,
                "version": __version__,
            }
        )

    @staticmethod
    def _encode(fields: dict[str, Any]) -> bytes:
        return json.dumps(fields, separators=(",", ":")).encode()


def offline() -> bytes:
    """The last will."""
    return json.dumps(
        {"schema": "mammo.status/1", "status": "offline", "version": __version__},
        separators=(",", ":"),
    ).encode()
