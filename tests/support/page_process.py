"""The page as the process that an operator starts."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.rig import PROGRAM, until


@contextmanager
def running(config: Path, section: str = "") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process and its port; `section` is written into `[page]`."""
    config.write_text(f'{config.read_text()}[page]\nlisten = "127.0.0.1:0"\n{section}')
    log = config.with_name("page.log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [PROGRAM, "--config", config, "page"], stderr=stream, stdin=subprocess.DEVNULL
        )
    port = re.compile(r"event=listening address=127\.0\.0\.1 port=(\d+)")
    try:
        until(
            lambda: port.search(log.read_text()) or process.poll() is not None,
            "listening",
            log.read_text,
        )
        found = port.search(log.read_text())
        assert found, log.read_text()
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()
