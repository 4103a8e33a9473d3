"""The words above and below the panels: score and label, image and model."""

from collections.abc import Mapping
from typing import Final, cast

import cv2

from edge import NOTICE
from edge.domain import Outcome, Prediction, Rejection, Withheld
from edge.inference.explain.canvas import (
    MARGIN,
    TEXT,
    Colour,
    Picture,
    blank,
    broken,
    width_of,
    write,
)
from edge.inference.explain.colours import AGAINST, FAINT, FOR, LABELS, YELLOW

MEANING: Final = (
    "The map is the model's own: pooled, its cells are the logit of the score "
    "before calibration. It outlines no lesion."
)
PEAKS: Final = (
    "The map is the model's own: its highest cell is the score. Frames: up to three peaks, "
    "each with the score that it would give. It outlines no lesion."
)
WITHHELD: Final[Mapping[Withheld, str]] = {
    "domain-unmeasured": "no label: the model was not measured on such images ({domain})",
    "domain-at-chance": "no label: on such images ({domain}) the model is no better than chance",
}


def head_of(outcome: Outcome, width: int) -> Picture:
    """Draw the label, the score and the operating point, or the reason of a rejection."""
    if isinstance(outcome, Rejection):
        lines = broken(outcome.text, width, 0.7)
        head = blank(90 + 30 * len(lines), width)
        write(head, "rejected: no score", MARGIN, 52, 1.3, LABELS["rejected"], 2)
        for number, line in enumerate(lines):
            write(head, line, MARGIN, 92 + 30 * number, 0.7, TEXT)
        return head
    head, prediction, decision = blank(150, width), outcome.prediction, outcome.prediction.decision
    write(
        head,
        f"{prediction.label} {prediction.malignant:.3f}",
        MARGIN,
        52,
        1.3,
        LABELS[prediction.label],
        2,
    )
    write(head, "calibrated probability of malignancy", MARGIN + 560, 32, 0.6, FAINT)
    band = (
        f"indeterminate from {decision.band_low:.3f} to {decision.band_high:.3f}"
        if decision.band_low < decision.band_high
        else "no band"
    )
    if prediction.withheld and prediction.origin:
        band = WITHHELD[prediction.withheld].format(domain=prediction.origin.domain)
    write(
        head,
        f"operating point {decision.operating_point}: threshold {decision.threshold:.3f}, {band}",
        MARGIN + 560,
        58,
        0.6,
        FAINT,
    )
    _gauge(head, prediction, MARGIN, 92, width - 2 * MARGIN)
    return head


def _gauge(head: Picture, prediction: Prediction, left: int, top: int, length: int) -> None:
    """Draw a bar from 0 to 1 (benign, indeterminate, malignant) with a mark at the score."""
    decision = prediction.decision
    ends = [0.0, decision.band_low, decision.band_high, 1.0]
    for start, end, colour in zip(ends, ends[1:], (AGAINST, YELLOW, FOR), strict=False):
        cv2.rectangle(
            head,
            (left + round(start * length), top),
            (left + round(end * length), top + 16),
            _dimmed(colour),
            -1,
        )
    x = left + round(prediction.malignant * length)
    cv2.rectangle(head, (x - 3, top - 8), (x + 3, top + 24), TEXT, -1)
    for value, text in ((0.0, "0"), (decision.threshold, "threshold"), (1.0, "1")):
        write(
            head,
            text,
            _kept_inside(left + round(value * length), text, left, left + length),
            top + 42,
            0.55,
            FAINT,
        )


def _kept_inside(middle: int, text: str, left: int, right: int) -> int:
    """Return the left end of a text centred on `middle`, moved to stay within left .. right."""
    wide = width_of(text, 0.55)
    return min(max(left, middle - wide // 2), right - wide)


def _dimmed(colour: Colour) -> Colour:
    return cast("Colour", tuple(round(0.6 * part) for part in colour))


def foot_of(outcome: Outcome, image_id: str, model: str, width: int) -> Picture:
    """Write the image's id and format, the model, the meaning of the map and the notice."""
    facts = outcome.facts
    seen = (
        f"{facts.columns} x {facts.rows}, {facts.bits} bits, {facts.format}"
        if facts
        else "not decoded"
    )
    meaning = [] if isinstance(outcome, Rejection) else _meaning(outcome.prediction)
    lines = [f"image {image_id[:16]}: {seen}. Model {model}.", *meaning, NOTICE]
    foot = blank(30 * len(lines) + 28, width)
    for number, line in enumerate(lines):
        write(foot, line, MARGIN, 36 + 30 * number, 0.62, TEXT if line == NOTICE else FAINT)
    return foot


def _meaning(prediction: Prediction) -> list[str]:
    """Say what the map means, and of which kind the image is."""
    origin = prediction.origin
    kind = []
    if origin is not None:
        by = f", by its {origin.known_by}" if origin.known_by else ""
        known = {True: "measured on such images", False: "not measured on such images"}
        measured = "" if origin.measured is None else f"; the model was {known[origin.measured]}"
        kind = [f"Kind of image: {origin.domain}{by}{measured}."]
    return [*kind, MEANING if prediction.findings is None else PEAKS]
