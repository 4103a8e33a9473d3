"""
Torture of the way in by DICOM: what its sender was told is stored has one outcome, whatever is
killed.
"""

import contextlib
import random
import socket
import threading
import time
from pathlib import Path
from typing import Final

from tests.support.receiver import (
    MAMMOGRAM,
    Receiver,
    as_it_stands,
    association,
    command,
    data_set,
    fragment,
    instance,
    request,
    sent,
    written,
)
from tests.support.rig import PATIENCE_S, sha256
from tests.torture.bench import Bench, Row, scaled
from tests.torture.site import Site

EACH: Final = 2
"""New objects for each kill."""
SIZES: Final = (2_000, 200_000, 2_000_000)
"""Sizes of objects, in bytes."""


class Modality:
    """
    A sender that keeps each object, and sends it again, until it is told that it is stored.

    Args:
        folder: for its objects.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self.kept: list[Path] = []
        """Objects of which nobody said yet that they are stored."""
        self.stored: list[Path] = []

    def take_pictures(self, count: int, rng: random.Random) -> None:
        """Make some new objects."""
        for _ in range(count):
            self._made += 1
            self.kept.append(written(self._folder, self._made, size=rng.choice(SIZES)))

    def send(self, receiver: Receiver) -> None:
        """Send what is kept, in one association, until it ends."""
        with (
            association(receiver) as made,
            contextlib.suppress(RuntimeError),  # pynetdicom's, where there is no association
        ):
            while self.kept and sent(made, self.kept[0]) == 0:
                self.stored.append(self.kept.pop(0))

    def die_amid_an_object(self, receiver: Receiver, rng: random.Random) -> None:
        """Send a part of the object that is kept longest, and hang up."""
        number, size = int(self.kept[0].name.partition("-")[0]), self.kept[0].stat().st_size
        asked = command(0x01, MAMMOGRAM, uid=instance(number))
        half = data_set(number, size)[: rng.randrange(100, size)][:16_000]
        with socket.create_connection(("127.0.0.1", receiver.port), PATIENCE_S) as connection:
            connection.sendall(request())
            connection.recv(65536)
            connection.sendall(fragment(3, 3, asked) + fragment(3, 0, half))


def killed_on_the_way(bench: Bench, scale: float) -> Row:
    """Kill receiver, daemon or sender while objects come."""
    row = Row(
        "objects sent by DICOM, SIGKILL of receiver or daemon, or a sender that breaks off",
        scaled(500, scale, 3),
    )
    rng = random.Random(13)  # noqa: S311
    modality = Modality(bench.new_folder())
    with (
        as_it_stands(),
        bench.site() as site,
        Receiver(bench.new_folder(), inbox=site.inbox) as receiver,
    ):
        site.introduced()
        for number in range(row.repetitions):
            modality.take_pictures(EACH, rng)
            _kill_one(("receiver", "daemon", "sender")[number % 3], modality, receiver, site, rng)
        site.faulted()
        while modality.kept:
            modality.send(receiver)
        site.accepted |= {sha256(path.read_bytes()): True for path in modality.stored}
        recovery = site.recovered()
        row.add(site.judged(), recovery)
        row.expect(receiver.left() == [], "nothing unfinished is left in the inbox")
        row.expect(len(modality.stored) == EACH * row.repetitions, "all were told they are stored")
    return row


def _kill_one(
    victim: str, modality: Modality, receiver: Receiver, site: Site, rng: random.Random
) -> None:
    if victim == "sender":
        modality.die_amid_an_object(receiver, rng)
        return
    sending = threading.Thread(target=modality.send, args=[receiver])
    sending.start()
    time.sleep(rng.random() * 0.3)
    if victim == "daemon":
        site.kill()
        site.start()
    else:
        receiver.process.kill()
    sending.join()
    if victim == "receiver":
        receiver.process.wait(PATIENCE_S)
        receiver.start()


SCENARIOS = (killed_on_the_way,)
