"""A picture to draw and to write on, with OpenCV alone."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Shape (rows, columns, 3): blue, green, red, as OpenCV has it."""
Colour: TypeAlias = tuple[int, int, int]

MARGIN: Final = 24
BACKGROUND: Final[Colour] = (26, 22, 20)
TEXT: Final[Colour] = (236, 236, 236)


def row(panels: Sequence[Picture]) -> Picture:
    """Set pictures of one height side by side, with margins."""
    gap = blank(panels[0].shape[0], MARGIN)
    return np.hstack([gap, *(part for panel in panels for part in (panel, gap))])


def titled(title: str, panel: Picture) -> Picture:
    """Write a title above a panel; a panel narrower than its title is widened."""
    bar = blank(34, max(panel.shape[1], width_of(title, 0.6)))
    write(bar, title, 0, 22, 0.6, TEXT)
    return np.vstack([bar, widened(panel, bar.shape[1])])


def widened(picture: Picture, width: int) -> Picture:
    """Widen a picture to `width` with background to its right."""
    wider = blank(picture.shape[0], width)
    wider[:, : picture.shape[1]] = picture
    return wider


def blank(rows: int, columns: int) -> Picture:
    """Return a picture of background alone."""
    return np.full((rows, columns, 3), BACKGROUND, np.uint8)


def coloured(grey: NDArray[np.float32]) -> Picture:
    """Turn grey values of shape (rows, columns), from 0 = black to 1 = white, into a picture."""
    return np.repeat(np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def broken(text: str, width: int, size: float) -> list[str]:
    """Break a text between words so that each line fits."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width - 2 * MARGIN:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def width_of(text: str, size: float) -> int:
    """Pixels that a line of text takes."""
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]) + 2


def write(  # noqa: PLR0913, PLR0917 - a line of text
    picture: Picture, text: str, x: int, y: int, size: float, colour: Colour, thickness: int = 1
) -> None:
    """Write a line of text whose foot begins at x, y."""
    plain = text.encode("ascii", "replace").decode()  # what the built-in fonts have
    cv2.putText(
        picture, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA
    )
