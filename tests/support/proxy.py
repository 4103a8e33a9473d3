"""Put a TCP proxy in front of a real broker, for faults that no broker makes by itself."""

import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

CONNECT: Final = 0x10
MQTT_5: Final = 5


class Proxy:
    """
    A proxy that passes bytes on, both ways, on a loopback port of its own.

    Args:
        broker_port: the port of the broker.
        only_311: close every connection that asks for MQTT 5, as brokers older than 2018
            do.
        hang_up_on: bytes at which to end the client's connection, as many brokers do at a publish
            they deny.
    """

    def __init__(
        self, broker_port: int, *, only_311: bool = False, hang_up_on: bytes | None = None
    ) -> None:
        self._broker_port = broker_port
        self.bytes_per_s: float | None = None
        """Bytes a second, each way; None for no limit."""
        self._only_311 = only_311
        self._hang_up_on = hang_up_on
        self.hang_ups = 0
        """Connections that were ended because of `hang_up_on`."""
        self._passing = threading.Event()
        self._passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]

    def freeze(self) -> None:
        """Keep every connection open and let nothing through: a half-open connection."""
        self._passing.clear()

    def thaw(self) -> None:
        """Let bytes through again."""
        self._passing.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._passing.set()
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            first = client.recv(65536)
            if self._only_311 and _asks_for_5(first):
                client.close()
                return
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:  # the client has gone, or the broker is away
            client.close()
            return
        self._sockets += [client, broker]
        try:
            broker.sendall(first)
        except OSError:  # the broker has gone: the client hears of it below
            broker.close()
        threading.Thread(target=self._pass, args=(broker, client), daemon=True).start()
        self._pass(client, broker)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._passing.wait()
                if self.bytes_per_s is not None:
                    time.sleep(len(data) / self.bytes_per_s)
                if self._hang_up_on is not None and self._hang_up_on in data:
                    self.hang_ups += 1
                    source.shutdown(socket.SHUT_RDWR)
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            target.close()


def _asks_for_5(packet: bytes) -> bool:
    return packet[:1] == bytes([CONNECT]) and packet[packet.index(b"MQTT") + 4] == MQTT_5
