"""
Verdicts: what was found out about images and exams, stored with the scores that these had by then.

A verdict on an exam is none on its images, for it does not say which of them shows something.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, TypeAlias

from edge.models.calibration import sigmoid
from edge.models.pairs import Basis, Calls, Pair, Truth
from edge.storage.ledger.database import Database
from edge.storage.ledger.exam_verdict_tables import EXAM_SCORE
from edge.storage.ledger.records import SCORE

Kind: TypeAlias = Literal["image", "exam"]
"""The kinds of things that have a verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The truth that was found out about one image, or one exam."""

    id: str
    truth: Truth
    basis: Basis
    score_seen: bool
    kind: Kind = "image"


@dataclass(frozen=True, slots=True)
class Scored:
    """Counts of scored images, or exams, by bundle and call, for the share that has a verdict."""

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


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of the scores and verdicts of one kind."""

    scores: str
    verdicts: str
    key: str
    score: str
    """The columns of a score."""
    pair: str
    """The columns of a verdict that make a pair, as SQL."""


PAIR: Final = [field.name for field in fields(Pair)]
OF_EXAMS: Final = {"raw": "logit", "view": "NULL"}
TABLES: Final[Mapping[Kind, Tables]] = {
    "image": Tables("scores", "verdicts", "image_id", SCORE, ", ".join(PAIR)),
    "exam": Tables(
        "exam_scores",
        "exam_verdicts",
        "exam_id",
        EXAM_SCORE,
        ", ".join(OF_EXAMS.get(name, name) for name in PAIR),
    ),
}
SAME: Final = "truth = ?2 AND basis = ?3 AND score_seen = ?4 AND (woman IS NOT NULL OR new IS NULL)"
"""Nothing new is said; a woman who was not known when the verdict came is new."""


class Verdicts:
    """The part of a ledger that takes verdicts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unknown(self, ids: Sequence[str], kind: Kind = "image") -> list[str]:
        """Return the ids of images, or exams, that have no score here."""
        of = TABLES[kind]
        with self._database.reading() as db:
            query = f"SELECT 1 FROM {of.scores} WHERE {of.key} = ?"
            return [one for one in ids if db.execute(query, (one,)).fetchone() is None]

    def record(self, given: Sequence[Verdict]) -> int:
        """
        Store verdicts, all or none; a new one of the same id takes the place of the one before.

        A verdict that is given again as it was keeps its time and its score.

        Returns:
            The number of verdicts that are new or say something else.

        Raises:
            Unavailable: the disk is full or failing; nothing was changed.
        """
        now = time.time()
        with self._database.transaction() as db:
            return sum(_record(db, one, now) for one in given)

    def pairs(self, kind: Kind = "image") -> list[Pair]:
        """Return all verdicts on images, or exams, with their scores."""
        with self._database.reading() as db:
            return read_pairs(db, kind=kind)

    def version(self, kind: Kind = "image") -> tuple[int, float]:
        """Return numbers that change with every verdict that comes, changes or goes."""
        with self._database.reading() as db:
            query = f"SELECT count(*), coalesce(max(given_at), 0) FROM {TABLES[kind].verdicts}"
            number, last = db.execute(query).fetchone()
            return int(number), float(last)


def _record(db: sqlite3.Connection, one: Verdict, now: float) -> int:
    of = TABLES[one.kind]
    query = (
        f"INSERT OR REPLACE INTO {of.verdicts} ({of.score}, truth, basis, score_seen, given_at) "
        f"SELECT {of.score}, ?2, ?3, ?4, ?5 FROM (SELECT *, woman AS new FROM {of.scores}) "
        f"WHERE {of.key} = ?1 AND NOT EXISTS "
        f"(SELECT 1 FROM {of.verdicts} WHERE {of.key} = ?1 AND {SAME})"
    )
    return db.execute(query, (one.id, one.truth, one.basis, one.score_seen, now)).rowcount


def read_pairs(db: sqlite3.Connection, since: float = 0.0, kind: Kind = "image") -> list[Pair]:
    """Return verdicts with their scores, of what was scored at or after a Unix time."""
    of = TABLES[kind]
    query = f"SELECT {of.pair} FROM {of.verdicts} WHERE completed_at >= ? ORDER BY completed_at"
    rows = db.execute(f"{query}, {of.key}", (since,)).fetchall()
    pairs = [Pair(truth, basis, bool(seen), *rest) for truth, basis, seen, *rest in rows]
    return pairs if kind == "image" else [replace(one, raw=sigmoid(one.raw)) for one in pairs]


def read_raw(db: sqlite3.Connection) -> list[Raw]:
    """Return the scores of all images, with a verdict or without one."""
    rows = db.execute("SELECT model, preprocess, domain, raw FROM scores ORDER BY completed_at")
    return [Raw(*row) for row in rows.fetchall()]


def read_scored(db: sqlite3.Connection, since: float = 0.0, kind: Kind = "image") -> list[Scored]:
    """Count what was scored at or after a Unix time, the newest bundle last."""
    of = TABLES[kind]
    judged = (
        f"EXISTS (SELECT 1 FROM {of.verdicts} AS given WHERE given.{of.key} = scored.{of.key} "
        "AND given.bundle_id = scored.bundle_id)"
    )
    query = (
        f"SELECT bundle_id, malignant >= threshold, count(*), sum({judged}), max(completed_at) "
        f"FROM {of.scores} AS scored WHERE completed_at >= ? GROUP BY 1, 2 ORDER BY 5"
    )
    return [
        Scored(bundle_id, bool(called), images, with_verdict)
        for bundle_id, called, images, with_verdict, _ in db.execute(query, (since,)).fetchall()
    ]


def calls_of(scored: Sequence[Scored], bundle_id: str | None) -> dict[bool, Calls]:
    """Return the calls of a bundle."""
    own = [one for one in scored if one.bundle_id == bundle_id]
    return {one.called: Calls(one.images, one.with_verdict) for one in own}
