"""
A broker that filters nothing: a proxy before a real one, which hands out messages of its own.

These it keeps, hands out at each connection before anything else, and delivers again until they
are acknowledged, as a broker of QoS 1 must.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tests.support.scripted import packet, publish

CONNACK: Final = 0x20
PUBACK: Final = 0x40
FIRST_MID: Final = 60_001
"""Packet identifiers that the real broker does not come to."""


@dataclass(slots=True)
class Kept:
    """One message that is not acknowledged."""

    topic: bytes
    payload: bytes
    properties: bytes
    retain: bool
    dup: bool
    """True if it was handed out before."""


class Lax:
    """
    A proxy on a loopback port of its own, for one client.

    Args:
        broker_port: the port of the real broker.
    """

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._kept: dict[int, Kept] = {}
        self._next_mid = FIRST_MID
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def keep(
        self,
        topic: str,
        payload: bytes,
        properties: bytes = b"",
        *,
        retain: bool = False,
        dup: bool = False,
    ) -> None:
        """Keep a message for the client that connects next; nothing is checked."""
        with self._lock:
            self._kept[self._next_mid] = Kept(topic.encode(), payload, properties, retain, dup)
            self._next_mid += 1

    @property
    def unacknowledged(self) -> int:
        """Messages that are kept."""
        return len(self._kept)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:  # it is away
            client.close()
            return
        self._sockets += [client, broker]
        down = threading.Thread(target=_pass, args=(broker, client, self._with_kept), daemon=True)
        down.start()
        _pass(client, broker, self._without_pubacks)

    def _with_kept(self, first: int, body: bytes) -> bytes:
        """Add what is kept behind the word that the client is connected."""
        said = packet(first, body)
        if first != CONNACK or body[1]:
            return said
        with self._lock:
            for mid, one in self._kept.items():
                said += publish(
                    one.topic,
                    one.payload,
                    mid,
                    properties=one.properties,
                    dup=one.dup,
                    retain=one.retain,
                )
                one.dup = True
        return said

    def _without_pubacks(self, first: int, body: bytes) -> bytes:
        """Keep PUBACKs from the real broker that it would not understand."""
        with self._lock:
            mid = int.from_bytes(body[:2], "big")
            ours = first == PUBACK and mid >= FIRST_MID
            if ours:
                self._kept.pop(mid, None)
        return b"" if ours else packet(first, body)


def _pass(
    source: socket.socket, target: socket.socket, change: Callable[[int, bytes], bytes]
) -> None:
    with contextlib.suppress(OSError, EOFError), source.makefile("rb") as stream:
        while True:
            target.sendall(change(*_read(stream.read)))
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _read(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """
    Read one packet: its first byte and its body.

    Raises:
        EOFError: the connection ended.
    """
    first, length, shift = read(1), 0, 0
    while digit := read(1):
        length |= (digit[0] & 0x7F) << shift
        shift += 7
        if not digit[0] & 0x80:
            body = read(length)
            if len(body) == length:
                return first[0], body
            break
    raise EOFError
