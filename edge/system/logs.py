"""
Logging to stderr: `key=value`, for the journal with the severity that it understands, without what
it has itself.
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
    """
    Each line begins with its priority, a traceback's too, so that `journalctl -p warning` shows
    what it should.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        priority = f"<{SYSLOG.get(record.levelno, 6)}>"
        return "\n".join(priority + line for line in super().format(record).splitlines())


def handler(stream: TextIO) -> logging.Handler:
    """
    What writes log lines to `stream`: as the journal reads them under systemd, plain elsewhere.
    """
    made = logging.StreamHandler(stream)
    formatter = JournalFormatter if _is_journal(stream) else logging.Formatter
    made.setFormatter(formatter("level=%(levelname)s module=%(name)s %(message)s"))
    return made


def _is_journal(stream: TextIO) -> bool:
    """
    Whether systemd connected this very stream; a shell below a service has the variable too. See
    systemd.exec(5).
    """
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def start(level: str) -> None:
    """Log to stderr from `level` (debug, info, warning, error) on."""
    logging.basicConfig(handlers=[handler(sys.stderr)], level=level.upper())
