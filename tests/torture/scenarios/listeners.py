"""Torture by clients of whatever listens that say nothing, or half of it, or never read."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from deploy.demo.brokers import free_port
from edge.errors import Unavailable
from edge.page.access import make_token
from tests.support import page_process
from tests.support.receiver import Receiver, as_it_stands, association, request, sent, written
from tests.support.rig import PATIENCE_S, sha256, until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.scenarios.kills import WAYS
from tests.torture.site import Site

GET: Final = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEALTH: Final = ("/metrics", "/livez", "/readyz")
FEW: Final = 2
"""Clients of each kind for a listener, which has room for others then."""
MANY: Final = 40
"""Clients of each kind for a listener, which is full then."""
LEFT_S: Final = 90.0
"""Seconds within which a listener hangs up on those who say nothing: the slowest has 30."""
OTHER_ADDRESS: Final = "127.0.0.2"
"""The address of an honest sender of objects; one address may have half of the associations."""
CALLERS: Final = 'callers = ["MAMMO1@127.0.0.0/8"]\nidle_s = 5.0'


class Listeners:
    """
    The control socket, the numbers, the page and the receiver of one site, and who connects there.

    Args:
        site: with its daemon running.
        numbers: the port of the numbers.
        page: the port of the page.
        receiver: running.
    """

    def __init__(self, site: Site, numbers: int, page: int, receiver: Receiver) -> None:
        self._site, self._receiver = site, receiver
        self._numbers, self._page = numbers, page
        self._said: dict[str | int, bytes] = {
            str(site.folder / "control.sock"): b'{"command": "status"}\n',
            numbers: GET % b"/metrics",
            page: GET % b"/",
            receiver.port: request(),
        }
        self._objects = 0
        self._clients: list[socket.socket] = []

    def crowd(self, each: int) -> None:
        """Connect clients of each kind to each listener: silent, half a request, never reading."""
        for place, whole in self._said.items():
            for said in (b"", whole[: len(whole) // 2], whole * 50):
                for _ in range(each):
                    self._connect(place, said)

    def _connect(self, place: str | int, said: bytes) -> None:
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        client = socket.socket(family, socket.SOCK_STREAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._clients.append(client)
        with contextlib.suppress(OSError):  # it is full, or hangs up on us
            client.connect(place if isinstance(place, str) else ("127.0.0.1", place))
            client.send(
                said, socket.MSG_DONTWAIT
            )  # what there is room for: nobody reads the answers

    def leave(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def answer(self) -> bool:
        """Tell if each listener answers one who asks in full."""
        return all(map(_answers, [self._status, *map(self._get, HEALTH), self._look, self._store]))

    def _status(self) -> object:
        return self._site.status()["state"] in {"ready", "degraded"}

    def _get(self, path: str) -> Callable[[], object]:
        return lambda: _got(self._numbers, path)

    def _look(self) -> object:
        return _got(self._page, "/")

    def _store(self) -> object:
        self._objects += 1
        path = written(self._receiver.config.parent, self._objects)
        with association(self._receiver, bound_to=OTHER_ADDRESS) as made:
            stored = made.is_established and sent(made, path) == 0
        if stored:
            self._site.accepted[sha256(path.read_bytes())] = True
        return stored


def _answers(ask: Callable[[], object]) -> bool:
    try:
        return bool(ask())
    except (OSError, RuntimeError, Unavailable):  # it is full, or pynetdicom has no association
        return False


def _got(port: int, path: str) -> bool:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(GET % path.encode())
        return connection.recv(12).startswith(b"HTTP/1.")


@contextlib.contextmanager
def all_listening(bench: Bench) -> Iterator[tuple[Site, Listeners, dict[str, int]]]:
    """Make a site that listens wherever it can, and give the ids of the processes that do."""
    numbers = free_port()
    with ExitStack() as stack:
        site = stack.enter_context(bench.site(f"[metrics]\nport = {numbers}\n"))
        stack.enter_context(as_it_stands())
        receiver = stack.enter_context(Receiver(bench.new_folder(), CALLERS, inbox=site.inbox))
        site.introduced()
        make_token(site.folder / "state")
        page, port = stack.enter_context(page_process.running(site.config))
        assert site.process is not None
        pids = {"daemon": site.process.pid, "page": page.pid, "receiver": receiver.process.pid}
        yield site, Listeners(site, numbers, port, receiver), pids


def silent(bench: Bench, scale: float) -> Row:
    """Crowd every listener: films are answered meanwhile, and who says nothing is hung up on."""
    row = Row("half-open and silent clients on every listener", scaled(2, scale))
    for _ in range(row.repetitions):
        with all_listening(bench) as (site, listeners, pids):
            until(listeners.answer, "each answers", site.words)
            site.give_some(len(WAYS), WAYS)
            site.recovered()
            before = {name: descriptors(pid) for name, pid in pids.items()}
            listeners.crowd(FEW)
            row.expect(listeners.answer(), "each answers beside a few clients that are silent")
            films_come_through(site)
            listeners.crowd(MANY)
            films_come_through(site)
            until(listeners.answer, "each answers again, though nobody left", site.words)
            for name, pid in pids.items():
                until(
                    lambda: descriptors(pid) <= before[name],  # noqa: B023
                    f"{name} hangs up",
                    lambda: f"{before}, now {descriptors(pid)}",  # noqa: B023
                    LEFT_S,
                )
            listeners.leave()
            site.faulted()
            recovery = site.recovered()
            row.expect(site.running, "the daemon runs on")
            row.add(site.judged(), recovery)
    return row


def films_come_through(site: Site) -> None:
    """Give films by each way, and wait until they are answered."""
    before = set(site.accepted)
    site.give_some(2 * len(WAYS), WAYS)
    site.answered(site.accepted.keys() - before)


def descriptors(pid: int) -> int:
    """Count the open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


SCENARIOS = (silent,)
