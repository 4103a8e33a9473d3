"""
Starts that ended badly, and the wait before the next one.

systemd 252 starts a service again after the same pause for ever. So the daemon waits itself,
before it opens anything, and longer each time the one before ended within a minute without having
been told to. Who is told to end, or finds another configuration, starts at once.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edge.system import files
from edge.system.uptime import boot_id

NAME: Final = "starts.json"
SETTLED_S: Final = 60.0
"""Seconds after which a daemon that works has left its start behind."""
FIRST_S: Final = 2.0
MOST_S: Final = 300.0
"""The longest wait, in seconds."""
BY_SYSTEMD: Final = "MAMMO_RESTART_STEPS"
"""Variable of the drop-in with which systemd 254 and later wait themselves."""


class Starts:
    """
    The note of the last start, in the state folder; without one that can be written, no wait.

    Args:
        folder: the state folder.
        config: the configuration file, which a person may have mended since.
    """

    def __init__(self, folder: Path, config: Path | None = None) -> None:
        self._file = folder / NAME
        self._about = {"boot": boot_id(), "config": _looks(config)}

    def begin(self) -> float:
        """Note a start; returns the seconds to wait before anything is opened."""
        before = self._last()
        same = all(before.get(key) == value for key, value in self._about.items())
        count = before.get("unclean", 0) + 1 if before and same else 0
        self._note(count)
        if count == 0 or os.environ.pop(BY_SYSTEMD, ""):
            return 0.0
        return float(min(FIRST_S * 2 ** min(count - 1, 16), MOST_S))

    def settle(self) -> None:
        """Note that the daemon has worked for a while: the next start is a first one."""
        self.end()

    def end(self) -> None:
        """Note that the daemon ends as it was told to."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _last(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        known = isinstance(found, dict) and isinstance(found.get("unclean"), int)
        return found if known else {}

    def _note(self, count: int) -> None:
        with suppress(OSError):
            files.put(self._file, (json.dumps({"unclean": count, **self._about}).encode(),))


def _looks(file: Path | None) -> list[int]:
    """Tell one configuration from another, without reading it."""
    try:
        return list(files.looks(file)) if file else []
    except OSError:
        return []
