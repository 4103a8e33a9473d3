"""
The distance of recent scores from those that the model was measured on.

It is the population stability index over the manifest's 20 bins.
"""

import json
import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from edge.contract.health_parts import DriftPart
from edge.daemon.pipeline.examination import Examination
from edge.daemon.workers.serving import Serving
from edge.domain import Result
from edge.models.bundle import Bundle

WINDOW: Final = 500
"""The number of images that are compared."""
FEWEST: Final = 300
"""
The least images, since with fewer the index is noise: scores drawn from the reference itself exceed
0.1 in 87 of 100 windows of 100 images, and in 3 of 100 windows of 300.
"""
HALF: Final = 0.5
"""Added to each bin's count, so that an empty one is no infinity."""


class Drift:
    """Watches the service's results; begins anew with another model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bundle = ""
        self._reference: Sequence[int] = ()
        self._scores: deque[float] = deque(maxlen=WINDOW)

    def resume(self, serving: Serving, payloads: Sequence[bytes]) -> None:
        """
        Go on from the results that the serving model gave before the daemon was started.

        Args:
            serving: the model.
            payloads: published results, the oldest first.
        """
        messages = [json.loads(payload) for payload in payloads]
        bundle_id = serving.bundle.bundle_id
        own = [
            message
            for message in messages
            if message["model"]["bundle"] == bundle_id and message["duplicate_of"] is None
        ]
        with self._lock:
            self._begin(serving.bundle, serving.workers.runtime.file)
            self._scores.extend(
                message["score"]["malignant"] for message in own if message["score"] is not None
            )

    def observe(self, examination: Examination) -> None:
        """Note an image that came back from a worker."""
        if not isinstance(examination.verdict, Result):
            return
        bundle = examination.serving.bundle
        with self._lock:
            if bundle.bundle_id != self._bundle:
                self._begin(bundle, examination.verdict.runtime.file)
            self._scores.append(examination.verdict.prediction.malignant)

    def _begin(self, bundle: Bundle, file: str) -> None:
        self._bundle, self._scores = bundle.bundle_id, deque(maxlen=WINDOW)
        self._reference = bundle.manifest.model_of(file).reference_histogram

    def report(self) -> DriftPart:
        """
        Return images, their scores' counts, and the index of these, None for too few images.

        An index below 0.1 means alike, above 0.25 another population.
        """
        with self._lock:
            scores, reference = list(self._scores), list(self._reference)
        counts = counts_of(scores, len(reference))
        index = index_of(counts, reference)
        return DriftPart(images=len(scores), index=index, counts=counts, reference=reference)


def counts_of(scores: Sequence[float], bins: int) -> list[int]:
    """
    Return the number of scores in each of equal bins.

    Args:
        scores: 0 to 1.
        bins: how many, from 0 to 1.
    """
    found = [0] * bins
    for score in scores:
        found[min(bins - 1, int(score * bins))] += 1
    return found


def index_of(counts: Sequence[int], reference: Sequence[int]) -> float | None:
    """Return the stability index to 4 digits; None for fewer than FEWEST scores or no reference."""
    if sum(counts) < FEWEST or not any(reference):
        return None
    return round(stability_index(counts, reference), 4)


def stability_index(counts: Sequence[int], reference: Sequence[int]) -> float:
    """
    Return the sum over the bins of (found - expected) * ln(found / expected), shares of all.

    Args:
        counts: of equal bins from 0 to 1; those of several devices may be added up.
        reference: the same of the scores to compare with.
    """
    found = [count + HALF for count in counts]
    expected = [count + HALF for count in reference]
    shares = [(f / sum(found), e / sum(expected)) for f, e in zip(found, expected, strict=True)]
    return sum((f - e) * math.log(f / e) for f, e in shares)
