"""
One picture of one examination, for a person to look at.

OpenCV alone draws it. Of the file it shows the pixels, never a name.
"""

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, HeatMap, InputSpec, Prediction, Result
from edge.inference.explain import peaks
from edge.inference.explain.canvas import (
    TEXT,
    Picture,
    blank,
    coloured,
    row,
    titled,
    widened,
    write,
)
from edge.inference.explain.caption import foot_of, head_of
from edge.inference.explain.colours import YELLOW
from edge.inference.explain.overlay import blended, on_panel
from edge.inference.image.mammogram import Mammogram, Pixels
from edge.inference.preprocess import Batch
from edge.inference.trace import Trace

HEIGHT: Final = 820
"""The height of a panel, in pixels."""
WIDTH: Final = 1180
"""The least width of the picture, in pixels: the longest line of text fits."""
STRONG: Final = 95.0
"""The percentile of the map's absolute values that gets the strongest colour."""
WIDEST: Final = 4 * HEIGHT
"""The greatest width of a film, in pixels: a wider strip would take all memory."""
WINDOW: Final = (1.0, 99.5)
"""The percentiles of the film that are shown as black and white."""


def draw(trace: Trace, image_id: str, model: str, spec: InputSpec) -> Picture:
    """
    Draw the film with the crop, the model's input, the map over the film, the score and the label.

    Args:
        trace: the examination; for a rejected image the reason is written.
        image_id: SHA-256 of the file, in hex; its first 16 digits are written on the picture.
        model: the model's name and version.
        spec: the model's input.

    Returns:
        Shape (rows, columns, 3), about 1,000 rows; wider for wider films.
    """
    panels = _panels(trace, spec)
    body = row(panels) if panels else blank(1, WIDTH)
    width = max(WIDTH, body.shape[1])
    head = head_of(trace.outcome, width)
    foot = foot_of(trace.outcome, image_id, model, width)
    return np.vstack([head, widened(body, width), foot])


def _panels(trace: Trace, spec: InputSpec) -> list[Picture]:
    if trace.image is None:
        return []
    film = film_of(trace.image, trace.batch)
    panels = [
        titled(
            "as it came" if trace.batch is None else _crop_title(trace.batch),
            _with_crop(film, trace.batch),
        )
    ]
    if trace.batch is not None:
        panels.append(titled(input_title(trace.batch, spec), input_of(trace.batch, spec)))
    if isinstance(trace.outcome, Result) and trace.batch is not None:
        panels += _map(film, trace.outcome.prediction, trace, spec)
    return panels


def _map(film: Picture, prediction: Prediction, trace: Trace, spec: InputSpec) -> list[Picture]:
    """Draw the map over the film and its scale; nothing if the model has no map."""
    mapped = map_over(film, prediction, trace, spec)
    if mapped is None:
        return []
    return [titled("the model's map over the original", mapped.over), mapped.titled_scale]


@dataclass(frozen=True, slots=True)
class Mapped:
    """The map over a film, and the scale of its colours with its name."""

    over: Picture
    titled_scale: Picture


def map_over(film: Picture, prediction: Prediction, trace: Trace, spec: InputSpec) -> Mapped | None:
    """Draw the map over a film; None if the model has no map."""
    heatmap, batch = prediction.heatmap, trace.batch
    if heatmap is None or batch is None:
        return None
    if prediction.findings is None or trace.calibration is None:
        strongest = _strongest(heatmap)
        over = _overlaid(film, heatmap, batch, strongest)
        return Mapped(over, titled("logit", _scale(strongest)))
    coloured_film = peaks.over(film, heatmap, batch, spec, trace.calibration)
    over = peaks.framed(coloured_film, prediction.findings, batch)
    return Mapped(over, titled("malignant", peaks.scale(HEIGHT)))


def _crop_title(batch: Batch) -> str:
    cut = "as it came; nothing was cut off" if _is_whole(batch) else "as it came, and the crop"
    return f"{cut}; a negative" if batch.turned else cut


def _is_whole(batch: Batch) -> bool:
    geometry, box = batch.geometry, batch.geometry.box
    return (box.ymax - box.ymin, box.xmax - box.xmin) == (geometry.rows, geometry.columns)


def input_title(batch: Batch, spec: InputSpec) -> str:
    """Say what size the model's input has, and what was done to the image for it."""
    title = f"what the model saw: {spec.width} x {spec.height}"
    return (
        title
        + (", squeezed" if spec.aspect == "squeeze" else "")
        + (", mirrored" if batch.geometry.flipped else "")
    )


def film_of(image: Mammogram, batch: Batch | None) -> Picture:
    """Draw the film at its true aspect, in grey, HEIGHT pixels high."""
    pixels = image.pixels
    small = _resized(pixels, min(WIDEST, max(1, round(pixels.shape[1] * HEIGHT / pixels.shape[0]))))
    shown = _inside(small, batch.geometry.box, batch) if batch else small
    low, high = np.percentile(shown, WINDOW)
    grey = np.clip((small.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    return coloured(grey)


def _inside(small: Pixels, box: Box, batch: Batch) -> Pixels:
    left, top, right, bottom = on_panel(box, batch.geometry, small.shape)
    return small[top:bottom, left:right]


def _with_crop(film: Picture, batch: Batch | None) -> Picture:
    if batch is None or _is_whole(batch):
        return film
    left, top, right, bottom = on_panel(batch.geometry.box, batch.geometry, film.shape)
    return cast(
        "Picture", cv2.rectangle(film.copy(), (left, top), (right - 1, bottom - 1), YELLOW, 2)
    )


def input_of(batch: Batch, spec: InputSpec) -> Picture:
    """Draw the tensor itself, with the aspect that the model has."""
    seen = (batch.tensor[0, :, :, 0] - spec.low) / (spec.high - spec.low)
    return coloured(
        np.asarray(_resized(seen, max(1, round(spec.width * HEIGHT / spec.height))), np.float32)
    )


def _strongest(heatmap: HeatMap) -> float:
    return max(0.1, float(np.percentile(np.abs(heatmap.values), STRONG)))


def _overlaid(film: Picture, heatmap: HeatMap, batch: Batch, strongest: float) -> Picture:
    left, top, right, bottom = on_panel(heatmap.box, batch.geometry, film.shape)
    values = np.array(heatmap.values, np.float32)
    smooth = np.asarray(
        cv2.resize(values, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR), np.float32
    )
    drawn = film.copy()
    drawn[top:bottom, left:right] = blended(film[top:bottom, left:right], smooth / strongest)
    return drawn


def _scale(strongest: float) -> Picture:
    """Draw the colours on mid grey, with their meaning."""
    bar = blended(
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


def _resized(pixels: NDArray[np.generic], width: int) -> Pixels:
    how = cv2.INTER_AREA if pixels.shape[0] > HEIGHT else cv2.INTER_LINEAR
    return cast(
        "Pixels", cv2.resize(np.ascontiguousarray(pixels), (width, HEIGHT), interpolation=how)
    )
