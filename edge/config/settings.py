"""
Configuration: a TOML file, overridden by MAMMO_EDGE_SECTION__KEY. Unknown keys and variables are
refused.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from edge.domain import Implants
from edge.errors import ConfigError

DEFAULT_CONFIG: Final = Path("/etc/mammo-edge/edge.toml")
PREFIX: Final = "MAMMO_EDGE_"

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Level = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
"""One level of an MQTT topic: lower case, no wildcard, no slash."""


class Section(BaseModel):
    """One table of the TOML file."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Device(Section):
    """
    Who this device is: the levels of its topics, `mammo/v1/<site>/<name>/...`. Never a patient's or
    a person's name.
    """

    site: Level = "site"
    """The clinic or practice."""
    name: Level = "edge-1"
    """This device, unique within the site."""


class Inbox(Section):
    """The watched folder."""

    path: Path = Path("/srv/mammo-edge/inbox")
    """
    Imaging devices write here. Dot files, *.part and *.tmp are left alone; folders below it are
    watched too.
    """
    quiet_s: Seconds | None = None
    """
    A file not seen being closed or moved in is ready once unchanged for this long. Default: 2, or
    10 on a network file system.
    """
    rescan_s: Seconds = 60.0
    """How often the folder is listed whole, whatever the events said."""
    poll: Literal["auto", "always", "never"] = "auto"
    """
    List the folder every poll_s instead of waiting for events; `auto` does so on SMB, NFS and FUSE,
    which raise none.
    """
    poll_s: Seconds = 2.0
    """How often a polled folder is listed."""


class Spool(Section):
    """
    Where images wait and where they go. Best on the same file system as the inbox: claiming is then
    a rename.
    """

    path: Path = Path("/srv/mammo-edge/spool")
    """Images that were taken and not yet archived."""
    done: Path = Path("/srv/mammo-edge/done")
    """Scored images, each beside its result JSON."""
    failed: Path = Path("/srv/mammo-edge/failed")
    """Rejected images, each beside its result JSON."""
    max_waiting: Count = 1000
    """
    Intake stops, and MQTT requests stay with the broker, while this many images wait for a worker.
    """
    min_free_mb: Annotated[int, Field(ge=0)] = 256
    """Intake stops while the spool's file system has less free space than this."""


class Retention(Section):
    """
    How long things are kept. Never removed: what is not delivered yet, and files in done or failed
    that mammo-edge did not put there.
    """

    done_days: Annotated[float, Field(ge=0)] = 30.0
    """
    Scored images and their JSON go from done after so many days; 0 keeps them while there is room.
    """
    failed_days: Annotated[float, Field(ge=0)] = 90.0
    """
    Rejected images and their JSON go from failed after so many days, and ledgers that were set
    aside as damaged; 0 keeps them while there is room.
    """
    results_days: Annotated[float, Field(ge=0)] = 365.0
    """
    Results go from the ledger after so many days, once their image's file is gone; 0 keeps them
    while there is room.
    """
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    """
    While the file system of done has less free space, the oldest images in done go, then those in
    failed; of the ledger's, the oldest results whose files are gone. More than [spool] min_free_mb,
    else intake stops first.
    """


class State(Section):
    """What must survive a restart."""

    path: Path = Path("/var/lib/mammo-edge")
    """The ledger and its lock; one daemon a folder."""


class Model(Section):
    """The model and how it is run."""

    bundle: Path | None = None
    """
    A bundle's folder, yours to vouch for: its signature is not looked at. Default: what `mammo-edge
    model activate` chose, else the one that comes with the package.
    """
    keys: Path = Path("/etc/mammo-edge/keys")
    """Public keys (Ed25519, PEM, NAME.pub) of those whose bundles may be installed."""
    allow_unsigned: bool = False
    """Also install bundles that nobody signed."""
    trial_images: Annotated[int, Field(ge=0)] = 20
    """
    A newly activated model is on trial for so many images: if two of them get no score, or from 10
    on nearly all are refused or indeterminate and were not before, the former one is taken back. 0
    puts no model on trial.
    """
    install_from: Path | None = None
    """
    A folder; command/model/install may name bundles in it, and none anywhere else. Default: it may
    name none.
    """
    max_fetch_mb: Count = 64
    """Bundles that model/available announces may have so many MiB."""
    fetch_s: Seconds = 60.0
    """How long to wait for the announcement, and for each chunk of a bundle, in seconds."""
    shadow: str | None = None
    """
    An installed bundle, by its version or the beginning of its id, that sees every image too and
    decides nothing: its results go to shadow/result. It takes a worker more.
    """
    operating_point: str | None = None
    """A name from the bundle's manifest. Default: the bundle's own."""
    backend: Literal["auto", "cpu", "litert", "tflite-runtime", "edgetpu"] = "auto"
    """
    `cpu` takes litert where it is installed, else tflite-runtime. `auto` does the same, but takes a
    Coral accelerator where one is plugged in, the bundle has a file compiled for it, and
    worker.count is 1. `edgetpu` insists on the accelerator: without it the processor works, and the
    state is `degraded`.
    """
    edgetpu_library: str = "libedgetpu.so.1"
    """The Coral accelerator's library, by name or path."""
    edgetpu_device: Annotated[str, Field(pattern=r"^(usb|pci)?(:[0-9]+)?$")] = ""
    """Which accelerator, where there are several: usb, pci, usb:0, pci:1. Default: any."""
    edgetpu_retry_s: Seconds = 300.0
    """How long after the accelerator was lost, or not to be had, it is tried again."""
    threads: Count = 1
    """Threads of one inference. Two help from 384 px on, not below."""
    implants: Implants = "flag"
    """
    Breasts with implants, by their DICOM tag: `flag` scores them and says so, `accept` says
    nothing, `reject` gives no score.
    """

    @property
    def processor_backend(self) -> str:
        """The runtime of what the processor computes: `auto`, `litert` or `tflite-runtime`."""
        return "auto" if self.backend in {"cpu", "edgetpu"} else self.backend


class Worker(Section):
    """Processes that decode and score, and what one image may cost."""

    count: Count = 1
    """How many."""
    timeout_s: Seconds = 60.0
    """
    A worker that needs longer for one image is killed; the second time the image is rejected as
    poison.
    """
    cpu_s: Seconds = 120.0
    """
    Processor time that one image may take, all threads together; more is treated like timeout_s.
    """
    memory_mb: Annotated[int, Field(ge=512)] = 4096
    """Address space of one worker."""
    max_file_mb: Count = 256
    """Larger files are rejected unread."""
    max_megapixels: Count = 100
    """Images with more pixels are rejected undecoded."""


class Tls(Section):
    """TLS to the broker; 1.2 or later, host name checked."""

    enabled: bool = False
    """Speak TLS. The broker's port for it is usually 8883."""
    ca: Path | None = None
    """The broker's certificate authority. Default: the system's."""
    cert: Path | None = None
    """This device's certificate, for mutual authentication."""
    key: Path | None = None
    """Its private key."""

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
    """User name, where the broker wants one."""
    password: SecretStr | None = None
    """Password. Better: password_file, or the systemd credential `mqtt-password`."""
    password_file: Path | None = None
    """A file whose first line is the password."""
    allow_cleartext_password: bool = False
    """
    Send the password also without TLS to a broker on another machine, where everyone on the way can
    read it.
    """
    client_id: str | None = None
    """Unique at the broker. Default: mammo-edge-<site>-<name>."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds of silence after which either side asks whether the other is there."""
    ack_s: Annotated[float, Field(gt=0, le=15)] = 10.0
    """How long to wait for the broker's PUBACK, in seconds, while nothing at all comes from it."""
    receive_maximum: Annotated[int, Field(ge=1, le=100)] = 4
    """Requests the broker may send before the first is acknowledged."""
    session_expiry_s: Annotated[int, Field(ge=0)] = 7 * 24 * 3600
    """How long the broker keeps requests for us while we are away, in seconds."""
    tls: Tls = Tls()


class Intake(Section):
    """Where images come from."""

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


class Publish(Section):
    """Where results go."""

    mqtt: bool = True
    """Publish to the broker."""
    jsonl: Path | None = None
    """Also append every result, one JSON line each, to this file."""
    heatmap: bool = True
    """Send the model's coarse heat map with a result."""
    response_prefix: str = "mammo/"
    """Requests may only name response topics that begin so."""
    reply_expiry_s: Seconds = 3600.0
    """
    A reply that could not be delivered for this long is given up; the result stays in the ledger.
    """
    subject_key_file: Path | None = None
    """
    Key (16 bytes or more) of the HMAC that stands for DICOM UIDs in results. Default: no subject is
    sent.
    """
    health_s: Seconds = 60.0
    """How often `health` is published."""


class Control(Section):
    """
    The Unix socket of `mammo-edge status`, `retry`, `reload`, `model activate` and `model
    rollback`.
    """

    socket: Path = Path("/run/mammo-edge/control.sock")
    """Its path; mode 0660."""


class Metrics(Section):
    """
    Numbers for Prometheus on /metrics, and /livez and /readyz, over HTTP, without a password. Off
    unless a port stands here.
    """

    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """TCP port; 9464 is usual."""
    address: str = "127.0.0.1"
    """
    Whom it answers: this machine. Nothing in it names a patient; anything but this machine is still
    yours to protect.
    """


class HomeAssistant(Section):
    """
    Home Assistant's MQTT discovery: this device and its sensors appear there by themselves. Off
    unless enabled.
    """

    enabled: bool = False
    """Keep one retained message below the prefix; switched off again, the next start clears it."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=64)] = (
        "homeassistant"
    )
    """Its discovery prefix."""


class Log(Section):
    """What is said on stderr, for the journal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity shown."""


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__"
    )

    device: Device = Device()
    inbox: Inbox = Inbox()
    spool: Spool = Spool()
    retention: Retention = Retention()
    state: State = State()
    model: Model = Model()
    worker: Worker = Worker()
    broker: Broker = Broker()
    intake: Intake = Intake()
    publish: Publish = Publish()
    control: Control = Control()
    metrics: Metrics = Metrics()
    homeassistant: HomeAssistant = HomeAssistant()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names the parameters
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """
        What `load` merged and nothing else: the environment is read once, before it is cleaned for
        the workers.
        """
        return (init_settings,)

    @model_validator(mode="after")
    def _nothing_of_ours_in_the_inbox(self) -> "Settings":
        inbox = self.inbox.path.resolve()
        ours = {
            "spool.path": self.spool.path,
            "spool.done": self.spool.done,
            "spool.failed": self.spool.failed,
            "state.path": self.state.path,
        }
        for key, folder in ours.items():
            if folder.resolve().is_relative_to(inbox):
                msg = (
                    f"{key}: {folder} lies in the inbox {self.inbox.path}: what is "
                    "put there would be taken for a new image"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_process_on_an_accelerator(self) -> "Settings":
        if self.model.backend == "edgetpu" and self.worker.count != 1:
            msg = (
                f"worker.count is {self.worker.count}, expected 1: model.backend is "
                "edgetpu, and one process has the accelerator"
            )
            raise ValueError(msg)
        return self

    @property
    def uses_broker(self) -> bool:
        """Whether there is to be a connection to a broker."""
        return self.publish.mqtt or self.intake.mqtt

    @property
    def topic_prefix(self) -> str:
        """`mammo/v1/<site>/<name>`."""
        return f"mammo/v1/{self.device.site}/{self.device.name}"


Overrides: TypeAlias = dict[str, Any]
"""What the environment says, by section and key."""


def read_environment() -> Overrides:
    """
    Read the variables MAMMO_EDGE_SECTION__KEY.

    Raises:
        ConfigError: a variable names no section, or a section and no key.
    """
    for variable in filter(is_ours, os.environ):
        path = variable[len(PREFIX) :].lower().split("__")
        if path[0] not in Settings.model_fields:
            msg = (
                f"{variable}: unknown variable, expected {PREFIX}SECTION__KEY "
                f"with one of {', '.join(Settings.model_fields)}"
            )
            raise ConfigError(msg)
        if _is_section(path):
            msg = (
                f"{variable}: a section, expected {variable}__KEY with "
                f"one of {', '.join(_known_keys(path))}"
            )
            raise ConfigError(msg)
    return EnvSettingsSource(Settings)()


def is_ours(variable: str) -> bool:
    """Whether an environment variable configures us, in capitals or not."""
    return variable.upper().startswith(PREFIX)


def load(path: Path | None = None, overrides: Overrides | None = None) -> Settings:
    """
    Read the configuration.

    Args:
        path: the TOML file; by default /etc/mammo-edge/edge.toml, which may be absent.
        overrides: what the environment said; by default it is asked.

    Raises:
        ConfigError: the file cannot be read, or a key or variable is wrong or unknown; the text
            names it, never a value.
    """
    overrides = read_environment() if overrides is None else overrides
    file = path or DEFAULT_CONFIG
    data = _read_toml(file) if path or _may_exist(file) else {}
    _refuse_unknown(data, file)
    try:
        return Settings(**_merge(data, overrides))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(_explain(first, file, overrides)) from None


def credential_of(config: Path) -> Path:
    """
    Where `mammo-edge setup` puts the broker's password for a configuration file, and systemd's
    LoadCredential= takes it from.
    """
    return config.with_name(
        "mqtt.password" if config.name == DEFAULT_CONFIG.name else f"{config.stem}.password"
    )


def unit_of(config: Path) -> str:
    """
    The service that has a configuration file: mammo-edge@.service has one for each of its
    instances.
    """
    return (
        "mammo-edge.service"
        if config.name == DEFAULT_CONFIG.name
        else f"mammo-edge@{config.stem}.service"
    )


def read_secret(
    section: Broker, environ: Mapping[str, str] = os.environ, stored: Path | None = None
) -> str | None:
    """
    The broker's password: from the settings, the file they name, or systemd's credential
    `mqtt-password`.

    Args:
        section: the settings.
        environ: where systemd names its credentials.
        stored: what systemd makes the credential of, for a command that it did not start; asked
            only where it can be read.

    Raises:
        ConfigError: the file cannot be read.
    """
    if section.password is not None:
        return section.password.get_secret_value()
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / "mqtt-password"
    readable = stored if stored and os.access(stored, os.R_OK) else None
    file = section.password_file or (credential if credential.exists() else readable)
    if file is None:
        return None
    try:
        return file.read_text().partition("\n")[0] or None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"broker.password_file: {file}: {getattr(error, 'strerror', 'not text')}"
        raise ConfigError(msg) from None


def _may_exist(file: Path) -> bool:
    """
    False only where it is known to be absent: a folder that we may not look into is an error to
    tell, not an empty configuration.
    """
    try:
        return file.exists()
    except PermissionError:
        return True


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{file}: {error.strerror}"
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{file}: not TOML: {error}"
    raise ConfigError(msg)


def _refuse_unknown(data: Mapping[str, object], file: Path) -> None:
    sections = Settings.model_fields
    for name in data:
        if name not in sections:
            msg = f"{file}: [{name}]: unknown, expected one of {', '.join(sections)}"
            raise ConfigError(msg)


def _merge(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    for key, value in overrides.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


# pydantic's ErrorDetails
# pydantic's ErrorDetails
def _explain(error: Any, file: Path, overrides: Overrides) -> str:  # noqa: ANN401
    path = [str(part) for part in error["loc"]]
    source = (
        PREFIX + "__".join(path).upper()
        if path and _holds(overrides, path)
        else ": ".join(filter(None, [str(file), ".".join(path)]))
    )
    if error["type"] != "extra_forbidden":
        return f"{source}: {error['msg'].removeprefix('Value error, ')}"
    return f"{source}: unknown key, expected one of {', '.join(_known_keys(path[:-1]))}"


def _holds(overrides: Any, path: list[str]) -> bool:  # noqa: ANN401 - a tree of dicts
    for name in path:
        if not isinstance(overrides, dict) or name not in overrides:
            return False
        overrides = overrides[name]
    return True


def _is_section(path: list[str]) -> bool:
    default: Any = Settings()
    for name in path:
        default = getattr(default, name, None)
    return isinstance(default, Section)


def _known_keys(section: list[str]) -> list[str]:
    model: Any = Settings
    for name in section:
        model = model.model_fields[name].annotation
    return list(model.model_fields)
