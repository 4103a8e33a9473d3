"""
Pictures for the page and the PACS: the breast alone, drawn by a worker of its own.

All beside the breast is black, since text that is burnt in there may name a woman. So a bundle
whose input is not the breast cut out and masked gets no pictures. No sockets, no settings.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np

from edge.domain import InputSpec, Outcome, Result, Runtime
from edge.drawn import Drawn
from edge.errors import InferenceError
from edge.inference import examiner
from edge.inference.explain import peaks
from edge.inference.explain.canvas import Picture, row, titled
from edge.inference.explain.capture import Caption, caption_of, capture_of
from edge.inference.explain.drawing import HEIGHT, film_of, input_of, input_title, map_over
from edge.inference.explain.overlay import on_panel
from edge.inference.preprocess import Batch
from edge.inference.trace import Trace
from edge.models.bundle import sha256_of

SMALL: Final = 320
"""Rows of the small picture."""
WIDEST: Final = 2 * HEIGHT
"""The greatest width of a panel, in pixels."""
QUALITY: Final = 85
"""Of JPEG."""
NICER: Final = 5
"""Niceness above the serving workers'; more would have it time out where the machine is busy."""


_captures = False


def start(captures: bool, *arguments: Any) -> Runtime:  # noqa: FBT001, ANN401 - of examiner.start
    """
    Load a bundle as `examiner.start` does, in a process that is nicer to others.

    Args:
        captures: draw each map for a PACS, too.
        arguments: those of `examiner.start`.

    Raises:
        ModelError: the bundle is not usable.
    """
    global _captures  # noqa: PLW0603 - one worker, one way to draw
    _captures = captures
    with suppress(OSError):  # a sandbox may forbid it
        os.nice(NICER)
    cv2.setNumThreads(1)
    return examiner.start(*arguments)


def run(path: str) -> Drawn | Outcome:
    """
    Examine one file once more and draw it; a rejection is returned as it is.

    Raises:
        InferenceError: there is no breast of which to draw that alone.
        ModelError: `start` was not called.
        UnreadableError: the file cannot be read.
    """
    opened = examiner.examiner()
    trace, manifest = opened.look(Path(path)), opened.bundle.manifest
    caption = caption_of(sha256_of(Path(path)), manifest) if _captures else None
    return drawn(trace, manifest.input, caption)


def drawn(trace: Trace, spec: InputSpec, caption: Caption | None = None) -> Drawn | Outcome:
    """
    Draw one examination; a rejection is returned as it is. Raises as `run`.

    Args:
        trace: the examination.
        spec: the model's input.
        caption: of the capture; None draws none.
    """
    outcome, batch = trace.outcome, trace.batch
    if not isinstance(outcome, Result) or trace.image is None or batch is None:
        return outcome
    if not (spec.crop and spec.mask and batch.breast_fraction > 0):
        msg = "the model's input is not the breast alone, cut out and masked"
        raise InferenceError(msg)
    film = _blackened(film_of(trace.image, batch), batch, spec)
    mapped = map_over(film, outcome.prediction, trace, spec)
    over = _cut(film if mapped is None else mapped.over, batch)
    breast = titled("the breast", _cut(film, batch))
    seen = titled(input_title(batch, spec), input_of(batch, spec))
    if mapped is None:
        return Drawn(_jpeg(row([breast, seen])), _jpeg(_scaled(over, SMALL)))
    shown = [titled("the model's map over the breast", over), mapped.titled_scale]
    return Drawn(
        _jpeg(row([breast, seen, *shown])),
        _jpeg(_scaled(over, SMALL)),
        capture_of([breast, *shown], outcome, caption) if caption else None,
    )


def _blackened(film: Picture, batch: Batch, spec: InputSpec) -> Picture:
    """Blacken all that is not breast."""
    left, top, right, bottom = on_panel(batch.geometry.box, batch.geometry, film.shape)
    size = right - left, bottom - top
    breast = cv2.resize(peaks.breast_of(batch, spec), size, interpolation=cv2.INTER_NEAREST)
    black = np.zeros_like(film)
    black[top:bottom, left:right] = film[top:bottom, left:right] * breast[:, :, np.newaxis]
    return black


def _cut(film: Picture, batch: Batch) -> Picture:
    """Cut the breast's box out of a film, and bring it to the height of a panel."""
    left, top, right, bottom = on_panel(batch.geometry.box, batch.geometry, film.shape)
    return _scaled(film[top:bottom, left:right], HEIGHT)


def _scaled(picture: Picture, rows: int) -> Picture:
    width = min(WIDEST, max(1, round(picture.shape[1] * rows / picture.shape[0])))
    how = cv2.INTER_AREA if rows < picture.shape[0] else cv2.INTER_LINEAR
    return cast("Picture", cv2.resize(picture, (width, rows), interpolation=how))


def _jpeg(picture: Picture) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        msg = "the picture cannot be encoded"
        raise InferenceError(msg)
    return data.tobytes()
