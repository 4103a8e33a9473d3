"""Verdicts: what was found out about images, stored with the scores that these had by then."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Final

from edge.models.pairs import Basis, Calls, Pair, Truth
from edge.storage.ledger.database import Database
from edge.storage.ledger.records import SCORE


@dataclass(frozen=True, slots=True)
class Verdict:
    """The truth that was found out about one image."""

    image_id: str
    truth: Truth
    basis: Basis
    score_seen: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """Counts of scored images by bundle and call, for the share that has a verdict."""

    bundle_id: str
    called: bool
    images: int
    with_verdict: int


@dataclass(frozen=True, slots=True)
class Raw:
    """The raw score of an image, and the file and preparation that it holds for."""

    model: str
    """SHA-256 of the model file."""
    preprocess: str
    domain: str
    raw: float


PAIR: Final = ", ".join(field.name for field in fields(Pair))
SAME: Final = (
    "truth = ?2 AND basis = ?3 AND score_seen = ?4 AND (woman IS NOT NULL OR scores.woman IS NULL)"
)
"""Nothing new is said; a woman who was not known when the verdict came is new."""


class Verdicts:
    """The part of a ledger that takes verdicts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unknown(self, image_ids: Sequence[str]) -> list[str]:
        """Return the image ids that have no score here."""
        with self._database.reading() as db:
            query = "SELECT 1 FROM scores WHERE image_id = ?"
            return [one for one in image_ids if db.execute(query, (one,)).fetchone() is None]

    def record(self, given: Sequence[Verdict]) -> int:
        """
        Store verdicts, all or none; a new one of an image takes the place of the one before.

        A verdict that is given again as it was keeps its time and its score.

        Returns:
            The number of verdicts that are new or say something else.

        Raises:
            Unavailable: the disk is full or failing; nothing was changed.
        """
        query = (
            f"INSERT OR REPLACE INTO verdicts ({SCORE}, truth, basis, score_seen, given_at) "
            f"SELECT {SCORE}, ?2, ?3, ?4, ?5 FROM scores WHERE image_id = ?1 AND NOT EXISTS "
            f"(SELECT 1 FROM verdicts WHERE image_id = ?1 AND {SAME})"
        )
        now = time.time()
        with self._database.transaction() as db:
            return sum(db.execute(query, (*astuple(one), now)).rowcount for one in given)

    def pairs(self) -> list[Pair]:
        """Return all verdicts with their scores."""
        with self._database.reading() as db:
            return read_pairs(db)

    def version(self) -> tuple[int, float]:
        """Return numbers that change with every verdict that comes, changes or goes."""
        with self._database.reading() as db:
            query = "SELECT count(*), coalesce(max(given_at), 0) FROM verdicts"
            number, last = db.execute(query).fetchone()
            return int(number), float(last)


def read_pairs(db: sqlite3.Connection, since: float = 0.0) -> list[Pair]:
    """Return verdicts with their scores, of images that were scored at or after a Unix time."""
    query = f"SELECT {PAIR} FROM verdicts WHERE completed_at >= ? ORDER BY completed_at, image_id"
    rows = db.execute(query, (since,)).fetchall()
    return [Pair(truth, basis, bool(seen), *rest) for truth, basis, seen, *rest in rows]


def read_raw(db: sqlite3.Connection) -> list[Raw]:
    """Return the scores of all images, with a verdict or without one."""
    rows = db.execute("SELECT model, preprocess, domain, raw FROM scores ORDER BY completed_at")
    return [Raw(*row) for row in rows.fetchall()]


def read_scored(db: sqlite3.Connection, since: float = 0.0) -> list[Scored]:
    """Count the images that were scored at or after a Unix time, the newest bundle last."""
    judged = (
        "EXISTS (SELECT 1 FROM verdicts WHERE verdicts.image_id = scores.image_id "
        "AND verdicts.bundle_id = scores.bundle_id)"
    )
    query = (
        f"SELECT bundle_id, malignant >= threshold, count(*), sum({judged}), max(completed_at) "
        "FROM scores WHERE completed_at >= ? GROUP BY 1, 2 ORDER BY 5"
    )
    return [
        Scored(bundle_id, bool(called), images, with_verdict)
        for bundle_id, called, images, with_verdict, _ in db.execute(query, (since,)).fetchall()
    ]


def newest(scored: Sequence[Scored]) -> tuple[str | None, dict[bool, Calls]]:
    """Return the bundle that scored last, and its calls."""
    if not scored:
        return None, {}
    bundle_id = scored[-1].bundle_id
    own = [one for one in scored if one.bundle_id == bundle_id]
    return bundle_id, {one.called: Calls(one.images, one.with_verdict) for one in own}
