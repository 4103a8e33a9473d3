"""Run the installed daemon as a process, with its folders, its broker and its subscriber."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import cv2
import jsonschema
import numpy as np

from deploy.demo.daemon import TOPICS, Daemon
from deploy.demo.subscriber import Subscriber
from edge.daemon.control.unix_socket import ask
from edge.errors import Unavailable
from tests.support.tools import ROOT

FILMS: Final = sorted((ROOT / "tests" / "data").glob("*.jpg"))
SCHEMA: Final = json.loads((ROOT / "docs" / "reference" / "result.schema.json").read_text())
VALIDATOR: Final[Any] = jsonschema.Draft202012Validator(SCHEMA)
PROGRAM: Final = Path(sys.executable).with_name("mammo-edge")
PATIENCE_S: Final = 240.0
Films: TypeAlias = Callable[[int], bytes]
"""A function that makes films, as `film` does."""

__all__ = [
    "FILMS",
    "PATIENCE_S",
    "TOPICS",
    "Films",
    "Rig",
    "copy_slowly",
    "film",
    "run_command",
    "sha256",
    "until",
]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def until(
    true: Callable[[], object],
    what: str,
    words: Callable[[], str] = str,
    timeout_s: float = PATIENCE_S,
) -> None:
    """Wait until a condition holds; if it never does, fail with the daemon's log."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}\n{words()}"
        time.sleep(0.02)


def film(number: int, *, depth: int = 8) -> bytes:
    """Make a small real mammogram as PNG of 8 or 16 bits, with other bytes for each number."""
    pixels = cv2.imread(str(FILMS[number % len(FILMS)]), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    small = np.asarray(cv2.resize(pixels, (240, 320), interpolation=cv2.INTER_AREA), np.uint8)
    small[0, :16] = [(number >> bit) & 1 for bit in range(16)]
    encoded, data = cv2.imencode(
        ".png", small if depth == 8 else small.astype(np.uint16) * np.uint16(257)
    )
    assert encoded
    return bytes(data)


def validate(message: dict[str, Any]) -> None:
    """Check a published result against docs/reference/result.schema.json."""
    VALIDATOR.validate(message)


def run_command(
    *arguments: object, env: dict[str, str] | None = None, timeout_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run `mammo-edge ARGUMENTS` and return its output."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("MAMMO_EDGE_")
    } | (env or {})
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(
        command,
        env=environ,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class Rig(Daemon):
    """The daemon of one test."""

    def __init__(
        self,
        folder: Path,
        broker_port: int,
        subscriber: Subscriber | None = None,
        config: str = "",
        before: Sequence[str] = (),
    ) -> None:
        folder.mkdir()
        super().__init__(folder, broker_port)
        self.subscriber = subscriber
        self.before = before
        """A command that runs the daemon, for example in a mount namespace."""
        self.done, self.failed = folder / "done", folder / "failed"
        if config:
            self.configure(config)

    def configure(self, config: str) -> None:
        """Add sections to the configuration."""
        self.config.write_text(self.config.read_text() + config)

    def place(self, key: str, path: Path) -> None:
        """Put one of the folders elsewhere; `key` is its name in the rig's own folder."""
        self.config.write_text(
            self.config.read_text().replace(f'"{self.folder}/{key}"', f'"{path}"')
        )

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, str(PROGRAM), "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        return self

    def ready(self) -> Self:
        """Start the daemon and wait until it answers on its control socket."""
        self.start()
        until(lambda: self.answers() or not self.running, "ready")
        assert self.running, self.words()
        return self

    def answers(self) -> bool:
        try:
            return ask(self.folder / "control.sock", "status")["state"] in {"ready", "degraded"}
        except Unavailable:
            return False

    def status(self) -> dict[str, Any]:
        return ask(self.folder / "control.sock", "status")

    def await_introduction(self) -> None:
        """
        Wait until the broker knows the daemon's subscriptions: its first status comes after them.
        """
        assert self.subscriber is not None
        told = self.subscriber.under
        until(
            lambda: any(status["status"] == "online" for status in told("status")),
            "known to the broker",
            self.words,
        )

    def kill(self) -> None:
        """Kill the supervisor by SIGKILL; its workers end by themselves."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def children(self) -> list[int]:
        """List the processes of the workers and of Python's resource tracker."""
        assert self.process is not None
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with suppress(OSError):  # a thread that ended meanwhile
                found += [int(pid) for pid in task.read_text().split()]
        return found

    def __enter__(self) -> Self:
        return self.ready()

    def words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def drop(self, name: str, data: bytes) -> str:
        """Write a file under an ignored name, then rename it; returns the image id."""
        part = self.inbox / f"{name}.part"
        part.write_bytes(data)
        part.rename(self.inbox / name)
        return sha256(data)

    def results(self, count: int, timeout_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Wait for a number of valid messages on `result`."""
        assert self.subscriber is not None
        try:
            messages = self.subscriber.wait_under("result", count, timeout_s)
        except TimeoutError as error:
            msg = f"{error}\n{self.words()}"
            raise AssertionError(msg) from None
        for message in messages:
            validate(message)
        return messages

    def result_of(self, image_id: str) -> dict[str, Any]:
        """Wait for the first result of one image."""
        assert self.subscriber is not None
        subscriber = self.subscriber

        def found() -> list[dict[str, Any]]:
            return [
                message for message in subscriber.under("result") if message["image_id"] == image_id
            ]

        until(found, f"a result of {image_id[:16]}", self.words)
        validate(found()[0])
        return found()[0]

    def settled(self) -> bool:
        """True if no image waits any more."""
        report = self.status()
        queue = report["queue"]
        undelivered = sum(row["waiting"] for row in report["outbox"].values())
        return not any((queue["waiting"], queue["examining"], queue["to_archive"], undelivered))

    def assert_nothing_lost(self, image_ids: set[str]) -> None:
        """
        Assert that each image has one result id, reached the subscriber, and lies in one place.
        """
        assert self.subscriber is not None
        subscriber = self.subscriber
        until(
            lambda: image_ids <= {message["image_id"] for message in subscriber.under("result")},
            "all results",
            self.words,
            PATIENCE_S + len(image_ids),
        )
        until(self.settled, "settled", self.words)
        by_image: dict[str, set[str]] = {}
        for message in self.results(len(image_ids)):
            by_image.setdefault(message["image_id"], set()).add(message["result_id"])
            assert message["score"] is not None, message["gate"]
        assert set(by_image) == image_ids
        assert all(len(ids) == 1 for ids in by_image.values())
        assert len({next(iter(ids)) for ids in by_image.values()}) == len(image_ids)
        assert self.left_over() == []
        archived = [
            path
            for folder in (self.done, self.failed)
            for path in folder.iterdir()
            if path.suffix != ".json"
        ]
        assert sorted(sha256(path.read_bytes()) for path in archived) == sorted(image_ids)
        assert all(path.with_name(path.name + ".json").exists() for path in archived)


def copy_slowly(data: bytes, target: Path, pieces: int = 5) -> None:
    """Write a file piece by piece, each on the disk before the next."""
    with target.open("wb") as file:
        for start in range(0, len(data), len(data) // pieces + 1):
            file.write(data[start : start + len(data) // pieces + 1])
            file.flush()
            os.fsync(file.fileno())
