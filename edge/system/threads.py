"""Threads that are begun, and that end when they are told to."""

import socketserver
import threading
from typing import Final

from edge.health import Health

STOP_S: Final = 2.0
"""Seconds that `stop` waits for a loop unless told otherwise."""


class Loop:
    """
    A thread that does one turn after the other, each stamped, so that one that hangs is noticed.

    A subclass says what a turn is. A turn that waits for something must also look up when `wake` is
    called, and at least every second.

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

    def stop(self, timeout_s: float = STOP_S) -> None:
        """
        Begin no further turn, and wait for the one that runs; also before `start`.

        Args:
            timeout_s: seconds to wait; the thread goes on after that, and ends with the process.
        """
        self._stop.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """End the wait of a turn; from any thread."""

    def turn(self) -> None:
        """Do one turn; raises nothing."""
        raise NotImplementedError

    def last_turn(self) -> None:
        """Clear up after the last turn; in the loop's thread."""

    def _rest_s(self) -> float:
        """Say how long to rest before the next turn, in seconds."""
        return 0.0

    def _run(self, name: str) -> None:
        while not self._stop.wait(self._rest_s()):
            self._health.stamp(name)
            self.turn()
        self.last_turn()
        self._health.retire(name)


class Listener:
    """
    A server that answers in a thread of its own.

    Args:
        name: of the thread.
        server: listens already.
        poll_s: seconds after which it notices that it is to end.
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
