"""Tasks that other threads leave for the dispatcher, and the bell that wakes it."""

import contextlib
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Tasks:
    """
    A queue of calls that the dispatcher makes in its own thread, between two images.

    So that a model is never swapped, or an image renewed, in the middle of a dispatch.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        # Not an Event, whose lock the dispatcher may hold when a signal comes to its thread.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        """Have the dispatcher look at once; from any thread or signal handler."""
        if self._bell.empty():
            self._bell.put(None)

    def call(self, task: Callable[[], Any]) -> "Future[Any]":
        """Have the dispatcher run `task`; from any thread but its own, which would wait forever."""
        future: Future[Any] = Future()
        self._tasks.put((task, future))
        self.wake()
        return future

    def run(self) -> None:
        """Run all that wait; in the dispatcher's thread."""
        while not self._tasks.empty():
            task, future = self._tasks.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(task())
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                future.set_exception(error)

    def wait(self, timeout_s: float) -> None:
        """Sleep until `wake` or for `timeout_s` seconds; in the dispatcher's thread."""
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=timeout_s)
            while True:
                self._bell.get_nowait()
