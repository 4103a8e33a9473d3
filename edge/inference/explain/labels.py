"""
Places for the labels of frames on a picture, such as those about the peaks of a map.

Frames may touch, overlap and lie in each other. A label stands at its frame, covers no other label
and no line of a frame, and lies in no frame beside its own, as far as the picture has room.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from edge.domain import Box

Size: TypeAlias = tuple[float, float]
"""Width and height."""
STEPS: Final = 4
"""Places farther and farther away, each by the height of the label."""


def places(frames: Sequence[Box], sizes: Sequence[Size], picture: Box, gap: float) -> list[Box]:
    """
    Place the label of each frame: above its left corner, or at the next place that is free.

    Args:
        frames: the frames, those first whose labels have the choice.
        sizes: of the labels, in the units of the frames.
        picture: labels stay in it.
        gap: between a label and its frame; half of it stays free about all else.
    """
    placed: list[Box] = []
    for own, size in zip(frames, sizes, strict=True):
        others = [frame for frame in frames if not _has(frame, own)]
        choice = [_moved_into(picture, place) for place in _choice(own, size, gap)]
        covered = [
            (
                sum(_on_line(place, frame, gap / 2) for frame in frames)
                + sum(_common(place, _grown(label, gap / 2)) for label in placed),
                sum(_common(place, frame) for frame in others),
            )
            for place in choice
        ]
        placed.append(choice[covered.index(min(covered))])
    return placed


def _choice(frame: Box, size: Size, gap: float) -> Iterator[Box]:
    """Give places at a frame, the best first: around it, in its corners, farther away."""
    yield from _around(frame, size, gap)
    inner, (width, height) = _grown(frame, -gap), size
    for y in (inner.ymin, inner.ymax - height):
        for x in (inner.xmin, inner.xmax - width):
            yield Box(x, y, x + width, y + height)
    for step in range(1, STEPS):
        yield from _around(frame, size, gap + step * size[1])


def _around(frame: Box, size: Size, gap: float) -> Iterator[Box]:
    """Give places above and below a frame, then at its sides."""
    width, height = size
    above, below = frame.ymin - gap - height, frame.ymax + gap
    for y in (above, below):
        for x in (frame.xmin, frame.xmax - width):
            yield Box(x, y, x + width, y + height)
    for x in (frame.xmax + gap, frame.xmin - gap - width):
        for y in (frame.ymin, frame.ymax - height):
            yield Box(x, y, x + width, y + height)


def _moved_into(picture: Box, label: Box) -> Box:
    x = max(picture.xmin, min(label.xmin, picture.xmax - (label.xmax - label.xmin)))
    y = max(picture.ymin, min(label.ymin, picture.ymax - (label.ymax - label.ymin)))
    return Box(x, y, x + label.xmax - label.xmin, y + label.ymax - label.ymin)


def _has(frame: Box, other: Box) -> bool:
    """Tell if another frame, or the same, lies in a frame."""
    return (
        frame.xmin <= other.xmin <= other.xmax <= frame.xmax
        and frame.ymin <= other.ymin <= other.ymax <= frame.ymax
    )


def _on_line(label: Box, frame: Box, half: float) -> float:
    """Return the area of a label that lies on the line of a frame."""
    return _common(label, _grown(frame, half)) - _common(label, _grown(frame, -half))


def _grown(box: Box, by: float) -> Box:
    return Box(box.xmin - by, box.ymin - by, box.xmax + by, box.ymax + by)


def _common(one: Box, other: Box) -> float:
    wide = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    high = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    return wide * high if wide > 0 and high > 0 else 0.0
