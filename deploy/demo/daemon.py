"""Run the real `mammo-edge run` as a child process, with a configuration and folders of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIG = """\
[device]
site = "demo"
name = "edge-1"

[inbox]
path = "{folder}/inbox"

[spool]
path = "{folder}/spool"
done = "{folder}/done"
failed = "{folder}/failed"

[state]
path = "{folder}/state"

[broker]
host = "127.0.0.1"
port = {port}

[control]
socket = "{folder}/control.sock"
"""

NUMBERING = ".numbering"
"""A note of the daemon in its spool, which is no image."""
TOPICS = "mammo/v1/demo/edge-1"


class Daemon:
    """A daemon with the shipped model that reads and writes below one folder only."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.folder = folder
        self.inbox = folder / "inbox"
        self.spool = folder / "spool"
        self.config = folder / "edge.toml"
        self.log = folder / "daemon.log"
        self.config.write_text(CONFIG.format(folder=folder, port=broker_port))
        self.inbox.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = Path(sys.executable).with_name(
            "mammo-edge"
        )  # beside this Python: the environment need not be activated
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith("MAMMO_EDGE_")
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program, "run", "--config", self.config],
                env=environ,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self.stop()

    @property
    def running(self) -> bool:
        """True as long as the process lives."""
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout_s: float = 120.0) -> int:
        """Stop the daemon by SIGTERM, as systemd does; returns the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def left_over(self) -> list[Path]:
        """List the images that are still in the inbox or the spool."""
        return [
            path
            for folder in (self.inbox, self.spool)
            for path in folder.rglob("*")
            if path.is_file() and path.name != NUMBERING
        ]
