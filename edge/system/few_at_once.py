"""A server that answers a few clients at once, each in a thread, and hangs up on more."""

import socketserver
import threading
from typing import Any


class FewAtOnce(socketserver.ThreadingMixIn):
    """
    Threads of a server of `socketserver`, of which the process can spare only so many.

    To be named before the server's own class. Each connection also takes a descriptor, which is
    then missing to open films with.
    """

    daemon_threads = True
    at_once = 8
    """Connections that are answered at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._free = threading.Semaphore(self.at_once)
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a request in a thread of its own, or hang up."""
        if not self._free.acquire(blocking=False):
            self.turn_away(request)
            self.shutdown_request(request)  # type: ignore[attr-defined]
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread has begun that would release it
            self._free.release()
            raise

    def turn_away(self, request: Any) -> None:  # noqa: ANN401
        """Say why a client is hung up on, without waiting for it."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a request, and let the next one come."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()
