"""Threads that are begun, and that end when they are told to."""

import socketserver
import threading

from edge.health import Health


class Loop:
    """
    One turn after the other, each stamped, so that one that hangs is noticed. A subclass says what
    a turn is.

    Args:
        name: of the thread and its stamps.
        health: for the stamps.
    """

    def __init__(self, name: str, health: Health) -> None:
        self._health = health
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(name,), name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No further turn; also before `start`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _run(self, name: str) -> None:
        while not self._stop.wait(self._rest_s()):
            self._health.stamp(name)
            self.turn()
        self._health.retire(name)

    def _rest_s(self) -> float:
        """How long to rest before the next turn, in seconds."""
        raise NotImplementedError

    def turn(self) -> None:
        """One turn; raises nothing."""
        raise NotImplementedError


class Listener:
    """
    A server that answers in a thread of its own.

    Args:
        name: of the thread.
        server: listens already.
        poll_s: how often it looks whether it is to end, in seconds.
    """

    def __init__(self, name: str, server: socketserver.BaseServer, poll_s: float) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": poll_s}, name=name, daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering; also before `start`."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
