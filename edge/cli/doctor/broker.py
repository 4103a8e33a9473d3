"""Checks of the broker: secrecy, connection, access rules, packet size and certificates."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from edge.cli.doctor.acl import ANSWER, NOBODY, Rights, look, published, subscribed
from edge.cli.doctor.finding import Finding, Level, failed, ok, warning
from edge.config.credentials import read_secret
from edge.config.settings import Settings
from edge.daemon.wiring.broker import client_id, max_incoming
from edge.errors import ConfigError
from edge.health import Health
from edge.mqtt import spoken
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Protocol
from edge.mqtt.spoken import Spoken
from edge.mqtt.tls import is_loopback
from edge.mqtt.topics import Topics

BROKER_S: Final = 10.0
"""Seconds to wait for a connection."""
ANSWERS_S: Final = 1.0
"""Seconds to wait for the broker's answers to subscriptions."""
CERTIFICATE_DAYS: Final = 30


def secrecy(settings: Settings, stored: Path | None = None) -> Iterator[Finding]:
    """Warn of traffic that others can read, and of a password that this user cannot read."""
    broker, tls = settings.broker, settings.broker.tls
    if not tls.enabled and (tls.ca or tls.cert):
        advice = "set [broker.tls] enabled"
        yield warning(
            "TLS",
            f"broker.tls names certificates and is not enabled, so none is used: {advice}",
        )
    elif not tls.enabled and not is_loopback(broker.host):
        advice = "set [broker.tls]"
        yield warning(
            "TLS", f"off: everyone on the way to the broker reads images and results: {advice}"
        )
    if stored is not None and stored.exists() and not os.access(stored, os.R_OK):
        yield warning(
            "broker's password",
            f"{stored} is root's: without it the broker may refuse us here; run this as root",
        )


def connection(settings: Settings, stored: Path | None = None) -> Iterator[Finding]:
    """
    Connect under another client id and try what the daemon subscribes to and publishes.

    Messages that arrive meanwhile are not acknowledged: the daemon gets copies of its own.
    """
    health = Health()
    try:
        broker = _client(settings, stored, health)
    except ConfigError as error:
        yield failed("broker", str(error))
        return
    connected = threading.Event()
    broker.on_connect(connected.set)
    for topic in subscribed(settings):
        broker.subscribe(topic, lambda _: None)
    broker.start()
    try:
        if connected.wait(BROKER_S):
            yield from _connected(broker, settings, health)
        else:
            yield _unreachable(settings, health)
    finally:
        broker.stop()


def _client(settings: Settings, stored: Path | None, health: Health) -> MqttClient:
    """
    Make the daemon's client, except its client id, its session, and the topic of its last will.

    The broker may refuse the daemon's connection for its will: for QoS 1, for retain, or by a rule.
    """
    once = settings.broker.model_copy(update={"session_expiry_s": 0})
    return MqttClient(
        once,
        password=read_secret(settings.broker, stored=stored),
        client_id=f"{client_id(settings)}-doctor",
        will=(Topics.of(settings.device).command_ack(NOBODY), ANSWER),
        health=health,
        max_incoming=max_incoming(settings),
        spoken=Spoken(settings.state.path / spoken.NAME, writes=False),
    )


def _unreachable(settings: Settings, health: Health) -> Finding:
    where = f"{settings.broker.host}:{settings.broker.port}"
    why = "; ".join(health.reasons) or "no answer"
    advice = "is it running, does a firewall stop us, are the certificates right?"
    return failed("broker", f"{where}: {why}: {advice}")


def _connected(broker: MqttClient, settings: Settings, health: Health) -> Iterator[Finding]:
    time.sleep(ANSWERS_S)
    told = f"{settings.broker.host}:{settings.broker.port}, MQTT {broker.protocol}"
    if broker.protocol is Protocol.V5:
        yield ok("broker", told)
    else:
        yield warning("broker", f"{told}: a publish that it denies looks delivered")
    if health.reasons:
        yield failed("broker's access rules", "; ".join(health.reasons))
    if broker.protocol is Protocol.V5:
        topics = Topics.of(settings.device)
        rights = look(broker, topics, published(settings))
        yield right_to_publish(rights, topics.prefix)
    yield from _packet(broker, settings)


def right_to_publish(rights: Rights, prefix: str) -> Finding:
    """Sum up the broker's answers for each topic, named below `prefix`."""
    allowed, refused, untried = (
        ", ".join(topic.removeprefix(f"{prefix}/") for topic in topics)
        for topics in (rights.allowed, rights.refused, rights.untried)
    )
    said = []
    if refused:
        advice = "let the device write them, as deploy/broker/mosquitto/mammo-edge.acl does"
        said.append(f"refused: {refused}: {advice}")
    if untried:
        said.append(f"not tried: {untried}: {rights.why}")
    if allowed:
        said.append(f"allowed: {allowed}")
    level = Level.FAILED if refused else Level.WARNING if untried else Level.OK
    return Finding("right to publish", level, "; ".join([*said, "response topics are not tried"]))


def _packet(broker: MqttClient, settings: Settings) -> Iterator[Finding]:
    limit = broker.max_packet
    if limit is not None and limit < settings.worker.max_file_mb * 2**20:
        advice = "images above that must come by folder or request/ref; mosquitto: max_packet_size"
        yield warning("broker's packet limit", f"{limit} bytes: {advice}")


def certificate(
    path: Path,
    now: datetime | None = None,
    what: str = "certificate",
    of_several: Callable[[Iterable[datetime]], datetime] = min,
) -> Finding:
    """
    Check the days that a certificate is still good.

    Args:
        path: certificates in PEM.
        now: for a test; default: the clock's time.
        what: names the finding.
        of_several: `min` for a chain, which ends with its first certificate; `max` for
            authorities, any of which will do.
    """
    try:
        until = of_several(
            one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes())
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a certificate in PEM"
        return failed(what, f"{path}: {why}")
    left = (until - (now or datetime.now(UTC))).days
    if left >= CERTIFICATE_DAYS:
        return ok(what, f"{left} days left")
    advice = "make another, deploy/broker/tls/make-certificates"
    level = Level.FAILED if left < 0 else Level.WARNING
    return Finding(what, level, f"{left} days left: {advice}")
