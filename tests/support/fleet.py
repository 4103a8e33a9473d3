"""Messages of devices that are not there, as the broker keeps them."""

import json
from typing import Any

from paho.mqtt.publish import single

from deploy.demo.brokers import Mosquitto
from tests.support.contract_page import examples

ONE, OTHER = "a" * 64, "b" * 64
"""Ids of two bundles."""


def status(**changes: object) -> dict[str, Any]:
    return examples("mammo.status/1")[0] | changes


def info(name: str, **changes: object) -> dict[str, Any]:
    return examples("mammo.info/1")[0] | _of(name) | changes


def health(
    name: str, counts: list[int], bundle: str = ONE, reference: list[int] | None = None
) -> dict[str, Any]:
    """`health` of a device with the scores of these 20 bins."""
    drift = {
        "images": sum(counts),
        "index": None,
        "counts": counts,
        "reference": reference or [7] * 20,
    }
    model = {"name": "m", "version": "1", "bundle": bundle}
    return examples("mammo.health/1")[0] | _of(name) | {"model": model, "drift": drift}


def _of(name: str) -> dict[str, str]:
    site, _, device = name.partition("/")
    return {"site": site, "device": device}


def keep(broker: Mosquitto, topic: str, message: object, *, retain: bool = True) -> None:
    """Publish a message, by default to be kept: an object, or bytes as they are."""
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    single(f"mammo/v1/{topic}", payload, 1, retain=retain, hostname="127.0.0.1", port=broker.port)
