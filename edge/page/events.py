"""Server-sent events: a browser is told that something is new, and asks for the page again."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

LOOK_S: Final = 1.0
"""Seconds between looks into the ledger, however many browsers listen."""
ALIVE_S: Final = 15.0
"""Seconds after which a browser is told that nothing is new."""
MOST: Final = 32
"""Browsers that may listen at a time."""


class News:
    """
    Tells browsers when the ledger says something else.

    Args:
        version: reads a text that changes with whatever is shown; called in a thread.
        ending: returns True once the process is to end.
        knows: tells if the session of a request goes on.
    """

    def __init__(
        self,
        version: Callable[[], str],
        ending: Callable[[], bool],
        knows: Callable[[Request], bool],
    ) -> None:
        self._version, self._ending, self._knows = version, ending, knows
        self._lock = threading.Lock()
        self._seen, self._looked = "", float("-inf")
        self._listening = 0

    async def listen(self, request: Request) -> Response:
        """Answer with a stream that ends with its session."""
        if self._listening >= MOST:
            return PlainTextResponse("too many browsers listen", 503)
        return StreamingResponse(self._tell(request), media_type="text/event-stream")

    async def _tell(self, request: Request) -> AsyncIterator[str]:
        self._listening += 1
        try:
            told, quiet_s = "", 0.0
            while not self._ending() and self._knows(request):
                version = await run_in_threadpool(self._look)
                if version != told or quiet_s >= ALIVE_S:
                    yield f"data: {json.dumps(version)}\n\n"
                    told, quiet_s = version, 0.0
                await asyncio.sleep(LOOK_S)
                quiet_s += LOOK_S
        finally:
            self._listening -= 1

    def _look(self) -> str:
        """Read the version, at most once in LOOK_S for all browsers together."""
        with self._lock:
            if time.monotonic() - self._looked >= LOOK_S / 2:
                self._seen, self._looked = self._version(), time.monotonic()
            return self._seen
