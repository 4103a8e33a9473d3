"""
`mammo-edge setup`: from a few answers to a configuration, a credential and a drop-in for systemd.
Run by root, as often as wanted.
"""

import getpass
import grp
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge.cli.setup import dropin
from edge.config.example import render
from edge.config.settings import DEFAULT_CONFIG, Settings, credential_of, read_secret
from edge.errors import ConfigError
from edge.mqtt.tls import refuse_cleartext
from edge.system.files import whole

STOPPED: Final = "setup: stopped, and nothing was written"
GROUP: Final = "mammo-edge"
SENDERS: Final = "mammo-inbox"
ASKED: Final = {
    "broker": ("broker", "host"),
    "site": ("device", "site"),
    "device": ("device", "name"),
    "inbox": ("inbox", "path"),
}
"""What a person is asked, and where its answer stands in the configuration."""
TAKEN: Final = frozenset(
    {
        "edge",
        "mqtt",
        "keys",
        "inbox",
        "spool",
        "done",
        "failed",
        "models",
        "damaged",
        "lock",
        "open",
    }
)
"""Names that mammo-edge.service itself uses for files and folders where an instance has its own."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said; None keeps what the configuration has."""

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
    """
    Whether the service has access to Coral accelerators; it has none where nobody ever said so.
    """
    instance: str | None = None
    """For mammo-edge@INSTANCE.service."""

    @property
    def unit(self) -> str:
        """The service that this configures."""
        return f"mammo-edge@{self.instance}.service" if self.instance else "mammo-edge.service"


@dataclass(frozen=True, slots=True)
class Planned:
    """A file to write."""

    path: Path
    mode: int
    text: str
    for_group: bool = True
    """Readable by the daemon; else by root alone."""


def read_password(file: str | None) -> str | None:
    """
    The first line of a file; of `-`, what a person types unseen or the standard input brings.

    Raises:
        ConfigError: it cannot be read, or the person does not want to type it.
    """
    if file is None:
        return None
    try:
        if file != "-":
            return Path(file).read_text(encoding="utf-8").partition("\n")[0]
        return (
            getpass.getpass("broker password: ")
            if sys.stdin.isatty()
            else sys.stdin.readline().rstrip("\n")
        )
    except (EOFError, KeyboardInterrupt):
        raise ConfigError(STOPPED) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--password-file: {file}: {getattr(error, 'strerror', 'not text')}"
        raise ConfigError(msg) from None


def ask_for(said: dict[str, str | None], root: Path, instance: str | None) -> dict[str, str | None]:
    """
    Ask a person at a terminal for what was not said, where the broker was not; an empty answer
    keeps what is there.

    Raises:
        ConfigError: the person wants no more questions, or the configuration cannot be read.
    """
    if said["broker"] is not None or not sys.stdin.isatty():
        return said
    _refuse_name(instance)
    known = _known(_existing(_config(root, instance)), instance)
    try:
        return {
            key: value or input(f"{key} [{known[key]}]: ").strip() or None
            for key, value in said.items()
        }
    except (EOFError, KeyboardInterrupt):
        raise ConfigError(STOPPED) from None
    except UnicodeDecodeError:
        msg = "setup: found bytes that are no text in UTF-8, and nothing was written"
        raise ConfigError(msg) from None


def _known(existing: dict[str, Any], instance: str | None) -> dict[str, object]:
    """What stays where a person answers with nothing."""
    places, defaults = _places(instance), Settings()

    def has(section: str, key: str) -> object:
        table = {**places.get(section, {}), **existing.get(section, {})}
        return table.get(key, getattr(getattr(defaults, section), key))

    return {name: has(*key) for name, key in ASKED.items()}


def plan(
    answers: Answers, root: Path, resolve: Callable[[str], list[str]]
) -> tuple[list[Planned], Settings]:
    """
    What `setup` would write.

    Args:
        answers: what was said.
        root: `/`, or where another system's tree is.
        resolve: a host's addresses, in text; none where it has none.

    Raises:
        ConfigError: an answer makes no configuration.
    """
    _refuse_name(answers.instance)
    config = _config(root, answers.instance)
    chosen = _chosen(answers, _existing(config))
    try:
        settings = Settings(**chosen)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(msg) from None
    secret = credential_of(config)
    refuse_cleartext(settings.broker, answers.password or read_secret(settings.broker, {}, secret))
    files = [Planned(config, 0o640, _text(chosen))]
    if answers.password is not None:
        files.append(Planned(secret, 0o600, f"{answers.password}\n", for_group=False))
    written = root / f"etc/systemd/system/{answers.unit}.d/50-setup.conf"
    coral = _has_coral(written) if answers.coral is None else answers.coral
    files.append(
        Planned(
            written,
            0o644,
            dropin.render(settings, answers.instance, root, resolve, coral=coral),
            for_group=False,
        )
    )
    return files, settings


def write(files: list[Planned]) -> None:
    """
    Write them; each is there whole or not at all, and never readable by others on the way.

    Raises:
        ConfigError: one cannot be written; those before it are.
    """
    for file in files:
        try:
            _write(file)
        except OSError as error:
            msg = (
                f"{file.path}: {error.strerror}{'' if os.geteuid() == 0 else ': run setup as root'}"
            )
            raise ConfigError(msg) from None


def _write(file: Planned) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    with whole(file.path, file.mode) as out:
        os.fchmod(out.fileno(), file.mode)
        if file.for_group and (group := _group_id(GROUP)) is not None:
            os.fchown(out.fileno(), -1, group)
        out.write(file.text.encode())


def make_folders(settings: Settings, root: Path) -> None:
    """
    Inbox and archive, where tmpfiles.d did not make them: 2770 for the senders' group, 0750 for the
    daemon alone.

    Raises:
        ConfigError: one cannot be made.
    """
    spool = settings.spool
    for path, group, mode in (
        (settings.inbox.path, SENDERS, 0o2770),
        *((path, GROUP, 0o750) for path in (spool.path, spool.done, spool.failed)),
    ):
        folder = root / path.relative_to("/")
        if folder.is_dir():
            continue
        try:
            _make_folder(folder, group, mode)
        except OSError as error:
            msg = f"{folder}: {error.strerror}"
            raise ConfigError(msg) from None


def _make_folder(folder: Path, group: str, mode: int) -> None:
    folder.mkdir(parents=True)
    if (number := _group_id(group)) is not None:
        shutil.chown(folder, GROUP, number)
    folder.chmod(mode)


def reload_systemd() -> None:
    """Have a running systemd read the drop-in."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "daemon-reload"], check=False)  # noqa: S607 - root's PATH


def check(config: Path) -> int:
    """`mammo-edge check` with the daemon's own rights; its exit status."""
    command = [sys.executable, "-m", "edge", "--config", str(config), "check"]
    if os.geteuid() == 0 and _group_id(GROUP) is not None and (runuser := shutil.which("runuser")):
        command = [runuser, "-u", GROUP, "--", *command]
    return subprocess.run(command, check=False, cwd="/").returncode  # noqa: S603 - ourselves


def addresses(host: str) -> list[str]:
    """The addresses of a host, as the resolver gives them; none where it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]).partition("%")[0] for entry in found})


def _refuse_name(instance: str | None) -> None:
    if instance is None:
        return
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", instance) or instance in TAKEN:
        msg = (
            f"instance: found {instance!r}, expected lower-case letters, digits, "
            f"- and _, and none of {', '.join(sorted(TAKEN))}"
        )
        raise ConfigError(msg)


def _has_coral(written: Path) -> bool:
    """Whether an earlier setup left the service its access."""
    return written.exists() and dropin.CPU_ONLY not in written.read_text(encoding="utf-8")


def _config(root: Path, instance: str | None) -> Path:
    return root / DEFAULT_CONFIG.relative_to("/").with_stem(instance or DEFAULT_CONFIG.stem)


def _existing(config: Path) -> dict[str, Any]:
    """The tables of a configuration. Raises ConfigError."""
    try:
        found = tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"{config}: {getattr(error, 'strerror', None) or error}: remove it or mend it first"
        raise ConfigError(msg) from None
    _refuse_no_table(config, found)
    _refuse_no_table(config, {"broker.tls": found.get("broker", {}).get("tls", {})})
    return found


def _refuse_no_table(config: Path, found: dict[str, Any]) -> None:
    for name, table in found.items():
        if not isinstance(table, dict):
            msg = (
                f"{config}: {name}: found a single value or a list, expected a "
                f"table, [{name}]: remove it or mend it first"
            )
            raise ConfigError(msg)


def _text(chosen: dict[str, Any]) -> str:
    """The configuration file. Raises ConfigError."""
    text = render(chosen)
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = "an answer has bytes that are no text in UTF-8"
        raise ConfigError(msg) from None
    return text


def _chosen(answers: Answers, existing: dict[str, Any]) -> dict[str, Any]:
    """The configuration's tables with the answers in them; other keys stay."""
    chosen: dict[str, Any] = {name: dict(table) for name, table in existing.items()}
    host, port = _host_and_port(answers.broker) if answers.broker else (None, None)
    tls = {
        key: str(path)
        for key in ("ca", "cert", "key")
        if (path := getattr(answers, key)) is not None
    }
    moves = tls and (host or "port" not in existing.get("broker", {}))
    values: dict[str, dict[str, object]] = {
        "device": {"site": answers.site, "name": answers.device},
        "broker": {
            "host": host,
            "port": port or (8883 if moves else None),
            "username": answers.username,
        },
        "inbox": {"path": str(answers.inbox) if answers.inbox else None},
    }
    places = _places(answers.instance)
    for name in places | values:
        said = {key: value for key, value in values.get(name, {}).items() if value is not None}
        chosen[name] = {**places.get(name, {}), **chosen.get(name, {}), **said}
    if tls:
        chosen["broker"]["tls"] = {**chosen["broker"].get("tls", {}), "enabled": True, **tls}
    return {name: table for name, table in chosen.items() if table}


def _places(instance: str | None) -> dict[str, dict[str, str]]:
    """Where an instance has what the service has in one place."""
    if instance is None:
        return {}
    below = dropin.SERVICE_ROOT / instance
    return {
        "device": {"name": instance},
        "inbox": {"path": f"{below}/inbox"},
        "spool": {"path": f"{below}/spool", "done": f"{below}/done", "failed": f"{below}/failed"},
        "state": {"path": str(dropin.STATE_ROOT / instance)},
        "control": {"socket": f"/run/mammo-edge-{instance}/control.sock"},
    }


def _host_and_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.endswith("]")):
        return text.strip("[]"), None
    if not port.isdecimal():
        msg = f"broker: found {text!r}, expected HOST or HOST:PORT"
        raise ConfigError(msg)
    return host.strip("[]"), int(port)


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
