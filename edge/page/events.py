"""Server-sent events: a browser is told that something is new, and asks for the page again."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from edge.storage.ledger.followed import Subject
from edge.storage.ledger.verdicts import TABLES

LOOK_S: Final = 1.0
"""Seconds between looks into the ledger, however many browsers listen."""
ALIVE_S: Final = 15.0
"""Seconds after which a browser is told that nothing is new."""
MOST: Final = 32
"""Browsers that may listen at a time."""


class News:
    """
    Tells browsers when the ledger says something else, of all or of the image or exam they show.

    Args:
        version: reads a text that changes with whatever is shown; called in a thread.
        ending: returns True once the process is to end.
        knows: tells if the session of a request goes on.
    """

    def __init__(
        self,
        version: Callable[[Subject | None], str],
        ending: Callable[[], bool],
        knows: Callable[[Request], bool],
    ) -> None:
        self._version, self._ending, self._knows = version, ending, knows
        self._lock = threading.Lock()
        self._seen: dict[Subject | None, tuple[str, float]] = {}
        self._listening: Counter[Subject | None] = Counter()

    async def listen(self, request: Request) -> Response:
        """Answer with a stream that ends with its session."""
        asked = request.path_params
        subject = Subject(asked["kind"], asked["id"]) if asked else None
        if subject is not None and subject.kind not in TABLES:
            return PlainTextResponse(f"found {subject.kind}, expected {' or '.join(TABLES)}", 404)
        if self._listening.total() >= MOST:
            return PlainTextResponse("too many browsers listen", 503)
        return StreamingResponse(self._tell(request, subject), media_type="text/event-stream")

    async def _tell(self, request: Request, subject: Subject | None) -> AsyncIterator[str]:
        self._listening[subject] += 1
        try:
            told, quiet_s = "", 0.0
            while not self._ending() and self._knows(request):
                version = await run_in_threadpool(self._look, subject)
                if version != told or quiet_s >= ALIVE_S:
                    yield f"data: {json.dumps(version)}\n\n"
                    told, quiet_s = version, 0.0
                await asyncio.sleep(LOOK_S)
                quiet_s += LOOK_S
        finally:
            self._listening[subject] -= 1
            if not self._listening[subject]:
                del self._listening[subject]
                self._seen.pop(subject, None)

    def _look(self, subject: Subject | None) -> str:
        """Read a version, at most once in LOOK_S for all browsers that show the same."""
        with self._lock:
            seen, looked = self._seen.get(subject, ("", float("-inf")))
            if time.monotonic() - looked >= LOOK_S / 2:
                seen, looked = self._version(subject), time.monotonic()
                self._seen[subject] = seen, looked
            return seen
