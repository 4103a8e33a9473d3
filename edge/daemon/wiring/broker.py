"""Everything that needs the connection to the broker, except the results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from edge.config.settings import Settings
from edge.contract import messages
from edge.contract.info import Info
from edge.daemon.control.audited import AuditedHandler, Handler
from edge.daemon.control.feedback import over_mqtt
from edge.daemon.control.mqtt import CommandIntake
from edge.daemon.intake import Receiver
from edge.daemon.intake.mqtt import MqttIntake
from edge.daemon.intake.references import ReferenceIntake
from edge.daemon.intake.suspects import Suspects
from edge.daemon.telemetry import homeassistant, status
from edge.daemon.telemetry.info import InfoPublisher
from edge.errors import Unavailable
from edge.health import Health
from edge.mqtt import spoken
from edge.mqtt.client import MqttClient
from edge.mqtt.spoken import Spoken
from edge.mqtt.topics import FEEDBACK, Topics, shared_request_image
from edge.storage.audit import Caller

Requests: TypeAlias = tuple[MqttIntake, ReferenceIntake] | None
"""The loops that take requests, if they are configured."""
Handlers: TypeAlias = Mapping[str, AuditedHandler]
"""The function that obeys each command of the control socket, by its name."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Functions that make what the broker is told besides `status`."""

    health: Callable[[], messages.Health]
    info: Callable[[], Info]


def connect(settings: Settings, password: str | None, health: Health) -> MqttClient | None:
    """Make the client, not yet started; None if the configuration needs no broker."""
    if not settings.uses_broker:
        return None
    return MqttClient(
        settings.broker,
        password=password,
        client_id=client_id(settings),
        will=(Topics.of(settings.device).status, status.offline()),
        health=health,
        max_incoming=max_incoming(settings),
        spoken=Spoken(settings.state.path / spoken.NAME),
    )


def client_id(settings: Settings) -> str:
    """Return the daemon's client id."""
    device = settings.device
    return settings.broker.client_id or f"mammo-edge-{device.site}-{device.name}"


def max_incoming(settings: Settings) -> int:
    """Return the largest packet that the daemon takes, in bytes."""
    return settings.worker.max_file_mb * 2**20 + 65536


def requests(
    settings: Settings,
    client: MqttClient | None,
    receiver: Receiver,
    health: Health,
    suspects: Suspects,
) -> Requests:
    """Subscribe the requests, if they are configured."""
    if client is None or not settings.intake.mqtt:
        return None
    group = settings.intake.shared_group
    references = ReferenceIntake(receiver, health, suspects)
    intake = MqttIntake(
        client,
        receiver,
        health,
        suspects,
        wake_references=references.wake,
        topics=Topics.of(settings.device),
        response_prefix=settings.publish.response_prefix,
        shared=(group, shared_request_image(settings.device.site)) if group else None,
    )
    return intake, references


def commands(
    settings: Settings,
    client: MqttClient | None,
    health: Health,
    handlers: Handlers,
    suspects: Suspects,
) -> CommandIntake | None:
    """Subscribe the commands and verdicts that are allowed, obeyed as on the control socket."""
    names, bases = settings.intake.commands, settings.intake.feedback
    if client is None or not settings.publish.mqtt or not (names or bases):
        return None
    topics = Topics.of(settings.device)
    allowed = {
        str(name): _for(handlers[name.replace("/", "-")], Caller(topic=topics.command(name)))
        for name in names
    }
    if bases:
        allowed[FEEDBACK] = over_mqtt(handlers[FEEDBACK], bases, Caller(topic=topics.feedback))
    return CommandIntake(client, health, topics, allowed, suspects)


def _for(handler: AuditedHandler, caller: Caller) -> Handler:
    return lambda request: handler(request, caller)


def announce(
    announcer: status.Announcer,
    settings: Settings,
    client: MqttClient | None,
    health: Health,
    make: Messages,
) -> None:
    """Have the broker told of state, health and facts, and Home Assistant of the device."""
    if client is None:
        return
    discovery = homeassistant.Discovery(
        client, health, settings.state.path, homeassistant.discovery_messages(settings)
    )
    client.on_connect(health.changed.set)
    topics = Topics.of(settings.device)
    told = status.StatusPublisher(client, topics, health, make.health, settings.publish.health_s)
    facts = InfoPublisher(client, topics.info, health, make.info)
    announcer.attach(told, facts.turn, discovery.turn)


def fetcher(settings: Settings, client: MqttClient | None) -> Callable[[str], bytes]:
    """Make the function that fetches what is retained on `model/available`, or below it."""

    def fetch(below: str) -> bytes:
        if client is None:
            msg = "no broker is configured"
            raise Unavailable(msg)
        topic = Topics.of(settings.device).model_available + below
        return client.fetch(topic, settings.model.fetch_s)

    return fetch
