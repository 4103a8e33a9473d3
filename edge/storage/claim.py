"""One file that was taken: out of the inbox, or as the bytes of a request."""

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from edge.system.files import Fingerprint


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
    received_at: float = field(default_factory=time.time)
    """Unix time, in seconds."""

    def give_back(self, source: Path) -> None:
        """Undo the claim; a file of the same name that came meanwhile is not overwritten."""
        if self.origin is not None:
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            taken = source.exists()
            free = source.with_name(f"{uuid.uuid4()}-{source.name}"[-200:]) if taken else source
            self.path.rename(free)
