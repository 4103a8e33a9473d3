"""The score of an image as the ledger keeps it beyond the result: numbers, codes, pseudonyms."""

import hmac
import time
from typing import Final

from edge.domain import Provenance, Result
from edge.models.bundle import Bundle
from edge.storage.ledger.records import Score

MACHINE_DIGITS: Final = 8
NOBODY: Final = Provenance(None, None, None)


def score_of(outcome: Result, image_id: str, result_id: str, bundle: Bundle, key: bytes) -> Score:
    """
    Return the row of a fresh score.

    Args:
        outcome: of the image.
        image_id: of the image.
        result_id: of the outcome.
        bundle: the bundle that gave the score.
        key: of the HMACs that stand for woman and machine.
    """
    prediction, known = outcome.prediction, outcome.provenance or NOBODY
    machine = _pseudonym(key, "machine", known.machine)
    return Score(
        image_id=image_id,
        result_id=result_id,
        bundle_id=bundle.bundle_id,
        model=bundle.manifest.files[outcome.runtime.file],
        preprocess=bundle.preprocess_id,
        raw=prediction.raw,
        malignant=prediction.malignant,
        threshold=prediction.decision.threshold,
        domain=prediction.origin.domain if prediction.origin else "unknown",
        view=outcome.facts.view,
        maker=known.maker,
        machine=machine and machine[:MACHINE_DIGITS],
        woman=_pseudonym(key, "woman", known.woman),
        completed_at=time.time(),
    )


def _pseudonym(key: bytes, kind: str, text: str | None) -> str | None:
    return None if text is None else hmac.digest(key, f"{kind}:{text}".encode(), "sha256").hex()
