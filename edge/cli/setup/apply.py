"""Write the planned files, make the folders, and check the result as the daemon would."""

import grp
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from edge.cli.setup.plan import Planned
from edge.config.settings import Settings
from edge.errors import ConfigError, Unavailable
from edge.system.files import whole

GROUP: Final = "mammo-edge"
SENDERS: Final = "mammo-inbox"


def write(files: list[Planned]) -> None:
    """
    Write files, each whole or not at all, and never readable by others on the way.

    Raises:
        ConfigError: a file cannot be written; those before it are.
    """
    for file in files:
        try:
            _write(file)
        except OSError as error:
            advice = "" if os.geteuid() == 0 else ": run setup as root"
            msg = f"{file.path}: {error.strerror}{advice}"
            raise ConfigError(msg) from None


def _write(file: Planned) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    with whole(file.path, file.mode) as out:
        os.fchmod(out.fileno(), file.mode)
        if file.for_group and (group := _group_id(GROUP)) is not None:
            os.fchown(out.fileno(), -1, group)
        out.write(file.text.encode(errors="surrogateescape"))


def make_folders(settings: Settings, root: Path) -> None:
    """
    Make inbox and archive if tmpfiles.d did not.

    The inbox has mode 3770 and the senders' group, so that nobody removes what another sent; the
    others have 0750, for the daemon alone.

    Raises:
        ConfigError: a folder cannot be made.
    """
    spool = settings.spool
    for path, group, mode in (
        (settings.inbox.path, SENDERS, 0o3770),
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


def has_systemd() -> bool:
    """Say if systemd runs here."""
    return Path("/run/systemd/system").is_dir()


def reload_systemd() -> None:
    """Have a running systemd read the drop-in."""
    if has_systemd():
        subprocess.run(["systemctl", "daemon-reload"], check=False)  # noqa: S607 - root's PATH


def is_running(unit: str) -> bool:
    """Ask systemd, if there is one, if a service runs."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return False
    command = [systemctl, "is-active", "--quiet", unit]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0  # noqa: S603 - root's PATH


def start(unit: str) -> None:
    """
    Have systemd start a service, now and at each boot, anew if it runs; wait until it is ready.

    Raises:
        Unavailable: systemd could not; it has said why.
    """
    for verb in ("enable", "restart"):
        if subprocess.run(["systemctl", "--quiet", verb, unit], check=False).returncode != 0:  # noqa: S603, S607 - root's PATH
            msg = f"systemctl {verb} {unit} failed: see `journalctl -u {unit}`"
            raise Unavailable(msg)


def check(config: Path) -> int:
    """Run `mammo-edge check` with the daemon's own rights; returns the command's exit status."""
    command = [sys.executable, "-m", "edge", "--config", str(config), "check"]
    if os.geteuid() == 0 and _group_id(GROUP) is not None and (runuser := shutil.which("runuser")):
        command = [runuser, "-u", GROUP, "--", *command]
    return subprocess.run(command, check=False, cwd="/").returncode  # noqa: S603 - ourselves


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
