"""HTTP for browsers that send something: a connection on which no request comes is closed."""

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S: Final = 10.0
"""Seconds in which the head of a request must come; uvicorn itself waits for ever."""


class Impatient(H11Protocol):
    """A connection that is closed unless a request comes in time."""

    _waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close the connection, unless a request is being answered."""
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self.transport.close()

    def _wait(self) -> None:
        self._stop()
        self._waits = self.loop.call_later(REQUEST_S, self.give_up)

    def _stop(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
