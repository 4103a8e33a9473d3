"""The plan of `mammo-edge setup`: every file with its text, before anything is written."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge.cli.setup import dropin
from edge.cli.setup.certificates import installed
from edge.cli.setup.config_file import edited, tables_of
from edge.cli.setup.instance import config_of, places_of, refuse_name
from edge.config.credentials import read_secret
from edge.config.paths import credential_of
from edge.config.settings import Settings
from edge.errors import ConfigError
from edge.mqtt.tls import refuse_cleartext

PLAIN_SCHEMES: Final = ("mqtt://", "tcp://")
TLS_SCHEMES: Final = ("mqtts://", "ssl://", "tls://")
TLS_PORT: Final = 8883
_WHAT: Final = ("ca", "cert", "key")


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a person; None keeps the configuration's value."""

    broker: str | None = None
    """`HOST` or `HOST:PORT`; an IPv6 address with a port in brackets."""
    site: str | None = None
    device: str | None = None
    inbox: Path | None = None
    username: str | None = None
    password: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    coral: bool | None = None
    """True gives the service access to Coral accelerators; None, at first, gives none."""
    instance: str | None = None
    """The name of mammo-edge@NAME.service; None for mammo-edge.service."""

    @property
    def unit(self) -> str:
        """The service to configure."""
        return f"mammo-edge@{self.instance}.service" if self.instance else "mammo-edge.service"


@dataclass(frozen=True, slots=True)
class Planned:
    """A file to write."""

    path: Path
    mode: int
    text: str
    for_group: bool = True
    """True if the daemon may read the file; otherwise root alone may."""


def plan(
    answers: Answers, root: Path, resolve: Callable[[str], list[str]]
) -> tuple[list[Planned], Settings]:
    """
    Plan every file: configuration, password and certificates if there are any, and drop-in.

    Args:
        answers: the person's.
        root: `/`, or another system's tree.
        resolve: returns a host's addresses as text; an empty list if it has none.

    Raises:
        ConfigError: an answer makes no configuration.
    """
    refuse_name(answers.instance)
    config = config_of(root, answers.instance)
    answers, certificates = _certificates(answers, root)
    text = edited(config, _values(answers, tables_of(config)))
    settings = _settings(tomllib.loads(text))
    secret = credential_of(config)
    refuse_cleartext(settings.broker, answers.password or read_secret(settings.broker, {}, secret))
    files = [Planned(config, 0o640, text)]
    if answers.password is not None:
        files.append(Planned(secret, 0o600, f"{answers.password}\n", for_group=False))
    return [*files, *certificates, _dropin(answers, settings, root, resolve)], settings


def _certificates(answers: Answers, root: Path) -> tuple[Answers, list[Planned]]:
    """Return the answers with the places where certificates and key will lie, and these files."""
    found = {
        what: installed(what, given, root, answers.instance)
        for what in _WHAT
        if (given := getattr(answers, what)) is not None
    }
    files = [
        Planned(root / one.path.relative_to("/"), one.mode, one.text)
        for one in found.values()
        if one.text is not None
    ]
    ca, cert, key = (one.path if (one := found.get(what)) else None for what in _WHAT)
    return replace(answers, ca=ca, cert=cert, key=key), files


def _settings(tables: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**tables)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(msg) from None


def _dropin(
    answers: Answers, settings: Settings, root: Path, resolve: Callable[[str], list[str]]
) -> Planned:
    path = root / f"etc/systemd/system/{answers.unit}.d/50-setup.conf"
    coral = _has_coral(path) if answers.coral is None else answers.coral
    text = dropin.render(settings, answers.instance, root, resolve, coral=coral)
    return Planned(path, 0o644, text, for_group=False)


def _has_coral(written: Path) -> bool:
    """Say if an earlier setup left the service access to accelerators."""
    return written.exists() and dropin.CPU_ONLY not in written.read_text(encoding="utf-8")


def _values(answers: Answers, existing: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """Return the values to set, by table: the answers, and an instance's places unless set."""
    host, port = host_and_port(answers.broker) if answers.broker else (None, None)
    over_tls = (answers.broker or "").lower().startswith(TLS_SCHEMES)
    tls = {
        key: str(path)
        for key in ("ca", "cert", "key")
        if (path := getattr(answers, key)) is not None
    }
    moves = (tls or over_tls) and (host or "port" not in existing.get("broker", {}))
    said: dict[str, dict[str, object]] = {
        "device": {"site": answers.site, "name": answers.device},
        "inbox": {"path": str(answers.inbox) if answers.inbox else None},
        "broker": {
            "host": host,
            "port": port or (TLS_PORT if moves else None),
            "username": answers.username,
        },
        "broker.tls": {"enabled": True, **tls} if tls or over_tls else {},
    }
    values: dict[str, dict[str, object]] = {
        table: {key: place for key, place in keys.items() if key not in existing.get(table, {})}
        for table, keys in places_of(answers.instance).items()
    }
    for table, keys in said.items():
        answered = {key: value for key, value in keys.items() if value is not None}
        values[table] = values.get(table, {}) | answered
    return values


def host_and_port(said: str) -> tuple[str, int | None]:
    """
    Read a broker: a name or address, with or without a port, or its URL.

    Returns:
        The host, and the port if one was named.

    Raises:
        ConfigError: it names no machine, or is a URL of another kind.
    """
    scheme, found, text = said.rpartition("://")
    if found and f"{scheme.lower()}://" not in (*PLAIN_SCHEMES, *TLS_SCHEMES):
        msg = f"broker: found {said!r}, expected HOST, HOST:PORT, mqtt:// or mqtts://"
        raise ConfigError(msg)
    text = text.rstrip("/")
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.endswith("]")):
        host, port = text, ""
    elif not port.isdecimal():
        msg = f"broker: found {said!r}, expected HOST or HOST:PORT"
        raise ConfigError(msg)
    host = host.strip("[]")
    if not re.fullmatch(r"[\w.:%-]+", host) or not _is_name(host):
        msg = f"broker: found {said!r}, expected the name or address of a machine"
        raise ConfigError(msg)
    return host, int(port) if port else None


def _is_name(host: str) -> bool:
    """Say if resolvers take a name: no part of it is empty, or over 63 letters."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True
