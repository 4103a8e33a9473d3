"""States of an image and what moves it from one to the next: the one table."""

import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from edge.errors import MammoEdgeError


class State(StrEnum):
    """The state of an image: it is in exactly one at any time, kill or no kill."""

    RECEIVED = "received"
    """In the spool, waiting for a worker."""
    EXAMINING = "examining"
    """A worker has it."""
    CONCLUDED = "concluded"
    """Its outcome is recorded; its file is not archived yet."""
    ARCHIVED = "archived"
    """Its file lies in done or failed."""


class Move(StrEnum):
    """A move of an image from one state to another."""

    DISPATCH = "dispatch"
    RELEASE = "release"
    """Drained or interrupted: no attempt is counted."""
    BLAME = "blame"
    """Its worker died or timed out under a living supervisor: one attempt is counted."""
    CONCLUDE = "conclude"
    ARCHIVE = "archive"
    RENEW = "renew"
    """A retry, or a submission under another bundle: it is examined again."""


TRANSITIONS: Final[Mapping[Move, tuple[frozenset[State], State]]] = {
    Move.DISPATCH: (frozenset({State.RECEIVED}), State.EXAMINING),
    Move.RELEASE: (frozenset({State.EXAMINING}), State.RECEIVED),
    Move.BLAME: (frozenset({State.EXAMINING}), State.RECEIVED),
    # from RECEIVED: a request that is rejected unexamined, and poison that gets no further try
    Move.CONCLUDE: (frozenset({State.EXAMINING, State.RECEIVED}), State.CONCLUDED),
    Move.ARCHIVE: (frozenset({State.CONCLUDED}), State.ARCHIVED),
    Move.RENEW: (frozenset({State.CONCLUDED, State.ARCHIVED}), State.RECEIVED),
}


class IllegalMoveError(MammoEdgeError):
    """The table above has no such transition: a defect, never an operator's fault."""


def move(db: sqlite3.Connection, image_id: str, what: Move) -> None:
    """
    Move one image, inside the caller's transaction.

    Raises:
        IllegalMoveError: the image is not in a state from which this may happen.
    """
    sources, target = TRANSITIONS[what]
    marks = ", ".join("?" * len(sources))
    query = f"UPDATE images SET state = ? WHERE image_id = ? AND state IN ({marks})"
    if db.execute(query, (target, image_id, *sources)).rowcount != 1:
        found = db.execute("SELECT state FROM images WHERE image_id = ?", (image_id,)).fetchone()
        msg = (
            f"{what}: image {image_id} is "
            f"{found[0] if found else 'unknown'}, expected "
            f"{' or '.join(sorted(sources))}"
        )
        raise IllegalMoveError(msg)
