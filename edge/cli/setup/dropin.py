"""
What `mammo-edge setup` tells systemd of one device: whom the service may speak to, where it may
write, whether it has devices.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.errors import ConfigError
from edge.mqtt.tls import is_loopback

SERVICE_ROOT: Final = Path("/srv/mammo-edge")
STATE_ROOT: Final = Path("/var/lib/mammo-edge")
# not ours to write
# not ours to write
HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""What the unit's ProtectHome= and PrivateTmp= take away."""
CPU_ONLY: Final = """\
PrivateDevices=yes
DeviceAllow=
RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""
"""The same as `systemd/drop-ins/cpu-only.conf`; a test says so."""


def render(
    settings: Settings,
    instance: str | None,
    root: Path,
    resolve: Callable[[str], list[str]],
    *,
    coral: bool,
) -> str:
    """
    A drop-in for `mammo-edge.service`, or for one of its instances.

    Args:
        settings: what was configured.
        instance: of mammo-edge@.service; None for mammo-edge.service.
        root: where `etc/resolv.conf` is.
        resolve: a host's addresses, in text; none where it has none.
        coral: whether the service keeps its access to accelerators.

    Raises:
        ConfigError: a folder is one that the service cannot see.
    """
    lines = ["# Written by `mammo-edge setup`; write your own changes into another file beside it."]
    outside = sorted(_outside(settings, instance))
    spool = settings.spool
    if mounts := [
        path
        for path in outside
        if path in {spool.path, spool.done, spool.failed, settings.state.path}
    ]:
        lines += ["[Unit]", f"RequiresMountsFor={' '.join(map(_quoted, mounts))}"]
    lines += ["[Service]"]
    broker = resolve(settings.broker.host)
    if broker:
        allowed = dict.fromkeys(
            ["localhost", *(one for one in (*broker, *_nameservers(root)) if not is_loopback(one))]
        )
        lines += [
            f"# {settings.broker.host}, and whom we ask for its address.",
            "IPAddressAllow=",
            f"IPAddressAllow={' '.join(allowed)}",
        ]
    lines += [f"ReadWritePaths={_quoted(path, '-')}" for path in outside]
    if not coral:
        lines += ["# No Coral accelerator: no device at all.", CPU_ONLY.rstrip()]
    return "\n".join(lines) + "\n"


def _outside(settings: Settings, instance: str | None) -> Iterator[Path]:
    """Folders that the unit does not let the daemon write."""
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
        _refuse_unseen(key, folder)
        if not any(folder.is_relative_to(one) for one in allowed):
            yield folder


def _refuse_unseen(key: str, folder: Path) -> None:
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
    """A path as systemd reads it: in quotes, a percent sign twice. Raises ConfigError."""
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
