"""Checks of the machine: inbox, inotify, disk, clock, processor and temperature."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge.cli.doctor.finding import Finding, failed, ok, warning
from edge.config.settings import Settings
from edge.daemon.intake.inotify import NETWORK, filesystem_of
from edge.daemon.intake.walk import Walk
from edge.system.coral import read
from edge.system.patience import PATIENCE_S, within
from edge.system.privileges import as_owner_of
from edge.system.time_sync import disciplined, synchronised

LEAST_WATCHES: Final = 8192
HOT_C: Final = 80.0
FOLDERS_PATIENCE_S: Final = 20.0
"""Seconds to wait for a walk through the inbox."""
MOST_FOLDERS: Final = 10
"""Folders that are named one by one."""
NOT_KEPT: Final = (
    "no program keeps it right, as the kernel knows: does systemd-timesyncd, or chrony with "
    "`rtcsync`, run and reach a server?"
)
FAST: Final = frozenset({"avx2", "avx512f", "avx_vnni", "avx512_vnni", "asimd", "asimddp", "neon"})
"""Processor flags of the instructions that XNNPACK is fast with."""


def inbox(folder: Path) -> Finding:
    """Check that the inbox's file system reports changes."""
    what = "inbox's file system"
    try:
        kind = within(PATIENCE_S, lambda: filesystem_of(folder))
    except TimeoutError:
        return failed(what, f"{folder}: it does not answer: is its server up?")
    except OSError as error:
        return failed(what, f"{folder}: {error.strerror}")
    if kind.startswith(NETWORK):
        return warning(
            what, f"{kind}: it tells of no changes, so the folder is listed every few seconds"
        )
    return ok(what, kind)


def sender_folders(folder: Path) -> Iterator[Finding]:
    """Check the folders that senders made in the inbox: files must go out of them."""
    what = "senders' folders"
    try:
        locked = within(FOLDERS_PATIENCE_S, lambda: _locked_below(folder))
    except TimeoutError:
        return
    except OSError as error:
        yield warning(what, f"{folder}: {error.strerror}")
        return
    for below in locked[:MOST_FOLDERS]:
        advice = f"setfacl -m u:{folder.owner()}:rwx {shlex.quote(str(below))}"
        yield failed(what, f"{below}: its files cannot be removed, so none is taken: {advice}")
    if len(locked) > MOST_FOLDERS:
        yield failed(what, f"and {len(locked) - MOST_FOLDERS} more")


def _locked_below(folder: Path) -> list[Path]:
    with as_owner_of(folder):
        return [
            below
            for below, names in Walk(folder)
            if names and not os.access(below, os.W_OK | os.X_OK, effective_ids=True)
        ]


def watches(root: Path) -> Finding:
    """Check the limit of inotify watches: each folder below the inbox needs one."""
    try:
        most = int((root / "proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        return warning("inotify", "its limit cannot be read")
    if most < LEAST_WATCHES:
        advice = f"sysctl fs.inotify.max_user_watches={LEAST_WATCHES}"
        return warning("inotify", f"{most} watches: {advice}")
    return ok("inotify", f"{most} watches")


def disk(settings: Settings) -> Finding:
    """Check the spool's free space, in MiB, against the least that intake needs."""
    folder = settings.spool.path
    try:
        while not folder.exists():
            folder = folder.parent
    except PermissionError as error:
        return warning("disk", f"{folder}: {error.strerror}")
    free = shutil.disk_usage(folder).free // 2**20
    least = settings.spool.min_free_mb
    if free < least:
        advice = "remove or archive what is in done"
        return failed("disk", f"{free} MiB free, intake needs {least}: {advice}")
    if free < 4 * least:
        return warning("disk", f"{free} MiB free: soon intake stops")
    return ok("disk", f"{free} MiB free")


def clock(root: Path, asked: Callable[[], bool | None] = disciplined) -> Finding:
    """
    Check the clock, which certificates and results need right.

    Args:
        root: of the system.
        asked: for a test; default: the kernel tells if a program keeps the clock right.
    """
    now = datetime.now(UTC)
    known = synchronised(root, now)
    if known is False:
        advice = "set it, or start systemd-timesyncd"
        return failed("clock", f"it says {now:%Y-%m-%d}, so certificates fail: {advice}")
    if known:
        return ok("clock", "set by systemd-timesyncd")
    return {
        True: ok("clock", "a program keeps it right, as the kernel knows"),
        False: warning("clock", NOT_KEPT),
        None: warning("clock", "the kernel may not be asked if a program keeps it right"),
    }[asked()]


def processor(root: Path) -> Finding:
    """Check that XNNPACK can read the processor's flags and finds fast instructions."""
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        advice = "XNNPACK is off and inference several times slower: ProcSubset=all"
        return failed("processor", f"/proc/cpuinfo is hidden: {advice}")
    flags = {
        word
        for line in text.splitlines()
        if line.lower().startswith(("flags", "features"))
        for word in line.split()
    }
    fast = sorted(flags & FAST)
    if not fast:
        return warning("processor", "neither AVX2 nor NEON: inference is slow")
    return ok("processor", f"{text.count('processor')} cores, {' '.join(fast)}")


def temperature(root: Path) -> Finding:
    """Check the hottest sensor, in °C, and the supply of a Raspberry Pi."""
    degrees = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")):
        try:
            degrees.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    throttled = read(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    if throttled not in {"", "0", "0x0"}:
        advice = "use a better supply or cooling"
        return warning(
            "temperature", f"the processor was slowed down (get_throttled {throttled}): {advice}"
        )
    if not degrees:
        return ok("temperature", "no sensor")
    hottest = max(degrees)
    if hottest >= HOT_C:
        return warning("temperature", f"{hottest:.0f} °C: cool it, or it slows down")
    return ok("temperature", f"{hottest:.0f} °C")
