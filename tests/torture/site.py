"""
Simulate a clinic: folders, a broker, a subscriber that stays, and a daemon that is started by fork.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from paho.mqtt.client import MQTTMessage

from deploy.demo.brokers import Broker
from deploy.demo.subscriber import Subscriber
from edge.errors import Unavailable
from tests.support.rig import TOPICS, Rig, until
from tests.support.tools import ROOT
from tests.torture.oracle import Evidence, Reply, Verdict, correlation_of, judge

PATIENCE_S: Final = 240.0
QUICK: Final = "[inbox]\nquiet_s = 0.2\n"
"""A short quiet time: files that came while no daemon ran are taken soon."""


class Zygote:
    """The process that forks daemons."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.torture.zygote"]
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(120)


class Forked(subprocess.Popen[bytes]):
    """A forked daemon, with the part of subprocess.Popen that the rig uses."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote = zygote
        self.pid = pid
        self.returncode: Any = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._zygote.ask({"poll": self.pid})
        return self.returncode  # type: ignore[no-any-return]

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout or PATIENCE_S)
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or PATIENCE_S)
            time.sleep(0.005)
        return int(self.returncode)

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def __del__(self, *_: object) -> None:
        """Do nothing: the method of Popen would wait for a child that is not ours."""


class Site(Rig):
    """A daemon under torture, and everything that it was given."""

    def __init__(
        self, folder: Path, zygote: Zygote, broker: Broker, subscriber: Subscriber, config: str = ""
    ) -> None:
        super().__init__(folder, broker.port, subscriber)
        self.set_keys("inbox", "quiet_s = 0.2")
        if config:
            self.configure(config)
        self.zygote = zygote
        self.broker = broker
        self.accepted: dict[str, bool] = {}
        self._image_ids: set[str] = set()
        self._asked: dict[str, str] = {}
        """Image ids by the response topic that they were sent with."""
        self._looked_at = 0
        self.possible: set[str] = set()
        """Images that may or may not have been taken: their sender replaced or removed them."""
        self.states = [folder / "state"]
        self.faulted_at = time.monotonic()
        self.last = Verdict(0)
        self.stubbed = True
        self.refused: set[int] = set()
        """Numbers of results that the broker may have refused."""
        self.replayed = 0
        """The number of results that were heard before `replay` had all sent once more."""

    def set_keys(self, section: str, *lines: str) -> None:
        self.config.write_text(
            self.config.read_text().replace(
                f"[{section}]\n", "\n".join([f"[{section}]", *lines, ""])
            )
        )

    def start(self, **changes: Any) -> Self:  # noqa: ANN401
        self.stubbed = self.stubbed and changes.get("stub", True)
        request = {"config": str(self.config), "log": str(self.log), **changes}
        self.process = Forked(self.zygote, self.zygote.ask(request))
        return self

    def ready(self, **changes: Any) -> Self:  # noqa: ANN401
        self.start(**changes)
        until(lambda: self.answers() or not self.running, "ready", self.words)
        assert self.running, self.words()
        return self

    def introduced(self, **changes: Any) -> Self:  # noqa: ANN401
        """
        Start, and wait until the broker knows the daemon: from then on it keeps requests for it.
        """
        self.ready(**changes)
        self.await_introduction()
        return self

    def give(
        self, data: bytes, *, scored: bool = True, by: str = "folder", name: str | None = None
    ) -> str:
        """Give one file to the daemon, and note that it must come through."""
        image_id = hashlib.sha256(data).hexdigest()
        if by == "folder":
            self.drop(name or f"{image_id[:12]}.png", data)
        else:
            assert self.subscriber is not None
            self.await_introduction()
            topic = f"mammo/v1/demo/ws/{image_id[:12]}" if by == "reply" else None
            if topic:
                self._asked[topic] = image_id
            correlation = correlation_of(image_id) if topic else None
            self.subscriber.publish(f"{TOPICS}/request/image", data, topic, correlation)
        self.accepted[image_id] = scored
        return image_id

    def give_some(
        self, count: int, ways: tuple[str, ...] = ("folder",), prefix: bytes = b"film"
    ) -> None:
        for number in range(count):
            self.give(
                prefix + f" {len(self.accepted)} {self.folder.name}".encode() * 20,
                by=ways[number % len(ways)],
            )

    def died(self, timeout_s: float = 120.0) -> bool:
        """Wait for the daemon's death; returns False if it lives on."""
        assert self.process is not None
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def workers(self) -> list[int]:
        found = []
        for pid in self.children():
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def kill_workers(self) -> None:
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def faulted(self) -> None:
        """Note that the fault is over: from here on recovery is timed."""
        self.faulted_at = time.monotonic()

    def recovered(self, timeout_s: float = PATIENCE_S) -> float:
        """Wait until nothing waits any more; returns the seconds since the fault was over."""
        until(
            lambda: self.accepted.keys() <= self._answered() and self._settled(),
            "everything settled",
            self.state_of_things,
            timeout_s,
        )
        return time.monotonic() - self.faulted_at

    def answered(self, image_ids: set[str]) -> None:
        """Wait until the subscriber has heard of some images."""
        until(lambda: image_ids <= self._answered(), "answered", self.state_of_things)

    def _answered(self) -> set[str]:
        """Collect the image ids of results and replies; only new messages are read."""
        assert self.subscriber is not None
        for message in self.subscriber.messages[self._looked_at :]:
            self._looked_at += 1
            if _is_answer(message):
                self._image_ids.add(json.loads(message.payload)["image_id"])
        return self._image_ids

    def come_to_rest(self, turns: int = 4) -> None:
        """Wait until nothing changes any more, right or wrong."""
        seen: tuple[object, ...] = ()
        same, deadline = 0, time.monotonic() + PATIENCE_S
        while same < turns:
            assert time.monotonic() < deadline, (
                f"no rest within {PATIENCE_S} s\n{self.state_of_things()}"
            )
            now = (
                self._settled(),
                len(self.heard()),
                sorted(self.done.glob("*")),
                sorted(self.failed.glob("*")),
                self.left_over(),
            )
            same = same + 1 if now == seen and now[0] else 0
            seen = now
            time.sleep(0.1)

    def _settled(self) -> bool:
        try:
            return self.settled() and not self.waiting_in_inbox()
        except Unavailable:
            return False

    def waiting_in_inbox(self) -> list[Path]:
        return [path for path in self.inbox.rglob("*") if path.is_file()]

    def heard(self) -> list[dict[str, Any]]:
        """List every result and every reply so far."""
        assert self.subscriber is not None
        return [
            json.loads(message.payload)
            for message in list(self.subscriber.messages)
            if _is_answer(message)
        ]

    def results_heard(self) -> list[dict[str, Any]]:
        """List every message on `result` so far."""
        assert self.subscriber is not None
        return [
            json.loads(message.payload)
            for message in list(self.subscriber.messages)
            if message.topic.endswith("/result") and _is_answer(message)
        ]

    def replies(self) -> Iterator[Reply]:
        """Yield the answers on response topics that images were sent with."""
        assert self.subscriber is not None
        for message in list(self.subscriber.messages):
            asked = self._asked.get(message.topic)
            if asked is not None:
                correlation = getattr(message.properties, "CorrelationData", None)
                yield Reply(asked, correlation, json.loads(message.payload)["image_id"])

    def state_of_things(self) -> str:
        heard = {message["image_id"] for message in self.heard()}
        missing = [image_id[:16] for image_id in self.accepted if image_id not in heard]
        with contextlib.suppress(Unavailable):
            return f"not heard: {len(missing)} {missing[:5]}; {self.status()}\n{self.words()}"
        return f"not heard: {len(missing)} {missing[:5]}; no answer\n{self.words()}"

    def judged(self) -> Verdict:
        """Stop the daemon and judge the run."""
        if self.running:
            self.stop()
        evidence = Evidence(
            self.inbox,
            self.spool,
            self.done,
            self.failed,
            self.states,
            self.heard(),
            self.stubbed,
            list(self.replies()),
            self.results_heard(),
            self.replayed,
            self.refused,
        )
        return judge(self.accepted, evidence, self.possible)


def _is_answer(message: MQTTMessage) -> bool:
    """True for a result or a reply, false for a probe."""
    return (message.topic.endswith("/result") or "/demo/ws/" in message.topic) and len(
        message.payload
    ) > len(b"{}")
