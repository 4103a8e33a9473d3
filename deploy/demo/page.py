"""The page of `make run`, beside the daemon, and opened in a browser if there is one."""

import os
import re
import subprocess
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.demo.brokers import free_port
from deploy.demo.daemon import Daemon

SECTION: Final = '\n[page]\nlisten = "127.0.0.1:{port}"\npictures = true\n'
STOP_S: Final = 10.0


class Page:
    """
    A page for one daemon, which is configured for it before it starts.

    Args:
        daemon: the daemon, not started yet.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._config = daemon.config
        self._log = daemon.folder / "page.log"
        self._program = Path(sys.executable).with_name("mammo-edge")
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        """The address that opens it, with its token; or why there is none."""
        with daemon.config.open("a") as config:
            config.write(SECTION.format(port=free_port()))

    def __enter__(self) -> Self:
        command = [str(self._program), "page", "--config", str(self._config)]
        made = subprocess.run([*command, "--token"], capture_output=True, text=True, check=False)
        self.address = (made.stdout or made.stderr).strip()
        if made.returncode:  # an environment that is older than the page
            return self
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def show(self) -> None:
        """Open it in a browser of this screen, once it listens; without a screen do nothing."""
        if self._process is None or not (sys.stdout.isatty() and _has_screen()):
            return
        while self._process.poll() is None and not self._listens():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
        if self._listens():
            with suppress(webbrowser.Error):
                webbrowser.open(self.address)

    def _listens(self) -> bool:
        return re.search(rb"event=listening ", self._log.read_bytes()) is not None


def _has_screen() -> bool:
    return sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))
