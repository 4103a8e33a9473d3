"""
Home Assistant's MQTT discovery: a retained message by which the device and its sensors appear.

The format: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, "Device discovery
payload" (2024.11 and later).
"""

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge import __version__
from edge.config.settings import Settings
from edge.errors import Unavailable
from edge.health import Cause, Health, Phase
from edge.mqtt.client import MqttClient
from edge.mqtt.errors import HangUps, RefusedError
from edge.mqtt.topics import Topics, discovery
from edge.system import files

log = logging.getLogger(__name__)

FILE: Final = "homeassistant.json"
"""The file in the state folder that names the topics with a message of ours, to clear them."""
UNDELIVERED: Final = (
    "{{ value_json.outbox.values() | sum(attribute='waiting') + "
    "value_json.outbox.values() | sum(attribute='held') }}"
)
LATE: Final = 3
"""A sensor is old once so many `health` messages in a row did not come."""


class Discovery:
    """
    Keeps the broker's retained messages as configured, and clears those of earlier configurations.

    Args:
        broker: the connection; before its `start`.
        health: is told if the broker refuses.
        state: the state folder.
        wanted: payloads by topic, see `discovery_messages`.
    """

    def __init__(
        self, broker: MqttClient, health: Health, state: Path, wanted: Mapping[str, bytes]
    ) -> None:
        self._broker = broker
        self._health = health
        self._file = state / FILE
        self._wanted = wanted
        self._due = threading.Event()
        self._hang_ups = HangUps()
        broker.on_connect(self._due.set)

    def turn(self) -> None:
        """Publish as much as is due, in a thread that may wait for the broker."""
        if not self._due.is_set() or not self._broker.connected or self._hang_ups.too_many:
            return
        self._due.clear()
        ours = self._remembered()
        gone = [topic for topic in ours if topic not in self._wanted]
        try:
            # first: a message that nobody remembers is never cleared
            self._remember([*gone, *self._wanted])
            for topic, payload in [*((topic, b"") for topic in gone), *self._wanted.items()]:
                self._broker.publish(topic, payload, retain=True)
            self._remember(list(self._wanted))
        except RefusedError as error:
            self._health.recover(Cause.HOMEASSISTANT_HUNG_UP)
            self._health.degrade(
                Cause.HOMEASSISTANT_REFUSED, f"homeassistant: {error}: check the broker's ACL"
            )
        except (Unavailable, OSError) as error:
            log.info(
                'event=homeassistant_put_off why="%s"', getattr(error, "strerror", None) or error
            )
            self._due.set()
            if self._hang_ups.note(error):
                self._health.recover(Cause.HOMEASSISTANT_REFUSED)
                self._health.degrade(
                    Cause.HOMEASSISTANT_HUNG_UP,
                    "homeassistant: the broker hangs up on it, so it "
                    "is told no more: check its ACL",
                )
        else:
            self._hang_ups.end()
            self._health.recover(Cause.HOMEASSISTANT_REFUSED, Cause.HOMEASSISTANT_HUNG_UP)

    def _remembered(self) -> list[str]:
        try:
            return [str(topic) for topic in json.loads(self._file.read_bytes())]
        except (OSError, ValueError, TypeError):
            return []

    def _remember(self, topics: list[str]) -> None:
        if topics == self._remembered():
            return
        if topics:
            files.write(self._file, json.dumps(topics).encode())
        else:
            self._file.unlink(missing_ok=True)


def discovery_messages(settings: Settings) -> dict[str, bytes]:
    """Return the retained messages by topic: none if discovery is off."""
    if not settings.homeassistant.enabled:
        return {}
    topic = discovery(settings.homeassistant.prefix, settings.device.site, settings.device.name)
    return {topic: json.dumps(_device(settings), separators=(",", ":")).encode()}


def _device(settings: Settings) -> dict[str, Any]:
    """Describe the device, whose availability is in `status`, last will included."""
    site = settings.device.site
    name = f"{site}/{settings.device.name}"
    status = Topics.of(settings.device).status
    ours = {"name": "mammo-edge", "sw_version": __version__}
    # a-b/c and a/b-c are two; no name holds a "."
    unique = f"mammo-edge-{name.replace('/', '.' if '-' in site else '-')}"
    return {
        "device": ours
        | {
            "identifiers": [f"mammo-edge/{name}"],
            "name": f"mammo-edge {name}",
            "manufacturer": "mammo-edge",
        },
        "origin": ours,
        "availability_topic": status,
        "availability_template": "{{ value_json.status }}",
        "payload_available": "online",
        "payload_not_available": "offline",
        "qos": 1,
        "components": {
            f"{unique}-{key}": {"unique_id": f"{unique}-{key}", **component}
            for key, component in (_from_status(status) | _from_health(settings)).items()
        },
    }


def _from_status(topic: str) -> dict[str, dict[str, Any]]:
    """Describe the sensors that read `status`; `offline` has no state and no reasons."""
    return {
        "state": {
            "platform": "sensor",
            "name": "State",
            "state_topic": topic,
            "value_template": "{{ value_json.state | default(value_json.status) }}",
            "device_class": "enum",
            "options": [*Phase, "offline"],
        },
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "state_topic": topic,
            "value_template": "{{ 'ON' if value_json.reasons | default([]) else 'OFF' }}",
            "device_class": "problem",
            "json_attributes_topic": topic,
            "json_attributes_template": (
                "{{ {'reasons': value_json.reasons | default([])} | tojson }}"
            ),
        },
    }


def _from_health(settings: Settings) -> dict[str, dict[str, Any]]:
    numbers = {
        "waiting": ("Images waiting", "{{ value_json.queue.waiting }}", "measurement"),
        "undelivered": ("Results undelivered", UNDELIVERED, "measurement"),
        "results": ("Results", "{{ value_json.queue.last_seq }}", "total_increasing"),
    }
    return {
        key: {
            "platform": "sensor",
            "name": name,
            "state_topic": Topics.of(settings.device).health,
            "value_template": template,
            "state_class": kind,
            "expire_after": round(LATE * settings.publish.health_s),
        }
        for key, (name, template, kind) in numbers.items()
    }
