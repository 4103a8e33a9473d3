"""Waiting for file systems that may never answer, such as a network mount whose server is gone."""

import queue
import threading
from collections.abc import Callable
from typing import Final, TypeVar

Answer = TypeVar("Answer")
PATIENCE_S: Final = 3.0
"""Seconds after which a file system counts as hanging, for a person who waits."""


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """
    Ask something, and wait for the answer for a while only.

    Args:
        seconds: to wait; whoever is asked goes on in a thread that ends with the process.
        ask: called in a thread of its own; what it raises is raised here.

    Raises:
        TimeoutError: there was no answer.
    """
    answers: queue.SimpleQueue[tuple[list[Answer], Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(([ask()], None))
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            answers.put(([], error))

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        found, error = answers.get(timeout=seconds)
    except queue.Empty:
        msg = f"no answer within {seconds:g} s"
        raise TimeoutError(msg) from None
    if error is not None:
        raise error
    return found[0]
