"""
One picture of one examination, for a person to look at. OpenCV only; nothing of the file is written
on it but its pixels.
"""

from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import NOTICE
from edge.domain import Box, HeatMap, InputSpec, Outcome, Prediction, Rejection
from edge.inference.explain.canvas import (
    MARGIN,
    TEXT,
    Colour,
    Picture,
    blank,
    broken,
    coloured,
    row,
    titled,
    widened,
    width_of,
    write,
)
from edge.inference.image.mammogram import Mammogram, Pixels
from edge.inference.preprocess import Batch
from edge.inference.sight import Sight

HEIGHT: Final = 820
"""Of a panel, in pixels."""
WIDTH: Final = 1180
"""Least width of the picture: the longest line of text fits."""
FAINT: Final[Colour] = (168, 164, 160)
YELLOW: Final[Colour] = (77, 225, 255)
FOR: Final[Colour] = (60, 60, 245)
"""What speaks for malignant: red."""
AGAINST: Final[Colour] = (245, 150, 40)
"""What speaks against it: blue."""
LABELS: Final[dict[str, Colour]] = {
    "malignant": FOR,
    "benign": AGAINST,
    "indeterminate": YELLOW,
    "rejected": FAINT,
}
OPAQUE: Final = 0.6
"""How much of a film the strongest colour hides."""
STRONG: Final = 95.0
"""Percentile of the map's absolute values that gets the strongest colour."""
WIDEST: Final = 4 * HEIGHT
"""Of a film, in pixels: a strip is squeezed, or its panel would take all memory."""
WINDOW: Final = (1.0, 99.5)
"""Percentiles of the film that are shown as black and white."""
MEANING: Final = (
    "The map is the model's own: pooled, its cells are the logit of the score "
    "before calibration. It outlines no lesion."
)


def draw(sight: Sight, image_id: str, model: str, spec: InputSpec) -> Picture:
    """
    What was read and cut out, what the model saw, its map over the original, the score and its
    label; a rejected image says so.

    Args:
        sight: the examination.
        image_id: SHA-256 of the file, in hex; its first 16 digits are written on the picture.
        model: name and version.
        spec: the model's input.

    Returns:
        About 1,000 rows; wider for wider films.
    """
    panels = _panels(sight, spec)
    body = row(panels) if panels else blank(1, WIDTH)
    width = max(WIDTH, body.shape[1])
    head = _head(sight.outcome, width)
    foot = _foot(sight.outcome, image_id, model, width)
    return np.vstack([head, widened(body, width), foot])


def _panels(sight: Sight, spec: InputSpec) -> list[Picture]:
    if sight.image is None:
        return []
    film = _film(sight.image, sight.batch)
    panels = [
        titled(
            "as it came" if sight.batch is None else _crop_title(sight.batch),
            _with_crop(film, sight.batch),
        )
    ]
    if sight.batch is not None:
        panels.append(titled(_input_title(sight.batch, spec), _input(sight.batch, spec)))
    heatmap = None if isinstance(sight.outcome, Rejection) else sight.outcome.prediction.heatmap
    if heatmap is not None and sight.batch is not None:
        strongest = _strongest(heatmap)
        panels.append(
            titled(
                "the model's map over the original",
                _overlaid(film, heatmap, sight.batch, strongest),
            )
        )
        panels.append(titled("logit", _scale(strongest)))
    return panels


def _crop_title(batch: Batch) -> str:
    return "as it came; nothing was cut off" if _is_whole(batch) else "as it came, and the crop"


def _is_whole(batch: Batch) -> bool:
    geometry, box = batch.geometry, batch.geometry.box
    return (box.ymax - box.ymin, box.xmax - box.xmin) == (geometry.rows, geometry.columns)


def _input_title(batch: Batch, spec: InputSpec) -> str:
    title = f"what the model saw: {spec.width} x {spec.height}"
    return (
        title
        + (", squeezed" if spec.aspect == "squeeze" else "")
        + (", mirrored" if batch.geometry.flipped else "")
    )


def _film(image: Mammogram, batch: Batch | None) -> Picture:
    """The film at its true aspect, in grey, HEIGHT pixels high."""
    pixels = image.pixels
    small = _resized(pixels, min(WIDEST, max(1, round(pixels.shape[1] * HEIGHT / pixels.shape[0]))))
    shown = _inside(small, batch.geometry.box, batch) if batch else small
    low, high = np.percentile(shown, WINDOW)
    grey = np.clip((small.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    return coloured(grey)


def _inside(small: Pixels, box: Box, batch: Batch) -> Pixels:
    left, top, right, bottom = _on_panel(box, batch, small.shape)
    return small[top:bottom, left:right]


def _on_panel(box: Box, batch: Batch, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """
    Left, top, right and bottom of a box of the original on a panel of that shape; never empty.
    """
    x, y = shape[1] / batch.geometry.columns, shape[0] / batch.geometry.rows
    left, top = min(int(box.xmin * x), shape[1] - 1), min(int(box.ymin * y), shape[0] - 1)
    return left, top, max(left + 1, round(box.xmax * x)), max(top + 1, round(box.ymax * y))


def _with_crop(film: Picture, batch: Batch | None) -> Picture:
    if batch is None or _is_whole(batch):
        return film
    left, top, right, bottom = _on_panel(batch.geometry.box, batch, film.shape)
    return cast(
        "Picture", cv2.rectangle(film.copy(), (left, top), (right - 1, bottom - 1), YELLOW, 2)
    )


def _input(batch: Batch, spec: InputSpec) -> Picture:
    """The tensor itself, its aspect as the model has it."""
    seen = (batch.tensor[0, :, :, 0] - spec.low) / (spec.high - spec.low)
    return coloured(
        np.asarray(_resized(seen, max(1, round(spec.width * HEIGHT / spec.height))), np.float32)
    )


def _strongest(heatmap: HeatMap) -> float:
    return max(0.1, float(np.percentile(np.abs(heatmap.values), STRONG)))


def _overlaid(film: Picture, heatmap: HeatMap, batch: Batch, strongest: float) -> Picture:
    left, top, right, bottom = _on_panel(heatmap.box, batch, film.shape)
    values = np.array(heatmap.values, np.float32)
    smooth = np.asarray(
        cv2.resize(values, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR), np.float32
    )
    drawn = film.copy()
    drawn[top:bottom, left:right] = _blended(film[top:bottom, left:right], smooth / strongest)
    return drawn


def _blended(under: Picture, strength: NDArray[np.float32]) -> Picture:
    """
    Red where strength is above 0, blue below, clear at 0; strongest from 1 on. Shape (rows,
    columns).
    """
    colour = np.where(
        strength[..., None] > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32)
    )
    hides = (OPAQUE * np.minimum(np.abs(strength), 1))[..., None]
    return np.rint(under * (1 - hides) + colour * hides).astype(np.uint8)


def _scale(strongest: float) -> Picture:
    """The colours on mid grey, and what they mean."""
    bar = _blended(
        np.full((HEIGHT, 28, 3), 96, np.uint8),
        np.tile(np.linspace(1, -1, HEIGHT, dtype=np.float32)[:, None], (1, 28)),
    )
    scale = blank(HEIGHT, 150)
    scale[:, :28] = bar
    marks = [
        (18, f"+{strongest:.1f}"),
        (46, "and more:"),
        (74, "speaks for"),
        (102, "malignant"),
        (HEIGHT // 2 + 6, "0"),
    ]
    marks += [
        (HEIGHT - 90, f"-{strongest:.1f}"),
        (HEIGHT - 62, "and less:"),
        (HEIGHT - 34, "speaks"),
        (HEIGHT - 6, "against"),
    ]
    for y, text in marks:
        write(scale, text, 38, y, 0.6, TEXT)
    return scale


def _head(outcome: Outcome, width: int) -> Picture:
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
    """0 to 1 as a bar: benign, indeterminate, malignant, and a mark at the score."""
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
    """Where a text centred on `middle` begins, without leaving left .. right."""
    wide = width_of(text, 0.55)
    return min(max(left, middle - wide // 2), right - wide)


def _dimmed(colour: Colour) -> Colour:
    return cast("Colour", tuple(round(0.6 * part) for part in colour))


def _foot(outcome: Outcome, image_id: str, model: str, width: int) -> Picture:
    facts = outcome.facts
    seen = (
        f"{facts.columns} x {facts.rows}, {facts.bits} bits, {facts.format}"
        if facts
        else "not decoded"
    )
    meaning = [] if isinstance(outcome, Rejection) else [MEANING]
    lines = [f"image {image_id[:16]}: {seen}. Model {model}.", *meaning, NOTICE]
    foot = blank(30 * len(lines) + 28, width)
    for number, line in enumerate(lines):
        write(foot, line, MARGIN, 36 + 30 * number, 0.62, TEXT if line == NOTICE else FAINT)
    return foot


def _resized(pixels: NDArray[np.generic], width: int) -> Pixels:
    how = cv2.INTER_AREA if pixels.shape[0] > HEIGHT else cv2.INTER_LINEAR
    return cast(
        "Pixels", cv2.resize(np.ascontiguousarray(pixels), (width, HEIGHT), interpolation=how)
    )
