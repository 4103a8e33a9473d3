"""`mammo-edge setup`: from a few answers to a configuration, a credential and a drop-in for systemd. Run by root, as often as wanted."""

import getpass
import grp
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge.errors import ConfigError
from edge.settings import Settings
from edge.settings_example import render

GROUP: Final = "mammo-edge"
SENDERS: Final = "mammo-inbox"
SERVICE_ROOT: Final = Path("/srv/mammo-edge")
CPU_ONLY: Final = """\
PrivateDevices=yes
DeviceAllow=
RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""
"""The same as `systemd/drop-ins/cpu-only.conf`; a test says so."""


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
    coral: bool = False
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
        ConfigError: the file cannot be read.
    """
    if file is None:
        return None
    if file == "-":
        return getpass.getpass("broker password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--password-file: {file}: {getattr(error, 'strerror', 'not text')}"
        raise ConfigError(msg) from None


def ask_for(said: dict[str, str | None], root: Path, instance: str | None) -> dict[str, str | None]:
    """Ask a person at a terminal for what was not said, where the broker was not; an empty answer keeps what is there."""
    if said["broker"] is not None or not sys.stdin.isatty():
        return said
    existing = _existing(_config(root, instance))
    known = {
        "broker": existing.get("broker", {}).get("host", "localhost"),
        "site": existing.get("device", {}).get("site", "site"),
        "device": existing.get("device", {}).get("name", instance or "edge-1"),
    }
    return {key: value or input(f"{key} [{known[key]}]: ").strip() or None for key, value in said.items()}


def plan(answers: Answers, root: Path, resolve: Callable[[str], list[str]]) -> tuple[list[Planned], Settings]:
    """
    What `setup` would write.

    Args:
        answers: what was said.
        root: `/`, or where another system's tree is.
        resolve: a host's addresses, in text; none where it has none.

    Raises:
        ConfigError: an answer makes no configuration.
    """
    if answers.instance is not None and not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", answers.instance):
        msg = f"instance: found {answers.instance!r}, expected lower-case letters, digits, - and _"
        raise ConfigError(msg)
    config = _config(root, answers.instance)
    chosen = _chosen(answers, _existing(config))
    try:
        settings = Settings(**chosen)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(msg) from None
    files = [Planned(config, 0o640, render(chosen))]
    if answers.password is not None:
        secret = config.with_name(f"{answers.instance or 'mqtt'}.password")
        files.append(Planned(secret, 0o600, f"{answers.password}\n", for_group=False))
    drop_in = root / f"etc/systemd/system/{answers.unit}.d/50-setup.conf"
    files.append(Planned(drop_in, 0o644, _drop_in(answers, settings, _nameservers(root), resolve), for_group=False))
    return files, settings


def write(files: list[Planned]) -> None:
    """Write them; each is there whole or not at all, and never readable by others on the way."""
    for file in files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        part = file.path.with_name(f".{file.path.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode), "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), file.mode)
            if file.for_group and (group := _group_id(GROUP)) is not None:
                os.fchown(out.fileno(), -1, group)
            out.write(file.text)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file.path)


def make_folders(settings: Settings, root: Path) -> None:
    """Inbox and archive, where tmpfiles.d did not make them: 2770 for the senders' group, 0750 for the daemon alone."""
    spool = settings.spool
    for path, group, mode in (
        (settings.inbox.path, SENDERS, 0o2770),
        *((path, GROUP, 0o750) for path in (spool.path, spool.done, spool.failed)),
    ):
        folder = root / path.relative_to("/")
        if folder.is_dir():
            continue
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


def _config(root: Path, instance: str | None) -> Path:
    return root / "etc/mammo-edge" / f"{instance or 'edge'}.toml"


def _existing(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"{config}: {getattr(error, 'strerror', None) or error}: remove it or mend it first"
        raise ConfigError(msg) from None


def _chosen(answers: Answers, existing: dict[str, Any]) -> dict[str, Any]:
    """The configuration's tables with the answers in them; other keys stay."""
    chosen: dict[str, Any] = {name: dict(table) if isinstance(table, dict) else table for name, table in existing.items()}
    host, port = _host_and_port(answers.broker) if answers.broker else (None, None)
    tls = {key: str(path) for key in ("ca", "cert", "key") if (path := getattr(answers, key)) is not None}
    values: dict[str, dict[str, object]] = {
        "device": {"site": answers.site, "name": answers.device},
        "broker": {"host": host, "port": port or (8883 if tls and host else None), "username": answers.username},
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
    below = SERVICE_ROOT / instance
    return {
        "device": {"name": instance},
        "inbox": {"path": f"{below}/inbox"},
        "spool": {"path": f"{below}/spool", "done": f"{below}/done", "failed": f"{below}/failed"},
        "state": {"path": f"/var/lib/mammo-edge/{instance}"},
        "control": {"socket": f"/run/mammo-edge-{instance}/control.sock"},
    }


def _host_and_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.endswith("]")):
        return text.strip("[]"), None
    if not port.isdigit():
        msg = f"broker: found {text!r}, expected HOST or HOST:PORT"
        raise ConfigError(msg)
    return host.strip("[]"), int(port)


def _drop_in(answers: Answers, settings: Settings, nameservers: list[str], resolve: Callable[[str], list[str]]) -> str:
    lines = ["# Written by `mammo-edge setup`; write your own changes into another file beside it.", "[Service]"]
    broker = resolve(settings.broker.host)
    if broker:
        allowed = dict.fromkeys(["localhost", *(one for one in (*broker, *nameservers) if not _is_loopback(one))])
        lines += [f"# {settings.broker.host}, and whom we ask for its address.", "IPAddressAllow=", f"IPAddressAllow={' '.join(allowed)}"]
    outside = sorted(str(path) for path in _outside(settings, answers.instance))
    lines += [f"ReadWritePaths=-{path}" for path in outside]
    if not answers.coral:
        lines += ["# No Coral accelerator: no device at all.", CPU_ONLY.rstrip()]
    return "\n".join(lines) + "\n"


def _outside(settings: Settings, instance: str | None) -> Iterator[Path]:
    """Folders that the unit does not let the daemon write."""
    ours = SERVICE_ROOT / instance if instance else SERVICE_ROOT
    spool = settings.spool
    for folder in (settings.inbox.path, spool.path, spool.done, spool.failed):
        if not folder.is_relative_to(ours):
            yield folder


def _nameservers(root: Path) -> list[str]:
    try:
        lines = (root / "etc/resolv.conf").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [words[1].partition("%")[0] for words in fields if len(words) > 1 and words[0] == "nameserver"]


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
