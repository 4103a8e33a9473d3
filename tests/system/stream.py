"""Films that keep coming, and how long no daemon is ready for them."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.rig import film, sha256
from tests.system.clinic import Clinic
from tests.system.machine import Machine
from tests.system.steps import INBOX


class Stream:
    """
    Films that come one after another, into the inbox and, each third, over MQTT.

    Args:
        machine: has the inbox.
        clinic: its workstation sends the requests.
        folder: for the films of requests.
        first: the number of the first film.
    """

    def __init__(self, machine: Machine, clinic: Clinic, folder: Path, first: int) -> None:
        self.ids: list[str] = []
        self.requested: list[str] = []
        self._inbox = machine.root / INBOX
        self._clinic = clinic
        self._folder = folder
        self._numbers = itertools.count(first)
        self._enough = threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send films until the block ends."""
        sender = threading.Thread(target=self._send)
        sender.start()
        try:
            yield
        finally:
            self._enough.set()
            sender.join()

    def _send(self) -> None:
        while not self._enough.wait(0.5):
            number = next(self._numbers)
            name = f"{number}.png"
            if number % 3:
                part = self._inbox / f"{name}.part"
                part.write_bytes(film(number))
                part.chmod(0o644)
                part.rename(self._inbox / name)
            else:
                (self._folder / name).write_bytes(film(number))
                self._clinic.request(self._folder / name)
                self.requested.append(sha256(film(number)))
            self.ids.append(sha256(film(number)))


def away_s(lines: list[str]) -> float:
    """Give the longest time without a ready daemon from a subscriber's lines: time, status."""
    longest, since = 0.0, None
    for line in lines:
        stamp, _, said = line.partition(" ")
        if json.loads(said).get("state") == "ready":
            longest = max(longest, float(stamp) - since) if since else longest
            since = None
        else:
            since = since or float(stamp)
    assert since is None, lines[-3:]
    return longest
