"""
The inbox as a place for whole objects.

An object grows in `INBOX/.dicom`, which the daemon leaves alone, and is renamed into the inbox. The
folder is this receiver's alone: others may write into the inbox, so it is followed by its
descriptor, is no link, belongs to this user and is locked.
"""

import fcntl
import os
import stat
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from itertools import islice
from typing import BinaryIO, Final, Self

from edge.config.settings import Settings
from edge.contract.receiver import Refused
from edge.dicom.receive.command import TooLargeError
from edge.errors import ConfigError, Unavailable
from edge.system.files import PASSING, free_bytes

NAME: Final = ".dicom"
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
LOOK_AGAIN: Final = 2**20
"""Bytes of an object after which the room on the disk is looked at again."""
BUFFER: Final = 2**18
MB: Final = 2**20


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The reason for which an object is refused: a cause to count, and words for the journal."""

    cause: Refused
    why: str

    @classmethod
    def by(cls, error: OSError) -> Self:
        """Say what the disk said."""
        full = error.errno in {ENOSPC, EDQUOT}
        return cls(Refused.NO_ROOM if full else Refused.DISK_ERROR, str(error.strerror))


REPLACED: Final = NotTaken(
    Refused.INBOX_REPLACED, "the inbox is another folder than at the start: restart the receiver"
)
NO_ROOM: Final = NotTaken(Refused.NO_ROOM, "no room on its disk: [spool] min_free_mb")
FULL: Final = NotTaken(Refused.INBOX_FULL, "no room in the inbox: [spool] max_waiting")
GIVEN_UP: Final = NotTaken(Refused.GIVEN_UP, "it was given up")


class Inbox:
    """
    An open inbox; what an earlier receiver left half done is removed.

    Args:
        settings: of the daemon whose inbox it is.

    Raises:
        ConfigError: the folder for unfinished objects is not ours alone.
        Unavailable: the inbox is away.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = settings.inbox.path
        self.most_bytes = settings.worker.max_file_mb * MB
        self._least_free = settings.spool.min_free_mb * MB
        self._most_waiting = settings.spool.max_waiting
        try:
            self._folder = os.open(self.path, FOLDER & ~os.O_NOFOLLOW)
            self._unfinished = self._open_unfinished()
            self.empty()
        except OSError as error:
            kind = Unavailable if error.errno in PASSING else ConfigError
            msg = f"inbox.path: {self.path}: {error.strerror}"
            raise kind(msg) from None

    def _open_unfinished(self) -> int:
        with suppress(FileExistsError):
            os.mkdir(NAME, 0o700, dir_fd=self._folder)
        folder = os.open(NAME, FOLDER, dir_fd=self._folder)
        if os.fstat(folder).st_uid != os.geteuid():
            msg = f"{self.path / NAME} belongs to another user: remove it"
            raise ConfigError(msg)
        os.fchmod(folder, 0o700)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{self.path}: another receiver puts objects there; each inbox has one"
            raise ConfigError(msg) from None
        return folder

    def empty(self) -> None:
        """Remove what is half done, of associations that have ended."""
        for name in os.listdir(self._unfinished):  # noqa: PTH208 - a descriptor has no path
            if not stat.S_ISDIR(os.lstat(name, dir_fd=self._unfinished).st_mode):
                os.unlink(name, dir_fd=self._unfinished)

    def closed(self) -> NotTaken | None:
        """
        Say why no object can be taken now; None if one can.

        Raises:
            OSError: the inbox does not answer.
        """
        if not self.is_there():
            return REPLACED
        if self.short():
            return NO_ROOM
        return FULL if self._is_full() else None

    def is_there(self) -> bool:
        """Tell if the path still leads to the folder that was opened; a mount may have come."""
        return os.path.samestat(self.path.stat(), os.fstat(self._folder))

    def _is_full(self) -> bool:
        """Tell if as many files wait as may: nobody takes them."""
        with os.scandir(self.path) as entries:
            waiting = (entry for entry in entries if not entry.name.startswith("."))
            return sum(1 for _ in islice(waiting, self._most_waiting)) >= self._most_waiting

    def short(self) -> bool:
        """Tell if an object that grows leaves less room than must stay free."""
        return free_bytes(self.path) < self._least_free

    def create(self, name: str) -> BinaryIO:
        """Begin a file that is not in the inbox yet."""
        descriptor = os.open(name, NEW, 0o640, dir_fd=self._unfinished)
        return os.fdopen(descriptor, "wb", buffering=BUFFER)

    def admit(self, name: str) -> None:
        """
        Move a whole, synced file into the inbox, for good.

        Raises:
            OSError: it may or may not be there; its sender must send it again.
        """
        os.rename(name, name, src_dir_fd=self._unfinished, dst_dir_fd=self._folder)
        os.fsync(self._folder)

    def remove(self, name: str) -> None:
        """Remove an unfinished file."""
        os.unlink(name, dir_fd=self._unfinished)


class Incoming:
    """
    An object on its way into the inbox.

    The disk's refusal is no error here: the rest of the object passes by, since DICOM cannot
    interrupt a sender, and `finish` says why. An object that is too long is one.

    Args:
        inbox: its destination.
        head: all that stands before the data set in the file.
    """

    def __init__(self, inbox: Inbox, head: bytes) -> None:
        self._inbox = inbox
        self._name = f"{uuid.uuid4()}.dcm"
        self.length = 0
        """Bytes so far, the head's too."""
        self._looked = 0
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._refusal: NotTaken | None = None
        try:
            self._refusal = inbox.closed()
            if self._refusal is None:
                self._file = inbox.create(self._name)
        except OSError as error:
            self._refuse(error)
        self.write(head)

    def write(self, data: bytes) -> None:
        """
        Take the next bytes.

        Raises:
            TooLargeError: the object is too long.
        """
        self.length += len(data)
        if self.length > self._inbox.most_bytes:
            self.discard()
            msg = f"an object of more than {self._inbox.most_bytes // MB} MiB"
            raise TooLargeError(msg)
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(data)
                self._look(len(data))
            except OSError as error:
                self._refuse(error)

    def _look(self, more: int) -> None:
        self._looked += more
        if self._looked >= LOOK_AGAIN:
            self._looked = 0
            if self._inbox.short():
                raise OSError(ENOSPC, os.strerror(ENOSPC))

    @property
    def is_open(self) -> bool:
        """True until the object is in the inbox, or refused."""
        return self._file is not None

    def finish(self) -> NotTaken | None:
        """Put the object into the inbox; say why if that cannot be."""
        with self._lock:
            if self._file is None:
                return self._refusal or GIVEN_UP
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                if not self._inbox.is_there():
                    self._refusal = REPLACED
                    self._drop()
                    return REPLACED
                self._inbox.admit(self._name)
            except OSError as error:
                self._refuse(error)
                return self._refusal
            self._file = None
        return None

    def discard(self) -> None:
        """Remove the object unless it is in the inbox; again: nothing happens."""
        with self._lock:
            self._drop()

    def _refuse(self, error: OSError) -> None:
        self._refusal = NotTaken.by(error)
        self._drop()

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        for undo in (file.close, lambda: self._inbox.remove(self._name)):
            try:
                undo()
            except OSError:  # a full disk at the last flush, or it was moved already
                continue
