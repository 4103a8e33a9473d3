"""The state of the daemon, told to the broker (`status`, `health`) and to systemd's watchdog."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from edge import __version__
from edge.contract import messages
from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Protocol
from edge.mqtt.errors import HangUps, RefusedError
from edge.mqtt.topics import Topics
from edge.system.systemd import Systemd
from edge.system.threads import note_failing, note_failure, note_good_turn

log = logging.getLogger(__name__)

LOOP: Final = "announce-mqtt"
TURN_S: Final = 1.0
GOODBYE_S: Final = 3.0
"""Seconds for what is being told when the daemon stops; without its end nobody says `offline`."""
HUNG_UP_RETRY_S: Final = 60.0
"""The time that results have for themselves if the broker hangs up on `status`, in seconds."""
CHANCE_RETRY_S: Final = 5.0
"""The same if the broker took `status` before, and may only have been restarted twice."""
OLD_PROTOCOL: Final = (
    "MQTT 3.1.1: a publish that the broker denies looks delivered; no response topics"
)

GUESSED: Final = (
    "MQTT 3.1.1 is a guess, since the broker closes connections of MQTT 5 unanswered; MQTT 5 is "
    "tried again from time to time, and [broker] protocol fixes it"
)


class Announcer:
    """
    Threads that wake every second and tell how the daemon is.

    Args:
        health: the state to tell.
        systemd: the service manager.
        overdue: returns True if an image is past its time limit and nobody ended its worker.
    """

    def __init__(self, health: Health, systemd: Systemd, overdue: Callable[[], bool]) -> None:
        self._health = health
        self._systemd = systemd
        self._overdue = overdue
        self._publisher: StatusPublisher | None = None
        self._also: tuple[Callable[[], None], ...] = ()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="announce", daemon=True)]

    def attach(self, publisher: "StatusPublisher", *also: Callable[[], None]) -> None:
        """
        Tell a broker too, in a thread of its own that may wait for it. To be called before `start`.

        Args:
            publisher: publishes `status` and `health`.
            also: functions to call in the same thread after it, every turn.
        """
        self._publisher, self._also = publisher, also
        self._threads.append(
            threading.Thread(target=self._run_mqtt, args=(publisher,), name=LOOP, daemon=True)
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
            thread.join(GOODBYE_S)
        if self._publisher is not None and not self._threads[-1].is_alive():
            self._publisher.say_offline()

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            self._health.tell_hanging()
            state = self._state()
            if state != told:
                self._systemd.notify(f"STATUS={state}")
                told = state
            self._feed_watchdog()
            self._stop.wait(TURN_S)

    def _run_mqtt(self, publisher: "StatusPublisher") -> None:
        while not self._stop.is_set():
            self._health.stamp(LOOP)  # a publish that waits for the broker stamps it too
            changed = self._health.changed.is_set()
            if changed:  # a change that comes between these two lines is not lost
                self._health.changed.clear()
            calls: list[Callable[[], None]] = [
                partial(publisher.turn, changed=changed),
                *self._also,
            ]
            failed = [why for call in calls if (why := self._failure_of(call))]
            if failed:
                note_failing(self._health, LOOP, failed[0])
            else:
                note_good_turn(self._health, LOOP)
            self._health.changed.wait(TURN_S)
        self._health.retire(LOOP)

    def _failure_of(self, call: Callable[[], None]) -> str | None:
        """Make a call of which nothing else depends; returns how it failed, or None."""
        try:
            call()
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - results go on without what this tells
            self._health.count("loop_failures")
            return note_failure("loop_failed", error)
        return None

    def _state(self) -> str:
        reasons = "; ".join(self._health.reasons)
        return f"{self._health.phase}{': ' + reasons if reasons else ''}"

    def _feed_watchdog(self) -> None:
        stuck = self._health.stuck() or (["workers"] if self._overdue() else [])
        if stuck:
            log.error("event=stuck loops=%s", ",".join(stuck))
            self._health.degrade(
                Cause.LOOP_HANGS, f"a part of the daemon does not go on: {', '.join(stuck)}"
            )
        else:
            self._health.recover(Cause.LOOP_HANGS)
            self._systemd.notify("WATCHDOG=1")


class StatusPublisher:
    """
    Publishes `status`, retained, at each change, and `health` from time to time.

    Args:
        broker: the connection.
        topics: those of this device.
        health: the state to tell.
        report: makes the fields of `health`.
        health_s: how often to publish `health`, in seconds.
    """

    def __init__(
        self,
        broker: MqttClient,
        topics: Topics,
        health: Health,
        report: Callable[[], messages.Health],
        health_s: float,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._health = health
        self._report = report
        self._health_s = health_s
        self._told = False
        self._next_health = 0.0
        self._hang_ups = HangUps()
        self._hung_up_until = 0.0
        self._taken = False

    def turn(self, *, changed: bool) -> None:
        """Publish as much as is due; a broker that is away is told when it is back."""
        self._told = self._told and not changed
        if not self._broker.connected:
            self._told = False
            return
        if self._hang_ups.too_many and time.monotonic() < self._hung_up_until:
            return
        try:
            self._publish_due()
        except Unavailable as error:
            log.warning('event=status_not_told why="%s"', error)
            if self._hang_ups.note(error):
                self._rest()
        except RefusedError as error:  # nobody else would ever tell
            self._health.recover(Cause.STATUS_HUNG_UP)  # a later reason takes its place
            self._health.degrade(
                Cause.STATUS_REFUSED, f"broker: our status or health is not taken: {error}"
            )
        else:
            self._hang_ups.end()
            self._health.recover(Cause.STATUS_HUNG_UP, Cause.STATUS_REFUSED)

    def _publish_due(self) -> None:
        if not self._told:
            self._broker.publish(self._topics.status, self._online(), retain=True)
            self._told = self._taken = True
        if time.monotonic() >= self._next_health:
            payload = messages.encode(self._report())
            self._broker.publish(self._topics.health, payload, qos=0)
            self._next_health = time.monotonic() + self._health_s

    def _rest(self) -> None:
        """Leave the connection to the results for a while."""
        pause_s = CHANCE_RETRY_S if self._taken else HUNG_UP_RETRY_S
        self._hung_up_until = time.monotonic() + pause_s
        self._health.recover(Cause.STATUS_REFUSED)
        self._health.degrade(
            Cause.STATUS_HUNG_UP,
            "broker: it hangs up on our status, which it is told only now and then: check its ACL",
        )

    def say_offline(self) -> None:
        """Publish the last will at QoS 0, since no time is left to wait for a broker."""
        if self._broker.connected:
            try:
                self._broker.publish(self._topics.status, offline(), retain=True, qos=0)
            except (Unavailable, RefusedError):
                log.info("event=offline_not_told")

    def _online(self) -> bytes:
        told = self._health.reasons_and_causes()
        protocol = self._broker.protocol
        status = messages.Online(
            schema=messages.STATUS,
            status="online",
            state=self._health.phase,
            reasons=[reason for reason, _ in told],
            reason_codes=[cause for _, cause in told],
            warnings=self._warnings(),
            protocol="5" if protocol is Protocol.V5 else "3.1.1",
            version=__version__,
        )
        return messages.encode(status)

    def _warnings(self) -> list[str]:
        if self._broker.protocol is Protocol.V5:
            return []
        return [OLD_PROTOCOL, *([GUESSED] if self._broker.guessed else [])]


def offline() -> bytes:
    """Return the payload of the last will."""
    return messages.encode(
        messages.Offline(schema=messages.STATUS, status="offline", version=__version__)
    )
