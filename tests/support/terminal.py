"""Run a command at a real terminal: a pseudo-terminal that is its standard streams and its own."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.rig import PATIENCE_S

CTRL_C: Final = b"\x03"
AGAIN_S: Final = 10.0
"""Seconds after which a key that had no effect is pressed once more."""
OWN_TERMINAL: Final = """
import fcntl, os, signal, sys, termios
os.setsid()
signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in the background ignores it
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program that makes its terminal the one whose Ctrl-C it gets, then becomes the command."""


class Terminal:
    """
    A command at a terminal, with what it has said so far in `said`.

    Args:
        program: the command's file.
        words: its arguments.
        output: a file for the standard output; the terminal if there is none.
        variables: changes to the environment.
    """

    def __init__(
        self,
        program: Path,
        *words: object,
        output: Path | None = None,
        variables: dict[str, str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        environ = {"PATH": os.environ["PATH"], "TERM": "xterm", **(variables or {})}
        command = [sys.executable, "-c", OWN_TERMINAL, str(program), *map(str, words)]
        out = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600) if output else theirs
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=out, stderr=theirs, env=environ, cwd="/"
        )
        for one in {out, theirs}:
            os.close(one)
        self.said = ""

    def until(self, text: str) -> str:
        """Read until the command has said a text; returns all that it has said."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert time.monotonic() < deadline, f"never said {text!r}:\n{self.said}"
            assert self._read(), f"ended and never said {text!r}:\n{self.said}"
        return self.said

    def press(self, keys: bytes) -> None:
        """Type at the terminal."""
        os.write(self._ours, keys)

    def ended(self) -> int:
        """Read to the end; returns the exit status, negative for a signal."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < deadline, f"did not end:\n{self.said}"
        return self._process.wait(PATIENCE_S)

    def interrupted(self) -> int:
        """
        Press Ctrl-C until the command ends, as a person would; returns the exit status.

        Python does not see one that comes between the prompt and the wait for a key.
        """
        deadline = time.monotonic() + PATIENCE_S
        pressed = float("-inf")
        while True:
            if time.monotonic() - pressed >= AGAIN_S:
                self.press(CTRL_C)
                pressed = time.monotonic()
            if not self._read():
                return self._process.wait(PATIENCE_S)
            assert time.monotonic() < deadline, f"did not end:\n{self.said}"

    def _read(self) -> bool:
        """Read what is there, or wait a little; false at the end."""
        if select.select([self._ours], [], [], 1)[0]:
            try:
                self.said += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # nobody has the other side open
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)
