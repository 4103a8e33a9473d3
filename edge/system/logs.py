"""
Logging to stderr as `key=value`, with the severity that the journal understands.

Time and unit are left out, which the journal has itself.
"""

import logging
import os
import sys
from typing import Final, TextIO

SYSLOG: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""syslog(3) priorities, which sd-daemon(3) reads as `<6>` at the beginning of a line."""


class JournalFormatter(logging.Formatter):
    """Begins each line with its priority, a traceback's too, for `journalctl -p warning`."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        priority = f"<{SYSLOG.get(record.levelno, 6)}>"
        return "\n".join(priority + line for line in super().format(record).splitlines())


def handler(stream: TextIO) -> logging.Handler:
    """Make a handler for `stream`: as the journal reads lines under systemd, plain elsewhere."""
    made = logging.StreamHandler(stream)
    formatter = JournalFormatter if _is_journal(stream) else logging.Formatter
    made.setFormatter(formatter("level=%(levelname)s module=%(name)s %(message)s"))
    return made


def _is_journal(stream: TextIO) -> bool:
    """
    Tell if systemd connected this very stream; a shell below a service has the variable too.

    See systemd.exec(5).
    """
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def start(level: str) -> None:
    """Log to stderr from `level` (debug, info, warning, error) on."""
    logging.basicConfig(handlers=[handler(sys.stderr)], level=level.upper())
