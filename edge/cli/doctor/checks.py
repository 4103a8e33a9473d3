"""
`mammo-edge doctor`: what may be wrong around the daemon, each with what to do about it. Looks, asks
the broker, changes nothing.
"""

import contextlib
import ctypes
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge.cli.check import findings
from edge.cli.doctor.acl import Rights, look, published, subscribed
from edge.config.settings import Settings, read_secret
from edge.daemon.intake.inotify import NETWORK, filesystem_of
from edge.daemon.workers.servable import BACKEND, lock_of, open_store
from edge.errors import ConfigError, MammoEdgeError
from edge.health import Health
from edge.models.bundle import MANIFEST, read_manifest
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Protocol
from edge.mqtt.tls import is_loopback
from edge.system.coral import BUSY, Device, busy, devices, read

SERVICE: Final = "mammo-edge.service"
BROKER_S: Final = 10.0
ANSWERS_S: Final = 1.0
"""For the broker's answers to our subscriptions, in seconds."""
CERTIFICATE_DAYS: Final = 30
LEAST_WATCHES: Final = 8192
HOT_C: Final = 80.0
USB3_MBIT: Final = 5000
BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock before this is wrong."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    what: str
    level: Level
    detail: str
    """What was found and, where it is not well, what to do."""


def examine(
    settings: Settings, root: Path = Path("/"), stored: Path | None = None, unit: str = SERVICE
) -> Iterator[Finding]:
    """
    Look at one thing after the other.

    Args:
        settings: what was configured.
        root: where `proc`, `sys` and `run` are.
        stored: where `mammo-edge setup` puts the broker's password.
        unit: the service that has these settings.
    """
    for what, right, detail in findings(settings, stored):
        yield Finding(what, Level.OK if right else Level.FAILED, detail)
    if settings.uses_broker:
        yield from secrecy(settings, stored)
        yield from _broker(settings, stored)
    tls = settings.broker.tls
    if tls.cert is not None:
        yield certificate(tls.cert)
    if tls.ca is not None:
        yield certificate(tls.ca, what="broker's authority", of_several=max)
    yield inbox(settings.inbox.path)
    yield watches(root)
    yield disk(settings)
    yield clock(root)
    yield processor(root)
    yield temperature(root)
    yield coral(root, settings, unit)


def secrecy(settings: Settings, stored: Path | None = None) -> Iterator[Finding]:
    """
    Who on the way to the broker can read what is sent, and whether we may read the password that
    the daemon has.
    """
    broker, tls = settings.broker, settings.broker.tls
    if not tls.enabled and (tls.ca or tls.cert):
        yield Finding(
            "TLS",
            Level.WARNING,
            "broker.tls names certificates and is not enabled, so "
            "none is used: set [broker.tls] enabled",
        )
    elif not tls.enabled and not is_loopback(broker.host):
        yield Finding(
            "TLS",
            Level.WARNING,
            "off: everyone on the way to the broker reads images and results: set [broker.tls]",
        )
    if stored is not None and stored.exists() and not os.access(stored, os.R_OK):
        yield Finding(
            "broker's password",
            Level.WARNING,
            f"{stored} is root's: without it the broker may refuse us here; run this as root",
        )


def _broker(settings: Settings, stored: Path | None = None) -> Iterator[Finding]:
    """
    Connect under another client id, try what the daemon subscribes and publishes; messages that
    come meanwhile are given back unread.
    """
    where = f"{settings.broker.host}:{settings.broker.port}"
    health = Health()
    try:
        once = settings.broker.model_copy(update={"session_expiry_s": 0})
        broker = MqttClient(
            once,
            password=read_secret(settings.broker, stored=stored),
            client_id=f"mammo-edge-doctor-{settings.device.site}-{settings.device.name}",
            will=None,
            health=health,
            max_incoming=settings.worker.max_file_mb * 2**20 + 65536,
        )
    except ConfigError as error:
        yield Finding("broker", Level.FAILED, str(error))
        return
    connected = threading.Event()
    broker.on_connect(connected.set)
    for topic in subscribed(settings):
        broker.subscribe(
            topic, lambda _: None
        )  # what comes is not acknowledged: the daemon's own copy is another
    broker.start()
    try:
        if not connected.wait(BROKER_S):
            why = "; ".join(health.reasons) or "no answer"
            advice = "is it running, does a firewall stop us, are the certificates right?"
            yield Finding("broker", Level.FAILED, f"{where}: {why}: {advice}")
            return
        time.sleep(ANSWERS_S)
        old = "" if broker.protocol is Protocol.V5 else ": a publish that it denies looks delivered"
        yield Finding(
            "broker", Level.WARNING if old else Level.OK, f"{where}, MQTT {broker.protocol}{old}"
        )
        if health.reasons:
            yield Finding("broker's access rules", Level.FAILED, "; ".join(health.reasons))
        if broker.protocol is Protocol.V5:
            yield right_to_publish(
                look(broker, settings.topic_prefix, published(settings)), settings.topic_prefix
            )
        yield from _packet(broker, settings)
    finally:
        broker.stop()


def right_to_publish(rights: Rights, prefix: str) -> Finding:
    """What the broker said of each topic."""
    allowed, refused, untried = (
        ", ".join(topic.removeprefix(f"{prefix}/") for topic in topics)
        for topics in (rights.allowed, rights.refused, rights.untried)
    )
    said = (
        [
            (
                f"refused: {refused}: let the device write them, as "
                "deploy/broker/mosquitto/mammo-edge.acl does"
            )
        ]
        if refused
        else []
    )
    said += [f"not tried: {untried}: {rights.why}"] if untried else []
    said += [f"allowed: {allowed}"] if allowed else []
    level = Level.FAILED if refused else Level.WARNING if untried else Level.OK
    return Finding("right to publish", level, "; ".join([*said, "response topics are not tried"]))


def _packet(broker: MqttClient, settings: Settings) -> Iterator[Finding]:
    limit = broker.max_packet
    if limit is not None and limit < settings.worker.max_file_mb * 2**20:
        advice = "images above that must come by folder or request/ref; mosquitto: max_packet_size"
        yield Finding("broker's packet limit", Level.WARNING, f"{limit} bytes: {advice}")


def certificate(
    path: Path,
    now: datetime | None = None,
    what: str = "certificate",
    of_several: Callable[[Iterable[datetime]], datetime] = min,
) -> Finding:
    """
    How long a certificate is still good, from now on; a chain is as good as its first to end, a
    choice of authorities as its last.
    """
    from cryptography import x509  # noqa: PLC0415 - nobody else in this process needs it

    try:
        until = of_several(
            one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes())
        )
    except (OSError, ValueError) as error:
        return Finding(
            what,
            Level.FAILED,
            f"{path}: {getattr(error, 'strerror', None) or 'not a certificate in PEM'}",
        )
    left = (until - (now or datetime.now(UTC))).days
    level = Level.FAILED if left < 0 else Level.WARNING if left < CERTIFICATE_DAYS else Level.OK
    return Finding(
        what,
        level,
        f"{left} days "
        f"left{'' if level is Level.OK else ': make another, deploy/broker/tls/make-certificates'}",
    )


def inbox(folder: Path) -> Finding:
    """Whether its file system tells of changes."""
    try:
        kind = filesystem_of(folder)
    except OSError as error:
        return Finding("inbox's file system", Level.FAILED, f"{folder}: {error.strerror}")
    if kind.startswith(NETWORK):
        return Finding(
            "inbox's file system",
            Level.WARNING,
            f"{kind}: it tells of no changes, so the folder is listed every few seconds",
        )
    return Finding("inbox's file system", Level.OK, kind)


def watches(root: Path) -> Finding:
    """Room for inotify."""
    try:
        most = int((root / "proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        return Finding("inotify", Level.WARNING, "its limit cannot be read")
    if most < LEAST_WATCHES:
        return Finding(
            "inotify",
            Level.WARNING,
            f"{most} watches: sysctl fs.inotify.max_user_watches={LEAST_WATCHES}",
        )
    return Finding("inotify", Level.OK, f"{most} watches")


def disk(settings: Settings) -> Finding:
    """Room for images."""
    folder = settings.spool.path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free // 2**20
    least = settings.spool.min_free_mb
    if free < least:
        return Finding(
            "disk",
            Level.FAILED,
            f"{free} MiB free, intake needs {least}: remove or archive what is in done",
        )
    level = Level.WARNING if free < 4 * least else Level.OK
    return Finding(
        "disk", level, f"{free} MiB free{'' if level is Level.OK else ': soon intake stops'}"
    )


def clock(root: Path) -> Finding:
    """Certificates and results need the right time."""
    now = datetime.now(UTC)
    if now < BUILT:
        return Finding(
            "clock",
            Level.FAILED,
            f"it says {now:%Y-%m-%d}, so certificates fail: set it, or start systemd-timesyncd",
        )
    if not (root / "run/systemd/timesync/synchronized").exists():
        return Finding(
            "clock",
            Level.WARNING,
            "systemd-timesyncd has not set it since the start; fine where something else does",
        )
    return Finding("clock", Level.OK, "set by systemd-timesyncd")


def processor(root: Path) -> Finding:
    """What XNNPACK needs to know and to have."""
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        advice = "XNNPACK is off and inference several times slower: ProcSubset=all"
        return Finding("processor", Level.FAILED, f"/proc/cpuinfo is hidden: {advice}")
    flags = {
        word
        for line in text.splitlines()
        if line.lower().startswith(("flags", "features"))
        for word in line.split()
    }
    fast = sorted(
        flags & {"avx2", "avx512f", "avx_vnni", "avx512_vnni", "asimd", "asimddp", "neon"}
    )
    if not fast:
        return Finding("processor", Level.WARNING, "neither AVX2 nor NEON: inference is slow")
    return Finding("processor", Level.OK, f"{text.count('processor')} cores, {' '.join(fast)}")


def temperature(root: Path) -> Finding:
    """Heat, and what a Raspberry Pi says of its supply."""
    degrees = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")):
        try:
            degrees.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    throttled = read(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    if throttled not in {"", "0", "0x0"}:
        advice = "use a better supply or cooling"
        return Finding(
            "temperature",
            Level.WARNING,
            f"the processor was slowed down (get_throttled {throttled}): {advice}",
        )
    if not degrees:
        return Finding("temperature", Level.OK, "no sensor")
    hottest = max(degrees)
    if hottest >= HOT_C:
        return Finding("temperature", Level.WARNING, f"{hottest:.0f} °C: cool it, or it slows down")
    return Finding("temperature", Level.OK, f"{hottest:.0f} °C")


def coral(root: Path, settings: Settings | None = None, unit: str = SERVICE) -> Finding:
    """
    Which accelerator is plugged in, how fast its link is, and whether it is used.

    Args:
        root: where `dev`, `etc` and `sys` are.
        settings: what was configured; without it only the device is looked at.
        unit: the service that has these settings.
    """
    found = devices(root)
    if not found:
        insists = settings is not None and settings.model.backend == BACKEND
        return Finding(
            "Coral",
            *(
                (Level.WARNING, "none; model.backend is edgetpu: plug one in")
                if insists
                else (Level.OK, "none")
            ),
        )
    told, wrong = _link(found[0])
    if wrong:
        return Finding("Coral", Level.WARNING, f"{told}: {wrong}")
    if settings is None:
        return Finding("Coral", Level.OK, told)
    if settings.model.backend not in {"auto", BACKEND}:
        return Finding(
            "Coral", Level.OK, f"{told}; not used: model.backend is {settings.model.backend}"
        )
    if busy(lock_of(settings)):
        return Finding("Coral", Level.OK, f"{told}; {BUSY}, the daemon for one")
    hindrance = _hindrance(root, settings, unit)
    return (
        Finding("Coral", Level.WARNING, f"{told}; not used: {hindrance}")
        if hindrance
        else Finding("Coral", Level.OK, told)
    )


def _link(device: Device) -> tuple[str, str | None]:
    """How it is plugged in, and what is wrong with that."""
    if device.bus == "PCIe":
        return "PCIe", None if device.node else "its driver is not loaded: install gasket-dkms"
    slow = device.mbit is not None and device.mbit < USB3_MBIT
    return f"USB, {device.mbit or 'unknown'} Mbit/s", "use a USB 3 port" if slow else None


def _hindrance(root: Path, settings: Settings, unit: str) -> str | None:
    """Why the daemon cannot use the accelerator that is there, and what to do."""
    model, count = settings.model, settings.worker.count
    if count > 1:
        return f"worker.count is {count}, and one process has it: set it to 1"
    with contextlib.suppress(MammoEdgeError, OSError):  # the line about the model says so
        folder = model.bundle or open_store(settings).folder(open_store(settings).active().current)
        if read_manifest((folder / MANIFEST).read_bytes()).compiled is None:
            return "the bundle has no model compiled for it: docs/guides/models.md"
    try:
        ctypes.CDLL(model.edgetpu_library)
    except OSError:
        return f"no {model.edgetpu_library}: install libedgetpu1-std"
    if _opens_no_device(root, unit):
        option = (
            f" --instance {unit.partition('@')[2].removesuffix('.service')}" if "@" in unit else ""
        )
        return f"{unit} may open no device: mammo-edge setup --coral{option}"
    return None


def _opens_no_device(root: Path, unit: str) -> bool:
    """
    What the drop-ins say of it, those for all instances included; the last one counts, in the order
    of their names.
    """
    found: dict[str, Path] = {}  # a file of the instance stands for one of the same name for all
    for folder in dict.fromkeys((re.sub("@.*", "@.service", unit), unit)):
        found |= {
            path.name: path for path in (root / f"etc/systemd/system/{folder}.d").glob("*.conf")
        }
    texts = [
        found[name].read_text(encoding="utf-8", errors="replace")
        for name in sorted(found)
        if os.access(found[name], os.R_OK)
    ]
    return re.findall(r"^PrivateDevices=(\S+)$", "\n".join(texts), re.MULTILINE)[-1:] == ["yes"]
