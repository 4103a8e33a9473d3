"""
Bytes on disk: claimed from the inbox, received from MQTT, archived. What it says is done is on the
disk.
"""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from errno import ENOSPC, EXDEV
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from edge.errors import StartupError, Unavailable
from edge.system import files
from edge.system.files import PART, Beat, Fingerprint, NotReadyError, fingerprint

CLAIMED: Final = "claimed"
RENAMED: Final = "f-"
"""Taken out of the inbox by a rename: it is nowhere else."""
COPIED: Final = "c-"
"""Copied out of the inbox: until the ledger has it, the original counts."""
REQUESTED: Final = "m-"
"""Came over MQTT: until the ledger has it, the broker's copy counts."""
REQUEST: Final = b"request"
"""What a file is called that came over MQTT."""
UUID_CHARACTERS: Final = 36
NAME_BYTES: Final = 160
"""
What of a sender's file name is kept in the archive, so that our suffixes fit beside it in 255
bytes.
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that is ours now."""

    path: Path
    name: bytes
    """What the sender called it."""
    image_id: str = ""
    """SHA-256 of its bytes, once hashed."""
    origin: tuple[Path, Fingerprint] | None = None
    """Where it still lies too, if it was copied."""
    received_at: float = field(default_factory=time.time)
    """Unix time."""


class Spool:
    """
    The folders spool/claimed, done and failed.

    Raises:
        StartupError: one of them cannot be made or written.
        Unavailable: the disk is full.
    """

    def __init__(self, root: Path, done: Path, failed: Path, beat: Beat = lambda: None) -> None:
        self._beat = beat
        self.claimed = root / CLAIMED
        self.done = done
        self.failed = failed
        for key, folder in (
            ("spool.path", self.claimed),
            ("spool.done", done),
            ("spool.failed", failed),
        ):
            _make_writable(key, folder)
            for half in folder.glob(f".*{PART}"):  # what a kill left of a write
                half.unlink(missing_ok=True)

    def claim(
        self, path: Path, *, may_copy: bool, moved: Callable[[Path], None] | None = None
    ) -> Claim:
        """
        Take a file out of the inbox and hash it; it is ours, hashed and on the disk, or still where
        it was.

        Args:
            path: a regular file.
            may_copy: whether it may be copied if it lies on another mount (its writer is known to
                have finished).
            moved: told where it lies in the spool, before it is hashed; not of a copy, which is
                nobody's after a kill.

        Raises:
            NotReadyError: it is gone, changed while we hashed it, or would have to be copied.
            Unavailable: the disk or the permissions do not let us.
        """
        before = fingerprint(path)
        name = _claim_name(os.fsencode(path.name))
        claim = Claim(self.claimed / (RENAMED + name), os.fsencode(path.name))
        try:
            if not _renamed(path, claim.path):
                if not may_copy:
                    raise NotReadyError
                claim = replace(claim, path=self.claimed / (COPIED + name), origin=(path, before))
                files.copy(path, claim.path, self._beat)
        except FileNotFoundError:
            raise (NotReadyError if self.present() else Unavailable("spool: it is away")) from None
        except OSError as error:
            raise _unavailable(error) from error
        if moved is not None and claim.origin is None:
            moved(claim.path)
        return self._hashed(claim, path, before)

    def _hashed(self, claim: Claim, source: Path, before: Fingerprint) -> Claim:
        try:
            image_id = files.sha256_and_sync(claim.path, self._beat)
            files.sync_folder(claim.path.parent)
            still = fingerprint(source if claim.origin else claim.path)[2:] == before[2:]
        except (OSError, NotReadyError):
            still = False
        if not still:  # its writer goes on: hand it back
            self.give_back(claim, source)
            raise NotReadyError
        return replace(claim, image_id=image_id)

    def claim_anew(self, path: Path, name: bytes) -> Path:
        """
        Give a file that is ours and has changed another place in spool/claimed, so that it can be
        recorded as another image.

        Raises:
            Unavailable: the disk does not let us.
        """
        target = self.claimed / (RENAMED + _claim_name(name))
        try:
            files.move(path, target, self._beat)
        except OSError as error:
            raise _unavailable(error) from error
        return target

    def take_up(self, path: Path) -> Claim:
        """
        A file that was claimed and that no ledger row mentions, under the name that it was given
        then.

        Raises:
            Unavailable: it cannot be read.
        """
        name = unquote_to_bytes(path.name[len(RENAMED) + UUID_CHARACTERS + 1 :])
        return self.rehash(
            path, name or (REQUEST if path.name.startswith(REQUESTED) else b"recovered")
        )

    def rehash(self, path: Path, name: bytes) -> Claim:
        """
        A file already in spool/claimed that no ledger row mentions.

        Raises:
            Unavailable: it cannot be read.
        """
        try:
            return Claim(path, name, files.sha256_and_sync(path, self._beat))
        except OSError as error:
            raise _unavailable(error) from error

    def hash_in_place(self, path: Path) -> str | None:
        """SHA-256 of a file that stays where it is; None where there is no regular file to read."""
        try:
            fingerprint(path)
            return files.sha256_and_sync(path, self._beat)
        except (OSError, NotReadyError):
            return None

    def receive(self, data: bytes) -> Claim:
        """
        Keep the bytes of a request.

        Raises:
            Unavailable: the disk is full or failing.
        """
        target = self.claimed / f"{REQUESTED}{uuid.uuid4()}"
        try:
            files.write(target, data)
        except OSError as error:
            raise _unavailable(error) from error
        return Claim(target, REQUEST, hashlib.sha256(data).hexdigest())

    def give_back(self, claim: Claim, source: Path) -> None:
        """Undo a claim; a file of the same name that came meanwhile is not overwritten."""
        if claim.origin is not None:
            claim.path.unlink(missing_ok=True)
        elif claim.path.exists():
            free = (
                source
                if not source.exists()
                else source.with_name(f"{uuid.uuid4()}-{source.name}"[-200:])
            )
            claim.path.rename(free)

    def drop(self, path: Path) -> None:
        """Remove a spare copy."""
        path.unlink(missing_ok=True)

    def remove_origin(self, path: Path, known: Fingerprint) -> bool:
        """
        Remove what a copied file left in the inbox; a file that is no longer that one is left
        alone.

        Returns:
            False where it is still there because we may not remove it.
        """
        try:
            if fingerprint(path) == known:
                path.unlink()
        except (FileNotFoundError, NotReadyError):
            return True
        except OSError:
            return False
        return True

    def archive(
        self, path: Path, image_id: str, name: bytes, payload: bytes, *, scored: bool
    ) -> Path:
        """
        Move a file to done or failed, beside its result; may be repeated after a kill.

        Returns:
            Where it lies now.

        Raises:
            Unavailable: the disk or the permissions do not let us.
        """
        target = (self.done if scored else self.failed) / archive_name(name, image_id)
        try:
            files.put(beside(target), (payload,))
            if path == target or not path.exists():
                files.sync_folder(target.parent)
            else:
                files.move(path, target, self._beat)  # syncs the folder of both
                if path.parent in (self.done, self.failed):
                    beside(path).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(error) from error
        return target

    def locate(self, path: Path, image_id: str, name: bytes) -> Path | None:
        """
        Where an image's bytes are: where the ledger has them, or where a kill left them on their
        way into the archive.

        Raises:
            Unavailable: the spool itself is away.
        """
        if not self.present():
            msg = "spool: it is away"
            raise Unavailable(msg)
        places = (
            path,
            *(folder / archive_name(name, image_id) for folder in (self.done, self.failed)),
        )
        return next((place for place in places if _is_there(place)), None)

    def present(self) -> bool:
        """
        Whether the spool is there, and not only the empty folder on which it is mounted. Raises
        Unavailable: the disk is failing.
        """
        return _is_there(self.claimed)

    def orphans(self) -> Iterator[Path]:
        """
        Everything in spool/claimed. Half-written copies, which begin with a dot, were removed when
        the spool was opened.
        """
        yield from sorted(path for path in self.claimed.iterdir() if not path.name.startswith("."))

    def free_mb(self) -> int:
        """
        Free space of the spool's file system, in MiB.

        Raises:
            Unavailable: the spool is away.
        """
        try:
            return shutil.disk_usage(self.claimed).free // 2**20
        except OSError as error:
            raise _unavailable(error) from None


def _claim_name(name: bytes) -> str:
    return f"{uuid.uuid4()}-{quote_from_bytes(name, safe='')[:NAME_BYTES]}"


def archive_name(name: bytes, image_id: str) -> str:
    """`<sender's stem>.<16 hex of the image id><suffix>`: findable by name, unique by bytes."""
    name = name.lstrip(b".").removesuffix(PART.encode()) or b"image"
    stem, dot, suffix = name.rpartition(b".")
    if not stem or len(suffix) > 8:  # noqa: PLR2004 - a longer one is no file type
        stem, dot, suffix = name, b"", b""
    return os.fsdecode(stem[:NAME_BYTES] + b"." + image_id[:16].encode() + dot + suffix)


def sender_name(archived: str, image_id: str) -> bytes | None:
    """The name from which `archive_name` made this one; None where it did not."""
    stem, found, suffix = os.fsencode(archived).partition(b"." + image_id[:16].encode())
    name = stem + suffix
    return name if found and archive_name(name, image_id) == archived else None


def beside(path: Path) -> Path:
    """Where the result of an archived file lies."""
    return path.with_name(path.name + ".json")


def _make_writable(key: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4()}{PART}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno == ENOSPC:
            raise _unavailable(error) from None
        msg = f"{key}: {folder}: {error.strerror}"
        raise StartupError(msg) from None


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"spool: {error.strerror}")  # never the file's name


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unavailable(error) from error
    return True


def _renamed(source: Path, target: Path) -> bool:
    """
    Take a file; False where it must be copied, because bind mounts of one file system refuse a
    rename too.
    """
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        return False
    return True
