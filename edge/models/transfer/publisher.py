"""`mammo-edge model publish | withdraw`: hand a bundle to devices through the broker."""

import queue
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from edge.config.section import is_device
from edge.config.settings import Settings
from edge.errors import ConfigError, ModelError, Unavailable
from edge.models.signature import SIGNATURE
from edge.models.transfer import announcement
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.errors import RefusedError
from edge.mqtt.topics import ROOT, Topics
from edge.mqtt.visit import visit

FORMER_S: Final = 20.0
"""The time to wait for the announcement that is to be withdrawn, in seconds."""


class Shelf:
    """The topic `model/available` of a device, and the topics below it."""

    def __init__(self, broker: MqttClient, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        broker.subscribe(topic, self._hear, retained=True)

    def put(self, below: str, payload: bytes) -> None:
        """
        Publish, retained; no bytes remove the message that is retained there.

        Raises:
            Unavailable: the broker is away, or refuses the message.
        """
        try:
            self._broker.publish(self._topic + below, payload, retain=True)
        except RefusedError as error:
            msg = f"{self._topic}: {error}"
            raise Unavailable(msg) from None

    def former(self, wait_s: float = 0.0) -> announcement.Announcement | None:
        """
        Return the announcement that was there when we subscribed, or None.

        Raises:
            ModelError: the message there is no announcement.
        """
        try:
            payload = self._heard.get(block=wait_s > 0, timeout=wait_s or None)
        except queue.Empty:
            return None
        return announcement.read_announcement(payload)

    def _hear(self, incoming: Incoming) -> None:
        self._heard.put(incoming.payload)
        incoming.acknowledge()


def publish(
    settings: Settings, folder: Path, to: Sequence[str], stored: Path | None = None
) -> dict[str, Any]:
    """
    Announce a bundle to devices, and publish it in chunks.

    Args:
        settings: with the broker.
        folder: the bundle's.
        to: `SITE/DEVICE` each; none stands for the configuration's own.
        stored: the file into which `mammo-edge setup` puts the broker's password.

    Raises:
        ModelError: the bundle is damaged.
        ConfigError: a device cannot have such a name.
        Unavailable: the broker is away, or refuses a message.
    """
    made = announcement.make_announcement(folder)
    devices = _devices(settings, to)
    for device in devices:
        with _connected(settings, device, stored) as shelf:
            announcement.publish(folder, made, shelf.put)
            # subscribed before the first chunk was published, so it came before the first PUBACK
            former = _known(shelf)
            if former is not None and former.sha256 != made.sha256:
                announcement.clear(former, shelf.put)
    signed = (folder / SIGNATURE).exists()
    report = {
        "bundle": made.bundle,
        "name": made.name,
        "version": made.version,
        "bytes": made.size,
        "chunks": made.chunks,
    }
    return report | {"signed": signed, "to": devices}


def withdraw(settings: Settings, to: Sequence[str], stored: Path | None = None) -> dict[str, Any]:
    """
    Remove the announcements to devices, and their chunks.

    Raises:
        ConfigError: a device cannot have such a name.
        Unavailable: the broker is away or refuses a message, or nothing is announced.
    """
    taken = []
    for device in _devices(settings, to):
        with _connected(settings, device, stored) as shelf:
            try:
                former = shelf.former(FORMER_S)
            except ModelError:  # nobody knows of chunks of it
                shelf.put("", b"")
                taken.append({"to": device, "bundle": None, "version": None})
                continue
            if former is None:
                msg = f"{device}: nothing is announced there"
                raise Unavailable(msg)
            announcement.withdraw(former, shelf.put)
            taken.append({"to": device, "bundle": former.bundle, "version": former.version})
    return {"withdrawn": taken}


def _known(shelf: Shelf) -> announcement.Announcement | None:
    """Return the former announcement; None if the message was none, for ours has replaced it."""
    try:
        return shelf.former()
    except ModelError:
        return None


def _devices(settings: Settings, to: Sequence[str]) -> list[str]:
    for device in to:
        if not is_device(device):
            msg = f"--to: found {device!r}, expected SITE/DEVICE in lower case, as in the topics"
            raise ConfigError(msg)
    return list(to) or [f"{settings.device.site}/{settings.device.name}"]


def _connected(
    settings: Settings, device: str, stored: Path | None
) -> AbstractContextManager[Shelf]:
    topic = Topics(f"{ROOT}/{device}").model_available
    return visit(
        settings.broker,
        stored,
        "model",
        2 * announcement.LARGEST,
        lambda broker: Shelf(broker, topic),
    )
