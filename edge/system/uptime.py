"""The time that the machine has run, which no change of its date moves."""

import time
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def uptime_s() -> float:
    """Return how long the machine has run, sleep included, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the name of this boot of the machine; "" if the kernel does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
