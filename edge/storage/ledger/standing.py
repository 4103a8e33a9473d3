"""Outcomes that stand: those that answer bytes which come again."""

import json
import sqlite3

from edge.errors import Reason
from edge.storage.ledger import records
from edge.storage.ledger.records import Image


def standing_result(db: sqlite3.Connection, known: Image, bundle_id: str) -> str | None:
    """
    Find the result id that answers a new submission of concluded bytes.

    Returns:
        None if this bundle must examine them first, or could not for a reason that has passed.
    """
    row = db.execute(
        "SELECT result_id FROM outcomes WHERE image_id = ? AND bundle_id = ? AND generation = ?",
        (known.image_id, bundle_id, known.generation),
    ).fetchone()
    return row[0] if row and not _was_passing(db, row[0]) else None


def had_passing_answer(db: sqlite3.Connection, known: Image) -> bool:
    """Tell if an outcome of an image's generation says nothing of its bytes."""
    rows = db.execute(
        "SELECT result_id FROM outcomes WHERE image_id = ? AND generation = ? AND scored = 0",
        (known.image_id, known.generation),
    )
    return any(_was_passing(db, result_id) for (result_id,) in rows.fetchall())


def _was_passing(db: sqlite3.Connection, result_id: str) -> bool:
    """Tell if an outcome is that the bytes were missing, which those that come again are not."""
    return any(one.startswith(f"{Reason.MISSING}:") for one in reasons_of(db, result_id))


def reasons_of(db: sqlite3.Connection, result_id: str) -> list[str]:
    """Read the reasons for which an outcome is a rejection; none if its payload is not ours."""
    try:
        gate = json.loads(records.payload_of(db, result_id) or b"{}").get("gate", {})
        return [str(reason) for reason in gate.get("reasons", [])]
    except (ValueError, AttributeError, TypeError):
        return []
