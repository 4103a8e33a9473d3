"""The sections about connections: broker, intake, publishing, control, metrics and discovery."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from edge.config.section import Level, Seconds, Section


class Tls(Section):
    """TLS to the broker; 1.2 or later, host name checked."""

    enabled: bool = False
    """Speak TLS. The broker's port for it is usually 8883."""
    ca: Path | None = None
    """The broker's certificate authority. Default: the system's."""
    cert: Path | None = None
    """This device's certificate, for mutual authentication."""
    key: Path | None = None
    """The certificate's private key."""

    @model_validator(mode="after")
    def _cert_has_key(self) -> "Tls":
        if (self.cert is None) != (self.key is None):
            msg = "cert and key belong together: found one of them"
            raise ValueError(msg)
        return self


class Broker(Section):
    """The MQTT broker."""

    host: Annotated[str, Field(min_length=1)] = "localhost"
    """Name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    """TCP port."""
    username: str | None = None
    """User name, if the broker wants one."""
    password: SecretStr | None = None
    """Password. Better: password_file, or the systemd credential `mqtt-password`."""
    password_file: Path | None = None
    """A file whose first line is the password."""
    allow_cleartext_password: bool = False
    """
    Send the password also without TLS to a broker on another machine, where everyone on the way can
    read it.
    """
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """
    The MQTT version to speak. `auto` is 5, or 3.1.1 with a broker that does not know 5 or, having
    never spoken it, closes such connections unanswered.
    """
    client_id: str | None = None
    """Unique at the broker. Default: mammo-edge-<site>-<name>."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds of silence after which either side asks if the other is there."""
    ack_s: Annotated[float, Field(gt=0, le=15)] = 10.0
    """Seconds to wait for the broker's PUBACK while nothing at all comes from it."""
    receive_maximum: Annotated[int, Field(ge=1, le=100)] = 4
    """Requests the broker may send before the first is acknowledged."""
    session_expiry_s: Annotated[int, Field(ge=0)] = 7 * 24 * 3600
    """Seconds that the broker keeps requests for this device while it is away."""
    tls: Tls = Tls()


class Intake(Section):
    """Sources of images."""

    folder: bool = True
    """Watch the inbox."""
    mqtt: bool = True
    """Take request/image and request/ref from the broker."""
    shared_group: Level | None = None
    """Also share mammo/v1/<site>/request/image with the devices of this group."""
    commands: tuple[
        Literal[
            "replay", "reload", "model/list", "model/install", "model/activate", "model/rollback"
        ],
        ...,
    ] = ()
    """
    Commands that are obeyed over MQTT. Whoever may publish to command/<name> may give them: let the
    broker's access rules say who.
    """
    feedback: tuple[Literal["biopsy", "follow-up", "reader"], ...] = ()
    """
    Verdicts that are taken over MQTT, on `feedback`, by what they rest on. Whoever may publish
    there may give them.
    """


class Publish(Section):
    """Destinations of results."""

    mqtt: bool = True
    """Publish to the broker."""
    jsonl: Path | None = None
    """Also append every result, one JSON line each, to this file."""
    heatmap: bool = True
    """Send the model's coarse heat map with a result."""
    response_prefix: str = "mammo/"
    """Requests may only name response topics that begin with this."""
    reply_expiry_s: Seconds = 3600.0
    """
    A reply that could not be delivered for this many seconds is given up; the result stays in the
    ledger.
    """
    subject_key_file: Path | None = None
    """
    The key (16 bytes or more) of the HMAC that stands for DICOM UIDs in results. Default: no
    subject is sent.
    """
    health_s: Seconds = 60.0
    """Seconds between messages on `health`."""


class Exam(Section):
    """
    Results of whole exams, on the topic `exam`, if the model's bundle calibrates breasts.

    Images belong together by their Study Instance UID, else by the reference that their sender
    gives.
    """

    enabled: bool | None = None
    """
    Publish results of exams. Default: yes, unless the device publishes nothing over MQTT or shares
    requests with others, each of which would see a part of an exam.
    """
    folders: bool = False
    """
    Also take the files of one folder below the inbox for one exam, if they name no study. Only for
    inboxes in which each exam gets a folder of its own, of a name that never comes again.
    """
    quiet_s: Seconds = 600.0
    """
    Seconds without a further image after which an exam is published that has not CC and MLO of both
    breasts.
    """
    latest_s: Seconds = 5400.0
    """Seconds after its first image at which it is published at the latest."""


class Control(Section):
    """The socket of `mammo-edge status`, `retry`, `reload`, `model activate` and `rollback`."""

    socket: Path = Path("/run/mammo-edge/control.sock")
    """The socket's path; mode 0660."""


class Metrics(Section):
    """
    Numbers for Prometheus on /metrics, and /livez and /readyz, over HTTP without a password.

    Off unless a port is set.
    """

    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """TCP port; 9464 is usual."""
    address: str = "127.0.0.1"
    """
    The address to listen on; by default only this machine can connect. The numbers name no patient,
    but any other address is yours to protect.
    """


class HomeAssistant(Section):
    """
    Home Assistant's MQTT discovery: this device and its sensors appear there by themselves.

    Off unless enabled.
    """

    enabled: bool = False
    """
    Keep one retained message below the prefix; the next start after switching this off clears it.
    """
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=64)] = (
        "homeassistant"
    )
    """Home Assistant's discovery prefix."""
