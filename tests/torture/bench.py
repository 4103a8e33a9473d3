"""Give a scenario its zygote, folder, brokers and subscribers, and collect its outcome."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.torture.oracle import Verdict
from tests.torture.site import Site, Zygote

ROOT_USER: Final = os.geteuid() == 0


class NotHereError(Exception):
    """A fault that this machine cannot make; the text says why."""


@dataclass(slots=True)
class Row:
    """A line of docs/quality/reliability.md."""

    scenario: str
    repetitions: int
    files: int = 0
    lost: int = 0
    two_ids: int = 0
    recovery_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, verdict: Verdict, recovery_s: float = 0.0) -> Self:
        """Add the verdict on one site to the line."""
        self.files += verdict.files
        self.lost += len(verdict.lost)
        self.two_ids += len(verdict.two_ids)
        self.faults += verdict.faults
        self.recovery_s = max(self.recovery_s, recovery_s)
        return self

    def expect(self, true: object, what: str) -> None:
        """Note a fault unless a further condition holds."""
        if not true:
            self.faults.append(f"not so: {what}")


class Bench:
    """A bench that makes sites, each with a broker of its own, and takes them down."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.folder.chmod(0o755)
        self.zygote = Zygote()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.zygote.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self) -> Path:
        self._count += 1
        made = self.folder / f"{self._count}"
        made.mkdir()
        return made

    @contextlib.contextmanager
    def site(
        self, config: str = "", broker_config: str = "", *, port: int | None = None
    ) -> Iterator[Site]:
        """Make a site that is not started; its daemon is killed at the end if it still runs."""
        folder = self.new_folder()
        with (
            Mosquitto(folder / "mosquitto", broker_config) as broker,
            Subscriber(broker.port) as subscriber,
        ):
            site = Site(folder / "edge", self.zygote, broker, subscriber, config)
            if port is not None:
                site.config.write_text(
                    site.config.read_text().replace(f"port = {broker.port}", f"port = {port}")
                )
            try:
                yield site
            finally:
                if site.running:
                    site.kill()
                for stuck in mounts_below(folder):
                    subprocess.run(["umount", "-l", stuck], check=False)
        shutil.rmtree(folder, ignore_errors=True)


Scenario: TypeAlias = Callable[[Bench, float], Row]
"""A scenario: it runs at a scale, of which 1 is the whole."""


def scaled(count: int, scale: float, least: int = 1) -> int:
    """Scale a number of repetitions."""
    return max(least, round(count * scale))


@contextlib.contextmanager
def mounted(target: Path, *arguments: str) -> Iterator[Path]:
    """
    Mount a file system for a while.

    Raises:
        NotHereError: we may not.
    """
    target.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", *arguments, str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"mount: {done.stderr.strip()}"
        raise NotHereError(msg)
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=False, capture_output=True)


def mounts_below(folder: Path) -> list[str]:
    """List the mount points below a folder, the deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)
