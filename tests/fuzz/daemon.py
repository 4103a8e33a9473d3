"""
Send mutated messages and mutated files to a real daemon, each at a fixed rate, with honest films in
between: `make fuzz`.

    python -m tests.fuzz.daemon 3600 fuzz-findings

The broker is one of a script, which passes on what a real one would filter. Exits of the daemon,
growth of its memory, messages that it never acknowledges, files that it leaves where they are, and
honest films without an answer are failures.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.demo.daemon import TOPICS, Daemon
from tests.fuzz.files import corpus, mutated
from tests.fuzz.messages import messages
from tests.support.rig import film, sha256, until
from tests.support.scripted import Scripted, publish, string

MESSAGE_HZ: Final = 20.0
"""Messages a second."""
FILE_HZ: Final = 2.0
"""Files a second, into the inbox."""
HONEST_S: Final = 5.0
"""Seconds between two honest films."""
CONFIG: Final = """
[intake]
commands = ["replay", "model/list", "model/rollback"]
"""
"""No command that proves a model each time: an honest film would wait for the processor."""
SETTLED: Final = 400
"""Messages after which memory is measured first."""
GROWTH_KB: Final = 60_000
"""Growth of the supervisor's memory that is a failure, in kB."""
REPLIES: Final = "mammo/v1/demo/ws/honest"
RESULTS: Final = f"{TOPICS}/result"


class Run:
    """
    One daemon under fire.

    Args:
        daemon: running.
        script: its broker.
    """

    def __init__(self, daemon: Daemon, script: Scripted) -> None:
        self._daemon = daemon
        self._script = script
        self._asked: dict[str, float] = {}
        self.answered_s: list[float] = []
        """Seconds from each honest film to its answer."""
        self.sent = 0
        """Messages."""
        self.dropped = 0
        """Files into the inbox."""
        self._files = sorted(corpus().items())
        self._owed: set[int] = set()
        """Packet identifiers that the present connection must acknowledge."""

    def fire(self, end: float, seed: int) -> None:
        """Send until the monotonic time `end`, or until the daemon ends."""
        next_film = next_file = next_message = time.monotonic()
        for mid, packet in messages(seed):
            now = time.monotonic()
            if now > end or not self._daemon.running:
                return
            if now >= next_film:
                self._ask()
                next_film = now + HONEST_S
            if now >= next_file:
                self._drop(seed)
                next_file = now + 1 / FILE_HZ
            self._send(mid, packet)
            self.sent += 1
            self.listen()
            next_message += 1 / MESSAGE_HZ
            time.sleep(max(0.0, next_message - time.monotonic()))

    def listen(self) -> None:
        """Note the answers to honest films, and forget what was heard."""
        heard, self._script.heard[:] = list(self._script.heard), []
        for one in heard:
            if one.topic in (REPLIES, RESULTS):
                name = json.loads(one.body[one.body.index(b"{") :])["image_id"]
                if name in self._asked:
                    self.answered_s.append(time.monotonic() - self._asked.pop(name))

    @property
    def unanswered(self) -> int:
        """Honest films without an answer."""
        return len(self._asked)

    @property
    def left(self) -> int:
        """Honest films without an answer, and messages that were not acknowledged."""
        return self.unanswered + self.unacknowledged + len(self._daemon.left_over())

    def _ask(self) -> None:
        """Give it an honest film, by folder and over MQTT in turn."""
        number = len(self._asked) + len(self.answered_s)
        data = film(number)
        self._asked[sha256(data)] = time.monotonic()
        if number % 2:
            self._put(f"honest-{number}.png", data)
            return
        topic = f"{TOPICS}/request/image".encode()
        properties = b"\x08" + string(REPLIES.encode())
        mid = 60_001 + len(self.answered_s) % 5000
        self._send(mid, publish(topic, data, mid, properties=properties))

    def _drop(self, seed: int) -> None:
        name, data = self._files[self.dropped % len(self._files)]
        self._put(f"{name} {self.dropped}", mutated(data, seed + self.dropped))
        self.dropped += 1

    def _put(self, name: str, data: bytes) -> None:
        part = self._daemon.inbox / f".{name}.part"
        part.write_bytes(data)
        part.rename(self._daemon.inbox / name)

    @property
    def unacknowledged(self) -> int:
        """Messages that the present connection was sent and has not acknowledged."""
        return len(self._owed - {0, *self._script.clients[-1].acknowledged})

    def _send(self, mid: int, packet: bytes) -> None:
        try:
            self._script.send(packet)
            self._owed.add(mid)
        except OSError:  # it connects again
            self._owed.clear()
            until(lambda: not self._daemon.running or self._fresh(), "connected again")

    def _fresh(self) -> bool:
        client = self._script.clients[-1]
        return client.subscribed > 0 and client.connection.fileno() >= 0


def main(duration_s: float, findings: Path) -> int:
    """
    Fuzz for a number of seconds, and return the number of failures.

    Args:
        duration_s: how long.
        findings: a folder for the daemon's log, if something failed.
    """
    seed = time.time_ns()
    with tempfile.TemporaryDirectory() as folder, Scripted() as script:
        daemon = Daemon(Path(folder), script.port)
        daemon.config.write_text(daemon.config.read_text() + CONFIG)
        with daemon:
            until(lambda: script.clients and script.clients[-1].subscribed, "subscribed")
            run = Run(daemon, script)
            run.fire(time.monotonic() + min(duration_s, SETTLED / MESSAGE_HZ), seed)
            first = _resident_kb(daemon)
            run.fire(time.monotonic() + max(0.0, duration_s - SETTLED / MESSAGE_HZ), seed + SETTLED)
            deadline = time.monotonic() + 120
            while run.left and daemon.running and time.monotonic() < deadline:
                run.listen()
                time.sleep(0.1)
            grown = _resident_kb(daemon) - first
            failures = (not daemon.running) + run.left + (grown > GROWTH_KB)
            print(_summary(run, daemon, script, grown))  # noqa: T201 - this is the command
        if failures:
            findings.mkdir(parents=True, exist_ok=True)
            (findings / f"messages-{seed}.log").write_bytes(daemon.log.read_bytes())
    return failures


def _summary(run: Run, daemon: Daemon, script: Scripted, grown: int) -> str:
    answered = run.answered_s or [float("nan")]
    return (
        f"{run.sent} messages, {run.dropped} files, {len(script.asked)} connections, the daemon "
        f"{'lives' if daemon.running else 'ended'} and grew by {grown} kB; "
        f"{len(run.answered_s)} honest films answered within {statistics.median(answered):.2f} s "
        f"(median) and {max(answered):.2f} s (worst), "
        f"{run.unanswered} unanswered, {run.unacknowledged} messages unacknowledged, "
        f"{len(daemon.left_over())} files left where they were"
    )


def _resident_kb(daemon: Daemon) -> int:
    if daemon.process is None or not daemon.running:
        return 0
    pages = Path(f"/proc/{daemon.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024


if __name__ == "__main__":
    sys.exit(min(main(float(sys.argv[1]), Path(sys.argv[2])), os.EX_USAGE))
