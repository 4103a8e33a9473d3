"""The one place that configures paho: the client, and the fields of CONNECT."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.config.settings import Broker as BrokerSettings
from edge.mqtt.connection import Protocol

LARGEST_PACKET: Final = 268_435_455
"""The largest packet that MQTT can express, in bytes."""


@dataclass(frozen=True, slots=True)
class Options:
    """The facts that every connection of one client begins with."""

    settings: BrokerSettings
    password: str | None
    client_id: str
    will: tuple[str, bytes] | None
    """Topic and payload of the last will; None for no will."""
    max_incoming: int
    """The largest packet to accept, in bytes."""
    tls: ssl.SSLContext | None


def make_client(options: Options, protocol: Protocol) -> Client:
    """Return a fresh paho client that is not connected yet and never reconnects by itself."""
    settings = options.settings
    # MQTT 3.1.1 knows sessions that last for ever or not at all
    clean_session = settings.session_expiry_s == 0 if protocol is Protocol.V311 else None
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        clean_session=clean_session,
        protocol=MQTTProtocolVersion(protocol),
        # the next connection has a fresh client, so that nothing is queued twice
        reconnect_on_failure=False,
        manual_ack=True,
    )
    if settings.username is not None or options.password is not None:
        client.username_pw_set(settings.username or "", options.password)
    if options.tls is not None:
        client.tls_set_context(options.tls)
    if options.will is not None:
        topic, payload = options.will
        client.will_set(topic, payload, qos=1, retain=True)
    return client


def connect_arguments(options: Options, protocol: Protocol) -> Mapping[str, Any]:
    """Return the arguments of paho's `connect` that MQTT 5 knows beside host and port."""
    if protocol is not Protocol.V5:
        return {}
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = options.settings.session_expiry_s
    properties.ReceiveMaximum = options.settings.receive_maximum
    properties.MaximumPacketSize = min(options.max_incoming, LARGEST_PACKET)
    return {"clean_start": False, "properties": properties}
