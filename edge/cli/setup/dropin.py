"""The systemd drop-in of a device: allowed addresses, writable folders, access to devices."""

import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.errors import ConfigError
from edge.mqtt.tls import is_loopback

SERVICE_ROOT: Final = Path("/srv/mammo-edge")
STATE_ROOT: Final = Path("/var/lib/mammo-edge")
HIDDEN: Final = tuple(
    map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp"))  # noqa: S108 - not to write
)
"""Folders hidden by the unit's ProtectHome= and PrivateTmp=."""
CPU_ONLY: Final = """\
PrivateDevices=yes
DeviceAllow=
RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""
"""The lines of `systemd/drop-ins/cpu-only.conf`; a test compares the two."""


def render(
    settings: Settings,
    instance: str | None,
    root: Path,
    resolve: Callable[[str], list[str]],
    *,
    coral: bool,
) -> str:
    """
    Return the drop-in's text for `mammo-edge.service`, or for one of its instances.

    Args:
        settings: the configuration.
        instance: the name of mammo-edge@NAME.service; None for mammo-edge.service.
        root: the folder of `etc/resolv.conf`.
        resolve: returns a host's addresses as text; an empty list if it has none.
        coral: True if the service keeps its access to accelerators.

    Raises:
        ConfigError: a folder is one that the service cannot see.
    """
    lines = ["# Written by `mammo-edge setup`; write your own changes into another file beside it."]
    outside = sorted(_outside(settings, instance))
    spool = settings.spool
    must_be_mounted = {spool.path, spool.done, spool.failed, settings.state.path}
    if mounts := [path for path in outside if path in must_be_mounted]:
        lines += ["[Unit]", f"RequiresMountsFor={' '.join(map(_quoted, mounts))}"]
    lines += ["[Service]", *_addresses_allowed(_hosts(settings), root, resolve)]
    lines += [f"ReadWritePaths={_quoted(path, '-')}" for path in outside]
    if not coral:
        lines += ["# No Coral accelerator: no device at all.", CPU_ONLY.rstrip()]
    return "\n".join(lines) + "\n"


def addresses(host: str) -> list[str]:
    """Return a host's addresses as the resolver gives them; an empty list if it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]).partition("%")[0] for entry in found})


def _hosts(settings: Settings) -> list[str]:
    """List the machines that the daemon connects to: the broker, and the PACS that gets reports."""
    pacs = settings.pacs.address
    return [settings.broker.host, *([pacs.host] if pacs else [])]


def _addresses_allowed(
    hosts: Sequence[str], root: Path, resolve: Callable[[str], list[str]]
) -> Iterator[str]:
    """Yield the address filter; no line, so the unit's own filter, if a host has no address."""
    found = [resolve(host) for host in hosts]
    if all(found):
        others = [one for one in (*chain(*found), *_nameservers(root)) if not is_loopback(one)]
        yield f"# {' and '.join(hosts)}, and the name servers that know their addresses."
        yield "IPAddressAllow="
        yield f"IPAddressAllow={' '.join(dict.fromkeys(['localhost', *others]))}"


def _outside(settings: Settings, instance: str | None) -> Iterator[Path]:
    """Yield the folders that the unit itself does not let the daemon write."""
    ours, state = (root / instance if instance else root for root in (SERVICE_ROOT, STATE_ROOT))
    jsonl = settings.publish.jsonl
    for key, folder, allowed in (
        ("inbox.path", settings.inbox.path, (ours,)),
        ("spool.path", settings.spool.path, (ours,)),
        ("spool.done", settings.spool.done, (ours,)),
        ("spool.failed", settings.spool.failed, (ours,)),
        ("state.path", settings.state.path, (state,)),
        ("publish.jsonl", jsonl.parent if jsonl else ours, (ours, state)),
    ):
        refuse_unseen(key, folder)
        if not any(folder.is_relative_to(one) for one in allowed):
            yield folder


def refuse_unseen(key: str, folder: Path) -> None:
    """
    Refuse a folder that the service cannot see.

    Raises:
        ConfigError: the path is relative, or below a folder that the unit hides.
    """
    if not folder.is_absolute():
        msg = f"{key}: found {folder}, expected a path that begins with /"
        raise ConfigError(msg)
    if any(folder.is_relative_to(hidden) for hidden in HIDDEN):
        msg = (
            f"{key}: {folder}: the service sees no home or temporary folders: "
            f"choose another place, {SERVICE_ROOT} for example"
        )
        raise ConfigError(msg)


def _quoted(path: Path, before: str = "") -> str:
    """
    Return a path as systemd reads it: in quotes if needed, a percent sign twice.

    Raises:
        ConfigError: the path has control characters.
    """
    text = str(path)
    if any(ord(character) < ord(" ") for character in text):
        msg = f"found {text!r}, expected a path without control characters"
        raise ConfigError(msg)
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{before}{safe}"' if safe != text or " " in text or "'" in text else f"{before}{text}"


def _nameservers(root: Path) -> list[str]:
    try:
        lines = (root / "etc/resolv.conf").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [
        words[1].partition("%")[0]
        for words in fields
        if len(words) > 1 and words[0] == "nameserver"
    ]
