"""A memory cgroup of one's own, in which the kernel kills whoever asks for more than there is."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.torture.bench import NotHereError

V1: Final = Path("/sys/fs/cgroup/memory")
V2: Final = Path("/sys/fs/cgroup")
NO_LIMIT: Final = {1: "-1", 2: "max"}
LEAVE_S: Final = 30.0
"""Seconds that killed processes may take to leave, before the cgroup is removed."""


class MemoryGroup:
    """
    A memory cgroup below our own, version 1 or else 2, which is removed at the end.

    Raises:
        NotHereError: neither may be made here.
    """

    def __init__(self) -> None:
        self._version = 1 if (V1 / "cgroup.procs").exists() else 2
        root = V1 if self._version == 1 else V2
        own = root / _own(self._version)
        above = own if own.is_dir() else root  # a container may not see the path of its own
        self._folder = above / f"torture-{os.getpid()}-{time.monotonic_ns()}"
        try:
            self._folder.mkdir()
        except OSError as error:
            msg = f"no memory cgroup may be made in {above}: {error.strerror}"
            raise NotHereError(msg) from None
        if not self._limit_file.exists():
            self._folder.rmdir()
            msg = f"{above} makes cgroups without a limit of memory: {self._limit_file.name}"
            raise NotHereError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in self._members():  # back to those who may live on
            with suppress(OSError):
                (self._folder.parent / "cgroup.procs").write_text(pid)
        deadline = time.monotonic() + LEAVE_S
        while self._members() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._folder.rmdir()

    def take(self, pids: Iterable[int]) -> None:
        """
        Move processes in; what they start from now on is in too, what they have does not count.

        Raises:
            NotHereError: they may not be moved.
        """
        for pid in pids:
            try:
                (self._folder / "cgroup.procs").write_text(str(pid))
            except ProcessLookupError:
                continue
            except OSError as error:
                msg = f"no process may be moved to {self._folder}: {error.strerror}"
                raise NotHereError(msg) from None

    def limit(self, more_mb: int) -> None:
        """Leave room for so many MiB beside what is used now, and none in swap."""
        allowed = str(self._used() + more_mb * 2**20)
        with suppress(OSError):  # absent if the kernel counts no swap
            if self._version == 2:
                (self._folder / "memory.swap.max").write_text("0")
        self._limit_file.write_text(allowed)
        with suppress(OSError):
            if self._version == 1:  # memory and swap together: never below the limit of memory
                (self._folder / "memory.memsw.limit_in_bytes").write_text(allowed)

    def lift(self) -> None:
        """Take the limit away."""
        with suppress(OSError):
            if self._version == 1:
                (self._folder / "memory.memsw.limit_in_bytes").write_text(NO_LIMIT[1])
        self._limit_file.write_text(NO_LIMIT[self._version])

    @property
    def kills(self) -> int:
        """Number of processes that the kernel killed for want of memory."""
        events = "memory.oom_control" if self._version == 1 else "memory.events"
        told = dict(line.split() for line in (self._folder / events).read_text().splitlines())
        return int(told["oom_kill"])

    @property
    def _limit_file(self) -> Path:
        name = "memory.limit_in_bytes" if self._version == 1 else "memory.max"
        return self._folder / name

    def _used(self) -> int:
        name = "memory.usage_in_bytes" if self._version == 1 else "memory.current"
        return int((self._folder / name).read_text())

    def _members(self) -> list[str]:
        return (self._folder / "cgroup.procs").read_text().split()


def _own(version: int) -> str:
    """Return the path of the cgroup that this process is in, below its root."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (version == 1 and controllers == "memory") or (version == 2 and not controllers):
            return path.lstrip("/")
    return ""
