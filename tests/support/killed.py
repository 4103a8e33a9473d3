"""
Fetch, install and activate a model again and again, killed one file operation later each time.

`python -m tests.support.killed FOLDER`. FOLDER holds `shipped`, `bundle` and `keys`, and gets
`state-1`, `state-2`, ...; the last of them was not killed. The program prints their number.
"""

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Final

from edge.config.settings import Model
from edge.models.store import ModelStore, Trust
from edge.models.transfer import announcement
from edge.models.transfer.installer import Installer

CHANGES: Final = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def store_at(folder: Path, name: str) -> ModelStore:
    """Open the models of one state folder."""
    return ModelStore(
        folder / name / "models", folder / "shipped", Trust(folder / "keys", allow_unsigned=False)
    )


def work(folder: Path, name: str) -> None:
    """Do everything that a power cut may interrupt."""
    retained: dict[str, bytes] = {}
    made = announcement.make_announcement(folder / "bundle", 2**14)
    announcement.publish(folder / "bundle", made, retained.__setitem__)
    store = store_at(folder, name)
    Installer(store, Model(), lambda _: None, retained.__getitem__).install({"bundle": made.bundle})
    store.activate(made.bundle, trial=True)
    store.end_trial(store.folder(made.bundle))


def die_at(place: int) -> None:
    """
    Arrange a SIGKILL before the nth file operation of this process.

    Python's audit hooks tell of each of them, so the product needs no hook.
    """
    left = place

    def hear(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & WRITES):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


def main(folder: Path) -> None:
    """Repeat until one run is not killed."""
    work(folder, "state-0")  # everything is imported
    for place in itertools.count(1):
        child = os.fork()
        if child == 0:
            die_at(place)
            work(folder, f"state-{place}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(place)  # noqa: T201
            return
        if not os.WIFSIGNALED(status):
            sys.exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
