"""Judge the exams of a run: each study is one exam, revised without a gap, under one id."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.storage.ledger.database import FILE


def faults_of(
    studies: Iterable[frozenset[str]], heard: Sequence[Mapping[str, Any]], state: Path
) -> list[str]:
    """
    List what is wrong with the exams of one ledger; empty if all is well.

    Args:
        studies: the image ids of each study whose four views were given.
        heard: the messages on `exam`, in the order of their arrival.
        state: the folder of the ledger; the daemon is stopped.
    """
    return [
        *_numbering(heard),
        *(fault for chain in _by_exam(heard).values() for fault in _chain(chain)),
        *_studies(studies, _by_exam(heard)),
        *_ledger(heard, state),
    ]


def _numbering(heard: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Find numbers that were given twice, left out, or first heard after a later one."""
    said: dict[int, str] = {}
    for message in heard:
        text = json.dumps(message, sort_keys=True)
        if said.setdefault(message["seq"], text) != text:
            yield f"exam seq {message['seq']} says two things"
    if list(said) != list(range(1, len(said) + 1)):
        yield f"exam numbers came as {list(said)}"
    if len({message["result_id"] for message in heard}) != len(said):
        yield "one exam result under two ids, or two under one"


def _by_exam(heard: Sequence[Mapping[str, Any]]) -> Mapping[str, list[Mapping[str, Any]]]:
    exams: dict[str, dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for message in heard:
        exams[message["exam_id"]][message["seq"]] = message
    return {exam: [one[seq] for seq in sorted(one)] for exam, one in exams.items()}


def _chain(revisions: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    before = None
    for number, message in enumerate(revisions, 1):
        if (message["revision"], message["supersedes"]) != (number, before):
            yield f"revision {message['revision']} of an exam stands at place {number}"
        before = message["result_id"]


def _studies(
    studies: Iterable[frozenset[str]], exams: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterable[str]:
    last = [chain[-1] for chain in exams.values()]
    found = sorted(sorted(view["image_id"] for view in one["views"]) for one in last)
    expected = sorted(map(sorted, studies))
    if found != expected:
        yield f"{len(found)} exams of {len(expected)} studies, or of other images"
    if not all(one["complete"] for one in last):
        yield "an exam of four views that is not complete"


def _ledger(heard: Sequence[Mapping[str, Any]], state: Path) -> Iterable[str]:
    db = sqlite3.connect(f"{(state / FILE).as_uri()}?mode=ro", uri=True)
    kept = {row[0] for row in db.execute("SELECT result_id FROM exam_results")}
    left = db.execute("SELECT count(*) FROM exam_outbox").fetchone()[0]
    left += db.execute("SELECT count(*) FROM exams WHERE first_s IS NOT NULL").fetchone()[0]
    scores = {row[0] for row in db.execute("SELECT result_id FROM exam_scores")}
    db.close()
    if left:
        yield f"{left} exams are left undone"
    if kept != {message["result_id"] for message in heard}:
        yield "the ledger has other exam results than were heard"
    if scores != {chain[-1]["result_id"] for chain in _by_exam(heard).values()}:
        yield "the scores of exams are not those of their last revisions"
