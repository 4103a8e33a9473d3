"""Restores a new ledger from what an earlier one left on the disk: archived images and results."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.domain import Numbering, Source
from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.records import Readdress, Submission, ledger_id, next_seq
from edge.storage.ledger.results import Results
from edge.storage.ledger.states import State
from edge.storage.ledger.verdict_tables import FROM_RESULTS
from edge.storage.ledger.witness import Witness


@dataclass(frozen=True, slots=True)
class Archived:
    """One image as it lies in done or failed, beside its result."""

    image_id: str
    result_id: str
    bundle_id: str
    generation: int
    scored: bool
    path: Path
    name: bytes
    source: Source
    received_at: float
    """Unix time, seconds."""
    payload: bytes
    """The result as it lies beside the image."""


class Restore:
    """
    Fills a new ledger from the archive.

    Each result gets a number of this ledger, keeps its result id, and goes to every sink again.
    """

    def __init__(self, database: Database, results: Results, readdress: Readdress) -> None:
        self._database = database
        self._results = results
        self._readdress = readdress

    @property
    def why_empty(self) -> str | None:
        """See `Database`."""
        return self._database.why_empty

    def finish(self) -> None:
        """Note that everything is recorded."""
        self._database.rebuilt()

    def give_up(self, why: str) -> None:
        """See `Database`."""
        self._database.give_up(why)

    def watch(self, file: Path) -> None:
        """Note the last number that is given in a file outside of the ledger, from now on."""
        self._database.watch(Witness(file))

    def numbering(self) -> tuple[str, int]:
        """Read the ledger's id and the last number that it gave."""
        with self._database.reading() as db:
            return ledger_id(db), int(
                db.execute("SELECT value FROM meta WHERE key = 'seq'").fetchone()[0]
            )

    def take_up(self, found: Sequence[Archived]) -> int:
        """Record what is not known yet; returns how many images that were."""
        taken = 0
        with self._database.transaction() as db:
            for item in found:
                if records.find(db, item.image_id) is not None:
                    continue
                db.execute(
                    "INSERT INTO images (image_id, state, generation, result_id, "
                    "path, name, received_at, archived_at, kept)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
                    (
                        item.image_id,
                        State.ARCHIVED,
                        item.generation,
                        item.result_id,
                        os.fsencode(item.path),
                        item.name,
                        item.received_at,
                        item.received_at,
                    ),
                )
                submission = Submission(
                    item.image_id, item.path, item.name, item.source, item.received_at
                )
                number = records.submit(db, submission, None)
                seq = next_seq(db)
                numbering = Numbering(seq, ledger_id(db), item.source, item.received_at)
                db.execute(
                    "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        item.result_id,
                        item.image_id,
                        item.bundle_id,
                        item.generation,
                        item.scored,
                        seq,
                    ),
                )
                self._results.record(
                    db, seq, item.result_id, number, self._readdress(item.payload, numbering)
                )
                db.execute(f"{FROM_RESULTS} AND images.image_id = ?", (item.image_id,))
                taken += 1
        return taken
