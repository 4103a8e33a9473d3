"""The report on how good the model is at this site, read from a ledger's verdicts."""

import sqlite3
from typing import Any

from edge.models.site_performance import report
from edge.storage.ledger.verdicts import calls_of, read_pairs, read_scored


def read_report(
    db: sqlite3.Connection, since: float = 0.0, by: str | None = None
) -> dict[str, Any]:
    """
    Measure the bundle that scored last on what was scored at or after a Unix time.

    Returns:
        The report on images as JSON, and under `exams` that on exams, which are counted apart.
    """
    scored, of_exams = read_scored(db, since), read_scored(db, since, "exam")
    last = (scored or of_exams)[-1:]  # an exam may end long after its last image
    bundle_id = last[0].bundle_id if last else None
    images = report(read_pairs(db, since), bundle_id, calls_of(scored, bundle_id), by)
    calls = calls_of(of_exams, bundle_id)
    by = None if by == "view" else by  # an exam has several
    return images | {"exams": report(read_pairs(db, since, "exam"), bundle_id, calls, by, "exams")}
