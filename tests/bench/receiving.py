"""
Measure four senders at once, at the receiver and at DCMTK's `storescp`, in turns.

`python -m tests.bench.receiving` prints seconds, which stand in docs/guides/receiving.md. `storescp`
tells success first and then has `sync -d` bring each file onto the disk; the receiver does it first.
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tests.bench.stats import figures, ratio
from tests.support.films import dicom
from tests.support.receiver import CALLER, US, Receiver
from tests.support.rig import until
from tests.support.tools import ROOT, need

SENDERS: Final = 4
OBJECTS: Final = 3
"""Objects that each sender sends, one after the other."""
ROUNDS: Final = 5
SHAPE: Final = (3700, 3650)
"""Rows and columns of 16 bits: 27 MB, as a large mammogram."""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        files = [_written(folder, number) for number in range(OBJECTS)]
        ours: list[float] = []
        theirs: list[float] = []
        with Receiver(folder / "receiver") as receiver:
            storescp, port, taken = _storescp(folder / "storescp")
            for _ in range(ROUNDS):
                ours.append(_seconds(receiver.port, files))
                _empty(receiver.received())
                theirs.append(_seconds(port, files))
                _empty(list(taken.iterdir()))
            storescp.terminate()
            storescp.wait()
    print(f"{SENDERS} senders of {OBJECTS} objects of {np.prod(SHAPE) * 2 / 1e6:.0f} MB, seconds:")
    print(f"the receiver {figures(ours, 2)}, storescp {figures(theirs, 2)}")
    print(f"the receiver's time as a multiple of storescp's: {ratio(ours, theirs, 2)}")


def _written(folder: Path, number: int) -> Path:
    pixels = np.random.default_rng(number).integers(0, 4096, SHAPE, np.uint16)
    path = folder / f"{number}.dcm"
    path.write_bytes(dicom(pixels, SOPInstanceUID=f"1.2.826.0.1.3680043.8.498.78.{number}"))
    return path


def _storescp(folder: Path) -> tuple[subprocess.Popen[bytes], int, Path]:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--fork", "--unique-filenames", "--output-directory", str(folder)]
    synced = ["--exec-sync", "--exec-on-reception", f"sync -d {folder}/#f"]
    started = subprocess.Popen([need("storescp", "dcmtk"), *options, *synced, str(port)])
    echo = [need("echoscu", "dcmtk"), "127.0.0.1", str(port)]
    until(lambda: subprocess.run(echo, check=False).returncode == 0, "storescp listens")
    return started, port, folder


def _seconds(port: int, files: Sequence[Path]) -> float:
    """Send all files from all senders at once; returns the seconds until the last one is told."""
    words = [need("storescu", "dcmtk"), "-aet", CALLER, "-aec", US, "127.0.0.1", str(port)]
    start = time.monotonic()
    senders = [subprocess.Popen([*words, *map(str, files)]) for _ in range(SENDERS)]
    statuses = [sender.wait() for sender in senders]
    took = time.monotonic() - start
    if any(statuses):
        msg = f"storescu ended with {statuses}, expected 0"
        raise SystemExit(msg)
    return took


def _empty(files: Sequence[Path]) -> None:
    if len(files) != SENDERS * OBJECTS:
        msg = f"found {len(files)} files, expected {SENDERS * OBJECTS}"
        raise SystemExit(msg)
    for file in files:
        file.unlink()


if __name__ == "__main__":
    main()
