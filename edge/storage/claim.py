"""One file that was taken: out of the inbox, or as the bytes of a request."""

import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.system.files import Fingerprint, Looks
from edge.system.uptime import uptime_s

LONGEST: Final = 255
"""Bytes of a file name."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that is ours now."""

    path: Path
    name: bytes
    """The sender's name of the file."""
    image_id: str = ""
    """SHA-256 of its bytes, once hashed."""
    origin: tuple[Path, Fingerprint] | None = None
    """The place in the inbox that still has the file too, if the file was copied."""
    seen: Looks | None = None
    """The looks of the file in the inbox before it was copied."""
    inbox: int | None = None
    """The inode number of the inbox before the file was copied out of it."""
    came: float = field(default_factory=uptime_s)
    """Seconds that the machine had run when the file became ours."""
    exam: str | None = None
    """Keyed hash of the exam that its folder of the inbox stands for."""

    @property
    def received_at(self) -> float:
        """The Unix time at which the file became ours, by the clock as it is now."""
        return time.time() - (uptime_s() - self.came)

    def give_back(self, source: Path) -> bool:
        """
        Undo the claim; a file of the same name that came meanwhile is not overwritten.

        Returns:
            False if the inbox does not take it: it still lies at `path`, and nowhere else.
        """
        if self.origin is not None:
            with suppress(OSError):  # the original counts, and the next start drops this one
                self.path.unlink(missing_ok=True)
            return True
        try:
            if self.path.exists():
                self.path.rename(_free(source))
        except OSError:
            return False
        return True


def _free(source: Path) -> Path:
    """Return the place of a file in the inbox, or one beside it if that is taken by now."""
    if not os.path.lexists(source):
        return source
    before = f"{uuid.uuid4()}-"
    end = os.fsencode(source.name)[len(before) - LONGEST :]
    return source.with_name(before + os.fsdecode(end))
