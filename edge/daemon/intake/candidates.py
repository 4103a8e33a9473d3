"""
Files that were seen in the inbox and not yet taken, and the rule for when one is ready.

A file is ready when its writer was seen to close it or to move it in. One that has a writer waits,
however quiet. Of all others nobody knows, and they are ready when inode, size and times have not
changed for the quiet time; an empty one only after ten of them. One that was copied may stay for
longer, in case its writer goes on.
"""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from edge.daemon.intake import CLOSED
from edge.daemon.intake.left_alone import is_left_alone
from edge.daemon.intake.writers import Said

SETTLED_AFTER: Final = 10
"""Quiet times after which a file counts as finished, whoever wrote it."""
Looks: TypeAlias = tuple[int, int, int, int]
"""Inode, size, mtime and ctime, times in nanoseconds."""


@dataclass(slots=True)
class Candidate:
    """A file that was seen and not yet taken."""

    looks: Looks
    since: float
    """Monotonic time at which it last looked different, in seconds."""
    finished: bool = False
    """True if its writer was seen to close it or to move it in."""
    writing: bool = False
    """True if somebody has it open and is not done."""
    again_at: float = 0.0
    """Monotonic time before which it is not tried again, since taking it failed."""
    kept: bool = False
    """True if it was copied, and stays in case its writer goes on."""
    locked: bool = False
    """True if its folder does not let us remove it."""
    failed: bool = False
    """True if taking it failed for a reason that nobody foresaw."""

    @property
    def mtime_ns(self) -> int:
        """The time of the last write, in nanoseconds."""
        return self.looks[2]

    def is_ready(self, now: float, quiet_s: float) -> bool:
        """
        Tell if the file may be taken; see the module.

        Args:
            now: monotonic time, in seconds.
            quiet_s: the quiet time, in seconds.
        """
        if self.writing or now < self.again_at:
            return False
        if self.looks[1] == 0:
            return self.is_settled(now, quiet_s)
        return self.finished or now - self.since >= quiet_s

    def is_settled(self, now: float, quiet_s: float) -> bool:
        """Tell if the file has been quiet for so long that no writer is believed in."""
        return now - self.since >= SETTLED_AFTER * quiet_s

    def quiet(self, now: float, quiet_s: float) -> float:
        """Count the quiet times for which the file has not changed; see `Receiver.take_file`."""
        return CLOSED if self.finished else (now - self.since) / quiet_s

    def keep(self, until: float) -> None:
        """Leave the file, which was copied, until a monotonic time or until it changes."""
        self.kept, self.again_at = True, until

    def say(self, said: Said) -> None:
        """Take note of what an event says of the writer."""
        if said is Said.SEEN:
            return
        self.finished = said is Said.FINISHED
        self.writing = said is Said.WRITING


class Candidates:
    """
    The candidates of one inbox.

    Args:
        folder: the inbox.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[Path, Candidate] = {}

    def __len__(self) -> int:
        """Count the files that were seen and not yet taken."""
        return len(self._found) - self.kept()

    def paths(self) -> list[Path]:
        """List what is known now."""
        return list(self._found)

    def ignores(self, path: Path) -> bool:
        """Tell if a file is none to take, by its name."""
        return is_left_alone(path.relative_to(self._folder))

    def note(self, path: Path, said: Said, *, trusted_age_s: float) -> None:
        """
        Look at a file; forget it if it is gone.

        Args:
            path: below the inbox.
            said: what an event says of it.
            trusted_age_s: an mtime this old says how long a new file has been lying there, in
                seconds; infinity if its clock is not ours.
        """
        if self.ignores(path):
            return
        try:
            found = path.lstat()
        except OSError:
            self._found.pop(path, None)
            return
        if not stat.S_ISREG(found.st_mode) or self._is_behind_a_link(path):
            self._found.pop(path, None)
            return
        looks = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._found.get(path)
        if known is None:
            age_s = time.time() - max(found.st_mtime, found.st_ctime)
            since = time.monotonic() - (age_s if age_s > trusted_age_s else 0.0)
            known = self._found[path] = Candidate(looks, since)
        elif looks != known.looks:
            known.looks, known.since = looks, time.monotonic()
            known.finished = known.kept = known.locked = known.failed = False
            known.again_at = 0.0
        known.say(said)

    def _is_behind_a_link(self, path: Path) -> bool:
        """Tell if a folder between the inbox and a file has been replaced by a link."""
        between = len(path.parts) - len(self._folder.parts) - 1
        return any(folder.is_symlink() for folder in path.parents[:between])

    def oldest_first(self) -> list[tuple[Path, Candidate]]:
        """List the candidates by their mtime."""
        return sorted(self._found.items(), key=lambda item: item[1].mtime_ns)

    def get(self, path: Path) -> Candidate | None:
        """Return the candidate of that path, if there is one."""
        return self._found.get(path)

    def forget(self, path: Path) -> None:
        """Forget a file that was taken."""
        self._found.pop(path, None)

    def forget_writers(self) -> None:
        """Believe in no writer any more, since events were lost."""
        for candidate in self._found.values():
            candidate.writing = False

    def unfinished(self, now: float, after_s: float) -> int:
        """Count the files that somebody holds open and has not changed for `after_s` seconds."""
        return sum(
            candidate.writing and now - candidate.since >= after_s
            for candidate in self._found.values()
        )

    def kept(self) -> int:
        """Count the files that were copied and stay in case their writers go on."""
        return sum(candidate.kept for candidate in list(self._found.values()))

    def failed(self) -> set[Path]:
        """Return the files whose taking failed for a reason that nobody foresaw."""
        return {path for path, candidate in self._found.items() if candidate.failed}

    def unlock(self) -> None:
        """Have files tried again at once whose folders seem to let us remove them by now."""
        open_now = {folder for folder in self.locked() if _lets_us_remove(folder)}
        for path, candidate in self._found.items():
            if candidate.locked and path.parent in open_now:
                candidate.again_at = 0.0

    def locked(self) -> set[Path]:
        """Return the folders that do not let us remove files."""
        return {path.parent for path, candidate in self._found.items() if candidate.locked}


def _lets_us_remove(folder: Path) -> bool:
    """Tell if we may remove others' files from a folder: from a sticky one only its owner may."""
    try:
        found = folder.stat()
    except OSError:
        return False
    sticky = found.st_mode & stat.S_ISVTX and os.geteuid() not in (0, found.st_uid)
    return not sticky and os.access(folder, os.W_OK | os.X_OK)
