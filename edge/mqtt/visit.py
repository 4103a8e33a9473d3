"""A visit to the broker under a client id of its own, beside a daemon that goes on."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from edge.config.credentials import read_secret
from edge.config.network import Broker
from edge.errors import Unavailable
from edge.health import Health
from edge.mqtt.client import MqttClient

T = TypeVar("T")

CONNECT_S: Final = 10.0


@contextmanager
def visit(
    section: Broker,
    stored: Path | None,
    purpose: str,
    max_incoming: int,
    prepare: Callable[[MqttClient], T],
) -> Iterator[T]:
    """
    Connect for as long as the block lasts, without a session that stays.

    Args:
        section: the broker, and how to reach it.
        stored: the file into which `mammo-edge setup` puts the broker's password.
        purpose: a word in the client id.
        max_incoming: the largest packet, in bytes.
        prepare: subscribes what is needed; what it returns is the block's.

    Raises:
        ConfigError: a certificate or the password cannot be read.
        Unavailable: the broker does not let us in; the text says why.
    """
    health, connected = Health(), threading.Event()
    broker = MqttClient(
        section.model_copy(update={"session_expiry_s": 0}),
        password=read_secret(section, stored=stored),
        client_id=f"mammo-edge-{purpose}-{uuid.uuid4().hex[:12]}",
        will=None,
        health=health,
        max_incoming=max_incoming,
    )
    broker.on_connect(connected.set)
    prepared = prepare(broker)
    broker.start()
    try:
        if not connected.wait(CONNECT_S):
            raise Unavailable(
                "; ".join(health.reasons) or f"broker: no answer from {section.host}:{section.port}"
            )
        yield prepared
    finally:
        broker.stop()
