"""
Messages that were in hand when a daemon ended without a word.

The hash of a message is written into a file while a loop works on the message, and cleared after
that. Nothing is synced: what a kill or a crash leaves there, the next start finds, and a power cut
is no message's fault. A message that was found there is a suspect. Text that was parsed when the
daemon ended is refused the next time; a reference that waits for its file, on a mount that hangs
say, is in nobody's hand. An image is only stored and hashed, and it is others that kill the daemon
at that moment, so it has more tries.
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.system import files

FILE: Final = "suspects.json"
IN_HAND: Final = "in-hand-"
KEPT: Final = 64
"""Suspects that are remembered, the newest ones."""
NOTHING: Final = bytes(32)
ENDED_THE_DAEMON: Final = (
    "it was in hand when the daemon ended; with other correlation data it counts as another message"
)
"""The reason for which a suspect is refused."""


def key_of(topic: str, payload: bytes, correlation: bytes | None) -> bytes:
    """Return the hash by which a message is known when it comes again."""
    digest = hashlib.sha256(topic.encode("utf-8", "replace"))
    for part in (payload, correlation or b""):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


class Suspects:
    """
    Counts how many daemons each message may have ended.

    Args:
        folder: the state folder, in which no other daemon is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}
        self._ends = _read(folder / FILE)
        for path in sorted(folder.glob(f"{IN_HAND}*")):
            with contextlib.suppress(OSError):
                self._blame(path.read_bytes())
                path.unlink()

    def ends(self, key: bytes) -> int:
        """Count the daemons that ended while they had this message in hand."""
        return self._ends.get(key.hex(), 0)

    @contextmanager
    def in_hand(self, loop: str, key: bytes) -> Iterator[None]:
        """Have the message blamed if the daemon ends before the block does."""
        self._note(loop, key)
        try:
            yield
        finally:
            self._note(loop, NOTHING)

    def close(self) -> None:
        """Blame nobody for an orderly end."""
        for path in self._folder.glob(f"{IN_HAND}*"):
            path.unlink(missing_ok=True)

    def _note(self, loop: str, key: bytes) -> None:
        # On a disk that takes not even this, a message is only not blamed.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor(loop), key, 0)

    def _descriptor(self, loop: str) -> int:
        with self._lock:
            if loop not in self._open:
                path = self._folder / f"{IN_HAND}{loop}"
                self._open[loop] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            return self._open[loop]

    def _blame(self, key: bytes) -> None:
        if len(key) != len(NOTHING) or key == NOTHING:
            return
        ends = self._ends.pop(key.hex(), 0) + 1
        self._ends = dict([*self._ends.items(), (key.hex(), ends)][-KEPT:])
        files.put(self._folder / FILE, (json.dumps(self._ends).encode(),))


def _read(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_bytes())
        return {str(key): int(ends) for key, ends in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
