"""
Torture by a ledger that is damaged while the daemon is down.

The damage is noticed, the ledger set aside and rebuilt; every file and every result is there in the
end.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.storage.ledger.database import FILE
from edge.storage.ledger.integrity import FOLDER
from tests.torture.bench import Bench, Row, scaled
from tests.torture.scenarios.disks import reasons
from tests.torture.scenarios.kills import WAYS

LOG: Final = f"{FILE}-wal"
WHOLE: Final = 0.1
"""
The scale from which on all kinds of damage are made; below it two must do, as test_integrity.py has
them all.
"""


def flip(file: Path, rng: random.Random) -> None:
    """Flip ten bytes here and there, and the head of a page."""
    data = bytearray(file.read_bytes())
    for place in [rng.randrange(len(data)) for _ in range(10)] + [
        rng.randrange(len(data) // 4096) * 4096
    ]:
        data[place] ^= 0xFF
    file.write_bytes(data)


def cut(file: Path, rng: random.Random) -> None:
    """Truncate the file somewhere."""
    os.truncate(file, rng.randrange(file.stat().st_size))


def remove(file: Path, _: random.Random) -> None:
    """Remove the file."""
    file.unlink()


DAMAGES: Final[tuple[tuple[str, str, Callable[[Path, random.Random], None]], ...]] = (
    ("bytes flipped", FILE, flip),
    ("truncated", FILE, cut),
    ("removed", FILE, remove),
    ("log missing", LOG, remove),
    ("log truncated", LOG, cut),
    ("log flipped", LOG, flip),
)


def damaged(bench: Bench, scale: float) -> Row:
    """Make each damage after a SIGKILL under load."""
    row = Row(
        "ledger damaged while down: bytes flipped, truncated, "
        "removed; its log missing, truncated, flipped",
        0,
    )
    rng = random.Random(11)  # noqa: S311
    seen = 0
    for _ in range(scaled(6, scale)):
        for _, name, damage in DAMAGES if scale >= WHOLE else DAMAGES[::4]:
            with bench.site() as site:
                site.ready()
                site.give_some(6, ("folder", "mqtt"))
                site.recovered()
                if name == FILE:
                    site.stop()  # all is in the file
                    site.ready()
                site.give_some(9, WAYS)
                site.kill()
                if name == FILE:
                    (site.folder / "state" / LOG).unlink()
                damage(site.folder / "state" / name, rng)
                site.faulted()
                site.ready()
                aside = (site.folder / "state" / FOLDER).is_dir()
                row.expect(
                    aside == ("the ledger was damaged" in reasons(site)),
                    "what was set aside is told",
                )
                seen += aside
                recovery = site.recovered()
                row.repetitions += 1
                row.add(site.judged(), recovery)
    row.note = f"set aside and rebuilt in {seen} of {row.repetitions}" + (
        "; the others hit no byte that counts" if seen < row.repetitions else ""
    )
    return row


SCENARIOS = (damaged,)
