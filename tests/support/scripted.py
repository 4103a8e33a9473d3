"""
A broker of a script: it says and passes on what a real one would filter.

It speaks MQTT 5 or 3.1.1 to any number of clients, acknowledges what it is sent, and keeps nothing.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = range(1, 9)
"""Kinds of packets by the meaning that they have here; `KINDS` has their numbers in MQTT."""
KINDS: Final = {1: CONNECT, 3: PUBLISH, 4: PUBACK, 8: SUBSCRIBE, 12: PINGREQ, 14: DISCONNECT}
MQTT_5: Final = 5


def packet(first: int, body: bytes) -> bytes:
    """Return a packet: its first byte, the length of its body, its body."""
    length, rest = b"", len(body)
    while True:
        rest, digit = rest >> 7, rest & 0x7F
        length += bytes([digit | (0x80 if rest else 0)])
        if not rest:
            return bytes([first]) + length + body


def string(text: bytes) -> bytes:
    """Return a string with its length, whatever is in it."""
    return len(text).to_bytes(2, "big") + text


def publish(  # noqa: PLR0913 - the fields of a PUBLISH
    topic: bytes,
    payload: bytes,
    mid: int = 0,
    *,
    properties: bytes = b"",
    dup: bool = False,
    retain: bool = False,
) -> bytes:
    """Return a PUBLISH in MQTT 5, at QoS 1 if it has a packet identifier; nothing is checked."""
    first = 0x30 | (0x02 if mid else 0) | (0x08 if dup else 0) | (0x01 if retain else 0)
    identifier = mid.to_bytes(2, "big") if mid else b""
    return packet(first, string(topic) + identifier + packet(0, properties)[1:] + payload)


@dataclass
class Heard:
    """One PUBLISH that a client sent."""

    topic: str
    body: bytes
    """Properties and payload."""
    client: str


@dataclass
class Client:
    """One connection."""

    client_id: str
    version: int
    connection: socket.socket
    acknowledged: list[int] = field(default_factory=list)
    subscribed: int = 0


class Scripted:
    """
    A broker on a loopback port of its own.

    Args:
        connack: the answer to CONNECT by the version and client id that came, as code and
            properties; None to close the connection unanswered.
        puback: the answer to a PUBLISH: a reason code for PUBACK, a whole packet after which the
            connection ends, or None for no answer at all.
    """

    def __init__(
        self,
        connack: Callable[[int, str], tuple[int, bytes] | None] = lambda _v, _c: (0, b""),
        puback: Callable[[Heard], int | bytes | None] = lambda _: 0,
    ) -> None:
        self.connack, self.puback = connack, puback
        self.clients: list[Client] = []
        """All connections that were answered, in their order."""
        self.asked: list[int] = []
        """The version of each CONNECT."""
        self.heard: list[Heard] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        for client in self.clients:
            client.connection.close()

    def send(self, data: bytes) -> None:
        """Send bytes to the client that came last."""
        self.clients[-1].connection.sendall(data)

    def hang_up(self, reason: int | None = None) -> None:
        """End the last connection, with a DISCONNECT of MQTT 5 or without a word."""
        if reason is not None:
            self.send(packet(0xE0, bytes([reason, 0])))
        with contextlib.suppress(OSError):
            self.clients[-1].connection.shutdown(socket.SHUT_RDWR)

    @property
    def acknowledged(self) -> list[int]:
        """The packet identifiers that clients acknowledged, in order."""
        return [mid for client in self.clients for mid in client.acknowledged]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, EOFError),
            connection,
            connection.makefile("rb") as stream,
        ):
            kind, body = _read(stream.read)
            version = body[6]
            properties = 1 + body[10] if version == MQTT_5 else 0
            length = int.from_bytes(body[10 + properties : 12 + properties], "big")
            start = 12 + properties
            client_id = body[start : start + length].decode()
            self.asked.append(version)
            answer = self.connack(version, client_id)
            if kind != CONNECT or answer is None:
                return
            code, said = answer
            tail = packet(0, said)[1:] if version == MQTT_5 else b""
            client = Client(client_id, version, connection)
            if code == 0:
                self.clients.append(client)
            connection.sendall(packet(0x20, bytes([0, code]) + tail))
            while code == 0:
                self._handle(client, *_read(stream.read))

    def _handle(self, client: Client, kind: int, body: bytes) -> None:
        if kind == PUBLISH:
            length = int.from_bytes(body[:2], "big")
            rest = body[2 + length :]
            heard = Heard(body[2 : 2 + length].decode(), rest[2:], client.client_id)
            self.heard.append(heard)
            self._answer(client, rest[:2], self.puback(heard))
        elif kind == PUBACK:
            client.acknowledged.append(int.from_bytes(body[:2], "big"))
        elif kind == SUBSCRIBE:
            tail = b"\0" if client.version == MQTT_5 else b""
            client.connection.sendall(packet(0x90, body[:2] + tail + b"\1"))
            client.subscribed += 1
        elif kind == PINGREQ:
            client.connection.sendall(packet(0xD0, b""))
        elif kind == DISCONNECT:
            raise EOFError

    def _answer(self, client: Client, mid: bytes, answer: int | bytes | None) -> None:
        if isinstance(answer, int):
            tail = bytes([answer, 0]) if client.version == MQTT_5 else b""
            client.connection.sendall(packet(0x40, mid + tail))
        elif answer is not None:
            client.connection.sendall(answer)
            raise EOFError


def _read(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """
    Read one packet.

    Raises:
        EOFError: the connection ended.
    """
    first, length, shift = read(1), 0, 0
    if not first:
        raise EOFError
    while True:
        digit = read(1)
        if not digit:
            raise EOFError
        length |= (digit[0] & 0x7F) << shift
        shift += 7
        if not digit[0] & 0x80:
            break
    return KINDS.get(first[0] >> 4, 0), read(length)
