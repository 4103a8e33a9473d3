"""The brokers that have spoken MQTT 5, kept over restarts."""

import contextlib
import json
from pathlib import Path
from typing import Final

from edge.system import files

NAME: Final = "mqtt5.json"
"""The file in the state folder."""
KEPT: Final = 16


class Spoken:
    """
    Remembers brokers by host and port.

    Args:
        file: None to remember nothing.
        writes: false to only look.
    """

    def __init__(self, file: Path | None, *, writes: bool = True) -> None:
        self._file = file
        self._writes = writes

    def knows(self, host: str, port: int) -> bool:
        """Tell if this broker has spoken MQTT 5 before."""
        return f"{host}:{port}" in self._read()

    def note(self, host: str, port: int) -> None:
        """Note that this broker speaks MQTT 5; a disk that does not take it is no trouble."""
        known, where = self._read(), f"{host}:{port}"
        if self._file is None or not self._writes or where in known:
            return
        with contextlib.suppress(OSError):
            files.write(self._file, json.dumps([*known, where][-KEPT:]).encode())

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        try:
            return [str(where) for where in json.loads(self._file.read_bytes())]
        except (OSError, ValueError, TypeError):
            return []
