"""Samples of a file's bytes, to compare files at a glance."""

from pathlib import Path
from typing import BinaryIO, Final

SAMPLE: Final = 4096
"""Bytes read at each of three places."""


def sample(path: Path) -> bytes:
    """
    Read bytes from the beginning, the middle and the end of a file.

    Another picture of the same size hardly ever has the same.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        return b"".join(_read_at(file, place) for place in (0, size // 2, max(0, size - SAMPLE)))


def _read_at(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.read(SAMPLE)
