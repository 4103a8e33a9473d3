"""The way to know if something has set this machine's clock."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A date that every right clock has passed."""
SET: Final = Path("run/systemd/timesync/synchronized")
"""The file by which systemd-timesyncd says that it has set the clock since the start."""


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
