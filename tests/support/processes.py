"""End processes of others, and wait until they are gone."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.support.rig import until


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Kill a process and wait until it runs no more: the signal alone does not say so."""
    os.kill(pid, number)
    until(lambda: is_gone(pid), f"process {pid} has ended")


def is_gone(pid: int) -> bool:
    """Tell if a process has ended, though its parent may not have asked for its status yet."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
