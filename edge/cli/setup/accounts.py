"""Numbers of the daemon's user and groups on the system that is set up."""

import grp
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from edge.cli.setup.dropin import SERVICE_ROOT
from edge.config.settings import Settings

DAEMON: Final = "mammo-edge"
SENDERS: Final = "mammo-inbox"
HERE: Final = Path("/")


@dataclass(frozen=True, slots=True)
class Accounts:
    """The numbers of the daemon's user and groups; None for one that the system does not have."""

    user: int | None
    group: int | None
    senders: int | None

    @classmethod
    def of(cls, root: Path) -> Self:
        """
        Look the names up in a system.

        Args:
            root: `/`, where directories of the network count too, or another system's tree, of
                which `etc/passwd` and `etc/group` count: its numbers may differ from ours.
        """
        if root == HERE:
            return cls(_user(DAEMON), _group(DAEMON), _group(SENDERS))
        users, groups = _numbers(root / "etc/passwd"), _numbers(root / "etc/group")
        return cls(users.get(DAEMON), groups.get(DAEMON), groups.get(SENDERS))

    def lacking(self, settings: Settings, root: Path) -> Iterator[str]:
        """Yield a line for what the daemon may not use yet, as it has no user or group there."""
        if None in (self.user, self.group):
            place = "this system" if root == HERE else root
            yield (
                f"{place} has no user and group {DAEMON} yet: the files are shut to the daemon "
                "until the package is installed, which gives them to it"
            )
        for folder, group, _ in folders(settings):
            number = self.senders if group == SENDERS else self.group
            if None in (self.user, number) and not folder.is_relative_to(SERVICE_ROOT):
                yield f"once the package is installed: chown {DAEMON}:{group} {folder}"


def folders(settings: Settings) -> Iterator[tuple[Path, str, int]]:
    """
    Yield the folders of images, each with its group and mode.

    The inbox has mode 3770 and the senders' group, so that nobody removes what another sent; the
    others have 0750, for the daemon alone.
    """
    spool = settings.spool
    yield settings.inbox.path, SENDERS, 0o3770
    for path in (spool.path, spool.done, spool.failed):
        yield path, DAEMON, 0o750


def _user(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _numbers(file: Path) -> dict[str, int]:
    """Read the names of passwd(5) or group(5), with their numbers; empty if there is no file."""
    try:
        lines = file.read_bytes().decode(errors="replace").splitlines()
    except OSError:
        return {}
    found = (re.match(r"([^:]+):[^:]*:(\d+):", line) for line in lines)
    return {one[1]: int(one[2]) for one in found if one}
