"""Write the planned files, make the folders, and check the result as the daemon would."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from edge.cli.setup.accounts import DAEMON, SENDERS, Accounts, folders
from edge.cli.setup.plan import Planned
from edge.config.settings import Settings
from edge.errors import ConfigError, Unavailable
from edge.system.files import whole


def write(files: list[Planned], accounts: Accounts) -> None:
    """
    Write files, each whole or not at all, and never readable by others on the way.

    What the daemon reads gets its group, if the system has that.

    Raises:
        ConfigError: a file cannot be written; those before it are.
    """
    for file in files:
        try:
            _write(file, accounts.group)
        except OSError as error:
            advice = "" if os.geteuid() == 0 else ": run setup as root"
            msg = f"{file.path}: {error.strerror}{advice}"
            raise ConfigError(msg) from None


def _write(file: Planned, group: int | None) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    with whole(file.path, file.mode) as out:
        os.fchmod(out.fileno(), file.mode)
        if file.for_group and group is not None:
            os.fchown(out.fileno(), -1, group)
        out.write(file.text.encode(errors="surrogateescape"))


def make_folders(settings: Settings, root: Path, accounts: Accounts) -> None:
    """
    Make inbox and archive if tmpfiles.d did not, for the daemon's user if the system has one.

    Raises:
        ConfigError: a folder cannot be made.
    """
    for path, group, mode in folders(settings):
        folder = root / path.relative_to("/")
        if folder.is_dir():
            continue
        try:
            folder.mkdir(parents=True)
            number = accounts.senders if group == SENDERS else accounts.group
            if accounts.user is not None and number is not None:
                os.chown(folder, accounts.user, number)
            folder.chmod(mode)
        except OSError as error:
            msg = f"{folder}: {error.strerror}"
            raise ConfigError(msg) from None


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
    known = Accounts.of(Path("/")).user is not None
    if os.geteuid() == 0 and known and (runuser := shutil.which("runuser")):
        command = [runuser, "-u", DAEMON, "--", *command]
    return subprocess.run(command, check=False, cwd="/").returncode  # noqa: S603 - ourselves
