"""Simulated women with scores and verdicts, and ledgers of them."""

import hashlib
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edge.domain import Domain
from edge.models.calibration import sigmoid
from edge.models.pairs import Pair
from edge.storage.ledger import Ledger
from edge.storage.ledger.exam_verdict_tables import EXAM_SCORE
from edge.storage.ledger.records import Score, note_score
from edge.storage.ledger.verdicts import Verdict

BUNDLE = "b" * 64


def women(  # noqa: PLR0913 - what a test may say
    number: int,
    seed: int,
    *,
    bundle_id: str = BUNDLE,
    model: str = "m" * 64,
    preprocess: str = "p",
    domain: Domain = "digital",
) -> list[Pair]:
    """Draw women of one to four images; half have a cancer, which some of their images show."""
    draw, found = random.Random(seed), []  # noqa: S311 - a simulation
    for woman in range(number):
        ill, own = draw.random() < 0.5, draw.gauss(0, 0.7)
        for _ in range(draw.randint(1, 4)):
            malignant = ill and draw.random() < 0.7
            # Too sure by half, and too high: what calibration is to find.
            logit = 2 * (draw.gauss(1.2 if malignant else -1.2, 1.0) + own) + 1
            raw = sigmoid(logit)
            truth: Literal["malignant", "benign"] = "malignant" if malignant else "benign"
            found.append(
                Pair(
                    truth,
                    draw.choice(("biopsy", "follow-up", "reader")),
                    draw.random() < 0.3,
                    bundle_id,
                    model,
                    preprocess,
                    raw,
                    raw,
                    0.5,
                    domain,
                    draw.choice(("CC", "MLO")),
                    draw.choice(("hologic", "ge")),
                    draw.choice(("11111111", "22222222")),
                    f"{seed}-{woman}",
                )
            )
    return found


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def score_of(number: int, pair: Pair, at: float = 1.79e9) -> Score:
    return Score(
        name(number),
        f"r{number}",
        pair.bundle_id,
        pair.model,
        pair.preprocess,
        pair.raw,
        pair.malignant,
        pair.threshold,
        pair.domain,
        pair.view,
        pair.maker,
        pair.machine,
        pair.woman,
        at + number,
    )


def fill(folder: Path, pairs: Sequence[Pair]) -> None:
    """Make a ledger with these pairs."""
    ledger = Ledger(folder, [], lambda payload, _: payload)
    with ledger._database.transaction() as db:
        for number, pair in enumerate(pairs):
            note_score(db, score_of(number, pair))
    verdicts = [
        Verdict(name(number), pair.truth, pair.basis, pair.score_seen)
        for number, pair in enumerate(pairs)
    ]
    assert ledger.verdicts.record(verdicts) == len(pairs)
    ledger.close()


def fill_exams(folder: Path, pairs: Sequence[Pair], *, judged: bool = True) -> None:
    """Add to a ledger an exam with the score, and the verdict, of each of these pairs."""
    ledger = Ledger(folder, [], lambda payload, _: payload)
    with ledger._database.transaction() as db:
        for number, pair in enumerate(pairs):
            score = score_of(number, pair)
            logit = math.log(pair.raw / (1 - pair.raw))
            numbers = (logit, pair.malignant, pair.threshold, pair.domain, pair.maker)
            names = (score.image_id, score.result_id, 1, name(-number - 1))
            by = (pair.bundle_id, pair.model, pair.preprocess)
            row = (*names, *by, *numbers, pair.machine, pair.woman)
            places = ", ".join("?" * 15)
            new = f"INSERT INTO exam_scores ({EXAM_SCORE}) VALUES ({places})"  # noqa: S608
            db.execute(new, (*row, score.completed_at))
    verdicts = [
        Verdict(name(number), pair.truth, pair.basis, pair.score_seen, "exam")
        for number, pair in enumerate(pairs)
    ]
    assert ledger.verdicts.record(verdicts if judged else []) == len(pairs) * judged
    ledger.close()


def close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
