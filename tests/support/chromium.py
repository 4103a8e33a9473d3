"""A real browser without a window, which is told what to do over a pipe."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import F_DUPFD, fcntl
from pathlib import Path
from typing import Any, Final

from tests.support.tools import need

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
"""Names that it has; .ci/run looks for the same."""
FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",  # as root
    "--disable-dev-shm-usage",  # which is small in a container
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
KEYS: Final = {"Tab": (9, ""), "Enter": (13, "\r")}
"""Number and text of a key."""


def find_chromium() -> str:
    """Find the browser, or skip the test, visibly."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None) or need("chromium", "chromium")


class Chromium:
    """
    One tab of a running browser.

    Args:
        sending: a pipe to the browser.
        answering: a pipe from it.
    """

    def __init__(self, sending: int, answering: int) -> None:
        self._sending = sending
        self._answering = os.fdopen(answering, "rb", buffering=0, closefd=False)
        self._number = 0
        self._left = b""
        made = self._say("Target.createTarget", url="about:blank")
        attached = self._say("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def show(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Make the screen that of a desk, a wall or a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._tab("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tab("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go to an address."""
        self._tab("Page.navigate", url=address)

    def find(self, expression: str) -> Any:  # noqa: ANN401 - whatever it is
        """Give the value of a JavaScript expression on the page."""
        said = self._tab("Runtime.evaluate", expression=expression, returnByValue=True)
        return said["result"].get("value")

    def text(self) -> str:
        """Give what a person reads on the page."""
        return str(self.find("document.body ? document.body.innerText : ''"))

    def press(self, key: str) -> None:
        """Press a key and let it go: Tab or Enter."""
        code, text = KEYS[key]
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._tab("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self._tab("Input.dispatchKeyEvent", type="keyUp", **named)

    def picture(self, path: Path, kind: str = "png", **options: object) -> None:
        """Take a picture of the screen."""
        said = self._tab("Page.captureScreenshot", format=kind, **options)
        path.write_bytes(base64.b64decode(said["data"]))

    def _tab(self, method: str, **words: object) -> dict[str, Any]:
        return self._say(method, self._session, **words)

    def _say(
        self, method: str, session: dict[str, str] | None = None, **words: object
    ) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": words, **(session or {})}
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            pass  # an event
        assert "error" not in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = self._answering.read(2**20)
            assert more, "the browser ended"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read


@contextmanager
def chromium(program: str, profile: Path, before: Sequence[str] = ()) -> Iterator[Chromium]:
    """
    Run a browser until the block ends.

    Args:
        program: its path.
        profile: a folder for what it keeps.
        before: the words of a command that runs it in a place of its own.
    """
    reading, sending = os.pipe()
    answering, writing = os.pipe()
    # The browser reads file descriptor 3 and writes 4, which ours must not be.
    theirs_in, theirs_out = (fcntl(one, F_DUPFD, 10) for one in (reading, writing))
    moved = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    flags = [*FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with profile.with_suffix(".log").open("wb") as log:
        running = subprocess.Popen(
            ["bash", "-c", moved, "bash", *before, program, *flags],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    for one in (reading, writing, theirs_in, theirs_out):
        os.close(one)
    try:
        yield Chromium(sending, answering)
    finally:
        os.close(sending)
        os.close(answering)
        running.terminate()
        running.wait(120)
