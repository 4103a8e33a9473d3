"""Torture by an inbox whose file system does not answer, such as a network mount without server."""

import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.rig import sha256, until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.referring import Referrer
from tests.torture.scenarios.disks import reasons
from tests.torture.scenarios.mounts import bindfs, give_behind
from tests.torture.site import Site

HANGS: Final = "its file system has not answered"
WATCHDOG_S: Final = 60.0
"""Seconds without a sign of life after which systemd ends the shipped service."""
AT_ONCE_S: Final = 5.0
"""Seconds for a process to die of a signal, unless it waits for the file system."""
STOP_S: Final = 30.0
"""Seconds that systemd gives the shipped service to end."""
BEHIND: Final = "behind"
"""The folder that the inbox shows."""
BY_REQUEST: Final = ("mqtt", "reply")


class Watchdog:
    """
    A service manager that only listens for signs of life.

    Args:
        path: of its socket.
    """

    def __init__(self, path: Path) -> None:
        self.environ = {"NOTIFY_SOCKET": str(path)}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._signs = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while said := self._socket.recv(4096):
            self._signs += b"WATCHDOG=1" in said

    def content(self) -> bool:
        """Wait for the next signs of life; False if the daemon would have been ended for want."""
        before, limit = self._signs, time.monotonic() + WATCHDOG_S
        while self._signs < before + 2 and time.monotonic() < limit:
            time.sleep(0.02)
        return self._signs >= before + 2


def hung(bench: Bench, scale: float) -> Row:
    """Stop the server of the inbox's mount, end the daemon meanwhile, and start it beside that."""
    row = Row(
        "inbox on a FUSE mount that hangs (its server stopped), before a start and while it runs; "
        "SIGKILL in half of them",
        scaled(4, scale, 2),
    )
    for turn in range(row.repetitions):
        with bench.site() as site, Watchdog(site.folder / "notify") as watchdog:
            site.set_keys("inbox", "poll_s = 0.2")
            referrer = Referrer(site)
            behind = site.folder / BEHIND
            behind.mkdir()
            with bindfs(behind, site.inbox) as server:
                site.introduced(environ=watchdog.environ)
                give_behind(site, behind, 3)
                site.answered(set(site.accepted))
                server.send_signal(signal.SIGSTOP)
                go_on_beside(row, site, referrer, watchdog, told=turn % 4 in (0, 3))
                end(row, site, server, kill=turn % 2 == 0)
                site.ready(environ=watchdog.environ)
                go_on_beside(row, site, referrer, watchdog, told=turn % 4 in (1, 2))
                server.send_signal(signal.SIGCONT)
                site.faulted()
                referrer.await_answers()
                recovery = site.recovered()
                until(lambda: HANGS not in reasons(site), "it answers again", site.words)
                row.add(site.judged(), recovery)
                row.faults += referrer.faults
    return row


def go_on_beside(
    row: Row, site: Site, referrer: Referrer, watchdog: Watchdog, *, told: bool
) -> None:
    """Ask over MQTT while the mount hangs: all is answered but what names a film of the inbox."""
    assert site.process is not None
    before = set(site.accepted)
    site.give_some(4, BY_REQUEST)
    asked = site.accepted.keys() - before
    give_behind(site, site.folder / BEHIND, 2)
    refer_to(referrer, site)
    site.answered(asked)
    if told:
        until(lambda: HANGS in reasons(site), "status tells of it", site.words)
        site.give_some(2, BY_REQUEST)
        site.answered(set(list(site.accepted)[-2:]))
    row.expect(site.running, "the daemon runs on")
    row.expect(watchdog.content(), "it gives signs of life")


def refer_to(referrer: Referrer, site: Site) -> None:
    """Put a film behind the mount under a name that only a request takes, and send the request."""
    data = f"referred to {len(site.accepted)} {site.folder}".encode() * 20
    name = f"{sha256(data)[:12]}.part"
    (site.folder / BEHIND / name).write_bytes(data)
    referrer.refer(data, name)


def end(row: Row, site: Site, server: subprocess.Popen[bytes], *, kill: bool) -> None:
    """
    End the daemon while the mount hangs.

    A request that the file system has already begun with outlasts even SIGKILL: the server goes on
    for as long as the process dies.
    """
    assert site.process is not None
    site.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
    if not site.died(AT_ONCE_S if kill else STOP_S):
        row.expect(kill, f"it ends within {STOP_S:g} s of SIGTERM")
        server.send_signal(signal.SIGCONT)
        assert site.died(), site.words()
        server.send_signal(signal.SIGSTOP)


SCENARIOS = (hung,)
