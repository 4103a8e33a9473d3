"""
Changed files on their way back into spool/claimed, which may fail, or only seem to.

A server whose answer is lost may have moved or removed a file that is still seen, at once or later.
So each try of a file that is as it was has the same name for it in spool/claimed: there is one
copy, however many tries fail. A start that finds it records it under that name, by which the
ledger knows it when a later try brings it once more. The name of a copy is made of its bytes too:
none is ever overwritten by other ones. What arrived although it failed is told by `arrived`.
"""

import itertools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeAlias

from edge.storage.sizes import unchanged
from edge.system import files, moving
from edge.system.files import Beat, Looks
from edge.system.moving import is_gone

MOST_TARGETS: Final = 16
"""Targets of one file that are remembered, should it change between any two tries."""

Target: TypeAlias = Callable[[uuid.UUID], Path]
"""Makes the path in spool/claimed that has this unique part."""


class TakingBack:
    """
    Moves files, and remembers those that have not arrived for sure; in one thread only.

    Args:
        beat: called while something takes long.
    """

    def __init__(self, beat: Beat) -> None:
        self._beat = beat
        self._tried: dict[Path, dict[Path, bytes]] = {}
        """Targets of files that were tried, oldest first, with their senders' names."""
        self._copies: set[Path] = set()
        """Those of them that are copies which no start can have recorded."""

    def take(self, path: Path, name: bytes, target_of: Target) -> Path:
        """
        Move a file; returns where it is now.

        Raises:
            OSError: the disk does not let us, or does not say that it did; see `arrived`.
        """
        looks = files.looks(path)
        targets = self._tried.setdefault(path, {})

        def named(copy: Path) -> Path:
            target = target_of(_unique(path, looks, files.sha256_and_sync(copy, self._beat)))
            if is_gone(target):
                self._copies.add(target)
            self._remember(targets, target, name)
            self._remove_copies(targets, but=target)
            return target

        places = (target_of(_unique(path, looks, str(number))) for number in itertools.count())
        # Another film of those looks may lie there, where times are told by the second.
        target = next(place for place in places if not os.path.lexists(place))
        self._remember(targets, target, name)
        now = moving.move(path, target, unchanged(path, self._beat), named)
        self._copies.discard(now)
        self.drop(path)
        return now

    def tried(self) -> list[Path]:
        """List the files that could not be moved when that was tried last."""
        return list(self._tried)

    def arrived(self, paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
        """List those that arrived although it failed, once, and their senders' names."""
        for path in paths:
            targets = self._tried.get(path)
            if targets is None or not is_gone(path):
                continue
            target = next((place for place in reversed(targets) if not is_gone(place)), None)
            if target is not None:
                if not os.path.lexists(target):
                    continue  # a disk fails or is away: it may be all that is left
                self._copies.discard(target)
                yield target, targets[target]
            self.drop(path)

    def replaced(self, path: Path) -> Iterator[tuple[Path, bytes]]:
        """List as `arrived` does what tries left of a file whose place another one takes."""
        for target, name in self._tried.pop(path, {}).items():
            self._copies.discard(target)
            if not is_gone(target):
                yield target, name

    def drop(self, path: Path) -> None:
        """Forget a file that is to be moved no more, and remove the copy that a try left."""
        self._remove_copies(self._tried.pop(path, {}))

    def _remember(self, targets: dict[Path, bytes], target: Path, name: bytes) -> None:
        targets.pop(target, None)
        targets[target] = name
        if len(targets) > MOST_TARGETS:
            oldest = next(iter(targets))
            self._remove_copies([oldest])
            del targets[oldest]

    def _remove_copies(self, targets: Iterable[Path], but: Path | None = None) -> None:
        for target in self._copies.intersection(targets) - {but}:
            self._copies.discard(target)
            with suppress(OSError):  # the next start takes it up
                target.unlink(missing_ok=True)


def _unique(path: Path, looks: Looks, digest: str) -> uuid.UUID:
    of = os.fsencode(path) + b"\0" + repr(looks).encode() + digest.encode()
    return uuid.UUID(bytes=blake2b(of, digest_size=16).digest())
