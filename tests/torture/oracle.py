"""Judge a run: the rules that must hold of every accepted file, whatever was done to the daemon."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.demo.daemon import NUMBERING
from edge.storage.ledger.database import FILE

CLOSE: Final = 1e-3
"""The difference of two scores that are the same; those of the stub lie four times as far apart."""
FOLDERS: Final = ("inbox", "spool", "done", "failed")


@dataclass(frozen=True, slots=True)
class Reply:
    """One message on a response topic."""

    asked: str
    """The image id that was sent with this topic."""
    correlation: bytes | None
    image_id: str
    """The image id in the answer."""

    @property
    def right(self) -> bool:
        """True if it answers the request with that topic, by its own correlation data."""
        return self.image_id == self.asked and self.correlation == correlation_of(self.asked)


def correlation_of(image_id: str) -> bytes:
    """Return the correlation data with which an image is sent."""
    return f"order {image_id[:12]}".encode()


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    The evidence once all is quiet: folders, the ledger, and the messages of a real subscriber.
    """

    inbox: Path
    spool: Path
    done: Path
    failed: Path
    states: Sequence[Path]
    """The state folder of each daemon."""
    heard: Sequence[Mapping[str, Any]]
    """Results and replies in the order of their arrival."""
    scored_by_hash: bool = True
    """True if the stub of a model scored: its score is the first byte of the file's hash."""
    replies: Sequence[Reply] = ()
    results: Sequence[Mapping[str, Any]] = ()
    """Messages on topics `result`, in the order of their arrival."""
    replayed: int = 0
    """The number of these that came before `replay` had all sent once more, also what was lost."""
    refused: Collection[int] = ()
    """Numbers that the broker may have refused: they may come late, in their own order."""


@dataclass(slots=True)
class Verdict:
    """The findings of the oracle: image ids, cut to 16 digits."""

    files: int
    lost: set[str] = field(default_factory=set)
    """Images without an outcome in a ledger, or whose result the subscriber never received."""
    two_ids: set[str] = field(default_factory=set)
    """Images that were received or recorded under more than one result id."""
    disordered: set[str] = field(default_factory=set)
    """Numbers whose first message on `result` came after that of a later number."""
    misdirected: set[str] = field(default_factory=set)
    """Images that were asked for, on whose response topic came another answer."""
    rejected: set[str] = field(default_factory=set)
    """Rejected images that a quiet run scores."""
    misplaced: set[str] = field(default_factory=set)
    """Images in no place, in two, in the wrong folder, or without their result beside them."""
    other_bytes: set[str] = field(default_factory=set)
    """Images whose score is that of other bytes."""
    unknown: set[str] = field(default_factory=set)
    """Images in a folder or a ledger that nobody sent, and work that is left undone."""

    @property
    def faults(self) -> list[str]:
        """List one sentence for each kind of fault; the list is empty if all is well."""
        named = {
            "lost": self.lost,
            "two ids": self.two_ids,
            "disordered": self.disordered,
            "misdirected": self.misdirected,
            "rejected": self.rejected,
            "misplaced": self.misplaced,
            "other bytes": self.other_bytes,
            "unknown": self.unknown,
        }
        return [
            f"{what}: {len(ids)} ({', '.join(sorted(ids)[:5])})"
            for what, ids in named.items()
            if ids
        ]


def judge(
    accepted: Mapping[str, bool], evidence: Evidence, possible: Iterable[str] = ()
) -> Verdict:
    """
    Judge one run.

    Args:
        accepted: image id of every file that was taken -> True if a quiet run scores it.
        evidence: what is left; the daemons are stopped.
        possible: image ids of files that may have been taken; they are judged if a ledger has them.
    """
    verdict = Verdict(len(accepted))
    recorded = _recorded(evidence.states, verdict)
    heard = _heard(evidence.heard, verdict)
    accepted = {image_id: True for image_id in possible if image_id in recorded} | dict(accepted)
    for image_id in accepted:
        short = image_id[:16]
        ids = recorded.get(image_id, set()) | heard.get(image_id, set())
        if image_id not in recorded or image_id not in heard:
            verdict.lost.add(short)
        if len(ids) > 1:
            verdict.two_ids.add(short)
    verdict.rejected |= {
        message["image_id"][:16]
        for message in evidence.heard
        if message["outcome"] == "rejected" and accepted.get(message["image_id"])
    }
    verdict.unknown |= {
        image_id[:16] for image_id in (recorded.keys() | heard.keys()) - accepted.keys()
    }
    if evidence.scored_by_hash:
        verdict.other_bytes |= {
            message["image_id"][:16] for message in evidence.heard if not _own_score(message)
        }
    verdict.misdirected |= {reply.asked[:16] for reply in evidence.replies if not reply.right}
    before, after = evidence.results[: evidence.replayed], evidence.results[evidence.replayed :]
    for part in (before, after):
        verdict.disordered |= _disordered(part, evidence.refused)
    _look_around(accepted, evidence, verdict)
    return verdict


def _disordered(messages: Iterable[Mapping[str, Any]], refused: Collection[int]) -> set[str]:
    """
    Name the numbers that were first heard after a later one; repetitions say nothing.

    A number that was refused is behind only if it comes after a later one that came late, too.
    """
    heard: dict[str, set[int]] = {}
    late: dict[str, set[int]] = {}
    found = set()
    for message in messages:
        ledger, seq = message["ledger_id"], message["seq"]
        numbers = heard.setdefault(ledger, set())
        if seq not in numbers and seq < max(numbers, default=seq):
            others = late.setdefault(ledger, set())
            if seq not in refused or seq < max(others, default=seq):
                found.add(f"seq {seq}")
            others.add(seq)
        numbers.add(seq)
    return found


def _own_score(message: Mapping[str, Any]) -> bool:
    """Tell if a score belongs to the bytes under whose hash it was published; no score does."""
    score = message.get("score")
    return score is None or abs(score["raw"] - int(message["image_id"][:2], 16) / 256) < CLOSE


def _recorded(states: Iterable[Path], verdict: Verdict) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for state in states:
        db = sqlite3.connect(f"{(state / FILE).as_uri()}?mode=ro", uri=True)
        for image_id, result_id in db.execute("SELECT image_id, result_id FROM outcomes"):
            found.setdefault(image_id, set()).add(result_id)
        undone = db.execute("SELECT image_id FROM images WHERE state != 'archived'").fetchall()
        undone += db.execute("SELECT image_id FROM submissions WHERE seq IS NULL").fetchall()
        undone += db.execute(
            "SELECT image_id FROM outbox JOIN results USING (seq) JOIN outcomes USING (result_id)"
        ).fetchall()
        verdict.unknown |= {f"undone {image_id[:16]}" for (image_id,) in undone}
        db.close()
    return found


def _heard(messages: Iterable[Mapping[str, Any]], verdict: Verdict) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    numbered: dict[tuple[str, int], str] = {}
    for message in messages:
        found.setdefault(message["image_id"], set()).add(message["result_id"])
        said = numbered.setdefault(
            (message["ledger_id"], message["seq"]), json.dumps(message, sort_keys=True)
        )
        if said != json.dumps(message, sort_keys=True):
            verdict.two_ids.add(f"seq {message['seq']}")  # one number, two results
    return found


def _look_around(accepted: Mapping[str, bool], evidence: Evidence, verdict: Verdict) -> None:
    """Check that each file is in exactly one place, the right one."""
    places: Counter[str] = Counter()
    for folder in (evidence.inbox, evidence.spool, evidence.done, evidence.failed):
        archive = folder in (evidence.done, evidence.failed)
        for path in (path for path in folder.rglob("*") if path.is_file()):
            if path.name == NUMBERING:
                continue
            if archive and path.suffix == ".json":
                if not path.with_suffix("").exists():
                    verdict.misplaced.add(f"{folder.name}: a result without its image")
                continue
            image_id = hashlib.sha256(path.read_bytes()).hexdigest()
            places[image_id] += 1
            if image_id not in accepted:
                verdict.unknown.add(f"{folder.name} {image_id[:16]}")
            elif folder != (evidence.done if accepted[image_id] else evidence.failed):
                verdict.misplaced.add(f"{folder.name} {image_id[:16]}")
            elif not path.with_name(path.name + ".json").exists():
                verdict.misplaced.add(f"{image_id[:16]} without its result")
    verdict.misplaced |= {image_id[:16] for image_id in accepted if places[image_id] != 1}
