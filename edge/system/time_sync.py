"""The way to know if something has set this machine's clock."""

import ctypes
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A date that every right clock has passed."""
SET: Final = Path("run/systemd/timesync/synchronized")
"""The file by which systemd-timesyncd says that it has set the clock since the start."""

UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2): no program disciplines the clock."""
TIMEX_BYTES: Final = 512
"""More bytes than the kernel's struct timex has. Zeros change nothing and only ask."""


def disciplined() -> bool | None:
    """
    Tell if any program keeps the clock right, as the kernel knows it: chrony, ntpd, timesyncd.

    Returns:
        None where the kernel may not be asked, as in a service with `ProtectClock=`.
    """
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    return None if state < 0 else state != UNSYNCHRONISED


def synchronised(root: Path = Path("/"), now: datetime | None = None) -> bool | None:
    """
    Tell if the clock is right.

    Args:
        root: of the system.
        now: for a test; default: the clock's time.

    Returns:
        True if systemd-timesyncd has set it since the start, False if its date cannot be, None if
        nothing is known: another program may have set it.
    """
    if (now or datetime.now(UTC)) < BUILT:
        return False
    return True if (root / SET).exists() else None
