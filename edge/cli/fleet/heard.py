"""Listens at the broker to `status`, `info` and `health` of all devices."""

import queue
import time
from pathlib import Path
from typing import Final

from edge.cli.fleet.said import LARGEST
from edge.config.network import Broker
from edge.errors import Unavailable
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.topics import ROOT, Topics
from edge.mqtt.visit import visit

QUIET_S: Final = 2.0
"""Seconds after which no further retained message is expected."""
EVERY: Final = Topics(f"{ROOT}/+/+")
"""The topics of all devices, as filters."""


class Heard:
    """The newest message of each kind (`status`, `info`, `health`) by device, `SITE/NAME`."""

    def __init__(self) -> None:
        self.payloads: dict[str, dict[str, bytes]] = {}

    def note(self, topic: str, payload: bytes) -> None:
        """Keep a message; an empty one takes away what was retained."""
        *_, site, name, kind = topic.split("/")
        said = self.payloads.setdefault(f"{site}/{name}", {})
        if payload:
            said[kind] = payload
        else:
            said.pop(kind, None)

    def is_enough(self, *, for_health: bool) -> bool:
        """Return True if there is a device, and, if asked for, `health` of all that are online."""
        return any(self.payloads.values()) and not (
            for_health
            and any(
                b'"online"' in said.get("status", b"") and "health" not in said
                for said in self.payloads.values()
            )
        )


def listen(section: Broker, stored: Path | None, wait_s: float, *, for_health: bool) -> Heard:
    """
    Listen until nothing more is retained.

    Args:
        section: the broker, and how to reach it.
        stored: the file into which `mammo-edge setup` puts the broker's password.
        wait_s: the longest time to listen, in seconds.
        for_health: wait for `health` of all devices that are online, too.

    Raises:
        ConfigError: a certificate or the password cannot be read.
        Unavailable: the broker does not let us in, or nothing came.
    """
    came: queue.SimpleQueue[Incoming] = queue.SimpleQueue()

    def prepare(broker: MqttClient) -> None:
        for topic in (EVERY.status, EVERY.info, EVERY.health):
            broker.subscribe(topic, came.put, retained=True)

    heard = Heard()
    with visit(section, stored, "fleet", 2 * LARGEST, prepare):
        _collect(came, heard, wait_s, for_health=for_health)
    if not any(heard.payloads.values()):
        msg = (
            f"broker: no device says anything below {ROOT}, or its access rules "
            "do not let us read status, info and health"
        )
        raise Unavailable(msg)
    return heard


def _collect(
    came: "queue.SimpleQueue[Incoming]", heard: Heard, wait_s: float, *, for_health: bool
) -> None:
    now = time.monotonic()
    quiet_at, deadline = now + QUIET_S, now + wait_s
    while (now := time.monotonic()) < deadline:
        if now >= quiet_at and heard.is_enough(for_health=for_health):
            return
        until = deadline if now >= quiet_at else min(quiet_at, deadline)
        try:
            incoming = came.get(timeout=until - now)
        except queue.Empty:
            continue
        incoming.acknowledge()
        heard.note(incoming.topic, incoming.payload)
        if incoming.retained:
            quiet_at = time.monotonic() + QUIET_S
