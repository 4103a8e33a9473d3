"""
Kill the supervisor, or supervisor and workers, by SIGKILL at named steps of an image's life.

The points exist only in a daemon that tests/torture started: functions of the product are wrapped
in that process, and the product has no hook for it.
"""

import functools
import importlib
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

When: TypeAlias = Literal["before", "after"]

POINTS: Final[dict[str, tuple[str, str, When]]] = {
    "taken out of the inbox, not hashed": ("edge.storage.spool", "Spool._renamed", "after"),
    "copied out of the inbox": ("edge.system.files", "copy", "after"),
    "hashed and synced, not recorded": ("edge.storage.spool", "Spool._hashed", "after"),
    "request written, not recorded": ("edge.storage.spool", "Spool._received", "after"),
    "recorded, nobody told": ("edge.storage.ledger.submissions", "Submissions.accept", "after"),
    "original removed, not noted": ("edge.storage.spool", "Spool.remove_origin", "after"),
    "PUBACK to be sent": ("edge.mqtt.connection", "_acknowledge", "before"),
    "PUBACK sent": ("edge.mqtt.connection", "_acknowledge", "after"),
    "image to be given to a worker": ("edge.daemon.workers.pool", "Workers.submit", "before"),
    "worker has the image": ("edge.daemon.workers.pool", "Workers.submit", "after"),
    "worker is done, not recorded": ("edge.storage.ledger.images", "Images.conclude", "before"),
    "outcome recorded": ("edge.storage.ledger.images", "Images.conclude", "after"),
    "result filed, image not": ("edge.system.moving", "move", "before"),
    "image filed, not noted": ("edge.system.moving", "move", "after"),
    "archive noted": ("edge.storage.ledger.images", "Images.archived", "after"),
    "result to be sent": ("edge.daemon.publish.mqtt", "MqttSink.send", "before"),
    "result sent, not noted": ("edge.daemon.publish.mqtt", "MqttSink.send", "after"),
    "exam noted, not recorded": ("edge.storage.ledger.exams", "Exams.enter", "after"),
    "exam made, not recorded": ("edge.storage.ledger.exams", "_publish", "after"),
    "exam to be sent": ("edge.daemon.publish.mqtt", "ExamSink.send", "before"),
    "exam sent, not noted": ("edge.daemon.publish.mqtt", "ExamSink.send", "after"),
    "exam delivery noted": ("edge.storage.ledger.outbox", "ExamOutbox.delivered", "after"),
    "delivery noted": ("edge.storage.ledger.outbox", "Outbox.delivered", "after"),
}
"""The points by name: module, function, and the side of the call on which to die."""
OF_EXAMS: Final = tuple(point for point in POINTS if point.startswith("exam "))
"""The points that only the views of an exam pass."""


def arm(point: str, nth: int, *, workers_too: bool = False) -> None:
    """Arrange to die when this process comes to a point for the nth time."""
    module, dotted, when = POINTS[point]
    holder: Any = importlib.import_module(module)
    *path, name = dotted.split(".")
    for part in path:
        holder = getattr(holder, part)
    setattr(holder, name, _deadly(getattr(holder, name), nth, when, workers_too=workers_too))


def _deadly(
    function: Callable[..., Any], nth: int, when: When, *, workers_too: bool
) -> Callable[..., Any]:
    left = nth

    @functools.wraps(function)
    def wrapped(*args: object, **kwargs: object) -> object:
        nonlocal left
        if when == "after":
            returned = function(*args, **kwargs)  # one that raises does not come to the point
        left -= 1
        if left == 0:
            die(workers_too=workers_too)
        return returned if when == "after" else function(*args, **kwargs)

    return wrapped


def die(*, workers_too: bool) -> None:
    """Kill by SIGKILL, the workers first."""
    if workers_too:
        for task in Path("/proc/self/task").glob("*/children"):
            with suppress(OSError):  # a thread or a worker that ended meanwhile
                for pid in task.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
