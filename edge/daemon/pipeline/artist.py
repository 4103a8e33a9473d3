"""The one worker that draws, for the page and for the PACS; whoever needs a picture waits here."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast

from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died, Interrupted, Unread
from edge.domain import Rejection
from edge.drawn import Drawn
from edge.errors import InferenceError, Unavailable, UnreadableError
from edge.models.bundle import Bundle

LOOK_S: Final = 1.0
ENDS: Final = "the daemon ends"


class Artist:
    """
    Has images drawn, one at a time; any thread may ask.

    Args:
        open_: begins to open a bundle in a worker that draws.
    """

    def __init__(self, open_: "Callable[[Path], Future[Serving]]") -> None:
        self._open = open_
        self._serving: Serving | None = None
        self._one = threading.Lock()
        self._closed = threading.Event()

    def draw(self, path: Path, bundle: Bundle, beat: Callable[[], None]) -> Drawn | Rejection:
        """
        Have one image drawn.

        Args:
            path: its file.
            bundle: that gave its result.
            beat: called each second.

        Returns:
            The pictures, or the reason for which this worker gives it no score.

        Raises:
            InferenceError: the worker ended or timed out with it, or drew nothing.
            ModelError: the bundle cannot be opened.
            UnreadableError: the worker cannot read the file.
            Unavailable: no worker came up or the work was interrupted, or the daemon ends.
        """
        with self._turn(beat):
            # A worker that draws gives back another kind of outcome.
            verdict = cast("object", self._opened(bundle, beat).workers.examine(path, beat))
        match verdict:
            case Drawn() | Rejection():
                return verdict
            case Died(why):
                raise InferenceError(why)
            case Unread(why):
                raise UnreadableError(why)
            case Interrupted(why):
                raise Unavailable(why)
        raise AssertionError

    def close(self) -> None:
        """End what is drawn now, and draw no more."""
        self._closed.set()
        if self._serving is not None:
            self._serving.workers.close()

    @contextmanager
    def _turn(self, beat: Callable[[], None]) -> Iterator[None]:
        while not self._one.acquire(timeout=LOOK_S):
            beat()
        try:
            yield
        finally:
            self._one.release()

    def _opened(self, bundle: Bundle, beat: Callable[[], None]) -> Serving:
        """Open the bundle, if it is not open yet."""
        serving = self._serving
        if serving is not None:
            if serving.bundle.bundle_id == bundle.bundle_id and not self._closed.is_set():
                return serving
            self._serving = None
            serving.workers.close()
        if self._closed.is_set():
            raise Unavailable(ENDS)
        opening = self._open(bundle.folder)
        while not self._closed.is_set():
            with suppress(FutureTimeoutError):
                self._serving = opening.result(timeout=LOOK_S)
                return self._serving
            beat()
        opening.add_done_callback(_close)
        raise Unavailable(ENDS)


def _close(opening: "Future[Serving]") -> None:
    """Let workers go that came up when nobody wanted them any more."""
    if opening.exception() is None:
        opening.result().workers.close()
