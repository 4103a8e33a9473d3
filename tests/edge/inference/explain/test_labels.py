"""Labels of frames cover neither each other nor a frame, however the frames lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import Box
from edge.inference.explain.labels import places

PICTURE = Box(0, 0, 400, 600)
SIZE = (50.0, 13.0)
GAP = 6.0
HALF = 1.0
"""Half of a frame's line."""


def square(x: float, y: float, side: float = 60) -> Box:
    return Box(x, y, x + side, y + side)


def apart(one: Box, other: Box) -> bool:
    """Tell if two boxes have no place in common."""
    return (
        one.xmax <= other.xmin
        or other.xmax <= one.xmin
        or one.ymax <= other.ymin
        or other.ymax <= one.ymin
    )


def inside(one: Box, other: Box) -> bool:
    return (
        other.xmin <= one.xmin <= one.xmax <= other.xmax
        and other.ymin <= one.ymin <= one.ymax <= other.ymax
    )


def off_line(label: Box, frame: Box) -> bool:
    outer = Box(frame.xmin - HALF, frame.ymin - HALF, frame.xmax + HALF, frame.ymax + HALF)
    inner = Box(frame.xmin + HALF, frame.ymin + HALF, frame.xmax - HALF, frame.ymax - HALF)
    return apart(label, outer) or inside(label, inner)


def placed(*frames: Box) -> list[Box]:
    """The labels of these frames, none of which covers anything."""
    labels = places(frames, [SIZE] * len(frames), PICTURE, GAP)
    for number, label in enumerate(labels):
        assert inside(label, PICTURE)
        assert (label.xmax - label.xmin, label.ymax - label.ymin) == pytest.approx(SIZE)
        assert all(off_line(label, frame) for frame in frames), (label, frames)
        assert all(apart(label, other) for other in labels[number + 1 :]), labels
    return labels


def test_a_label_alone_stands_above_the_left_corner_of_its_frame() -> None:
    (label,) = placed(square(100, 200))
    assert label == Box(100, 200 - GAP - SIZE[1], 150, 200 - GAP)


@pytest.mark.parametrize(
    "frames",
    [
        [square(100, 200), square(110, 262), square(105, 324)],
        [square(100, 200), square(161, 200), square(222, 205)],
        [square(150, 300, 40), square(120, 280, 100), square(90, 270, 150)],
        [square(100, 200), square(103, 205), square(165, 200)],
        [square(340, 0), square(345, 62), square(0, 540)],
        [square(100, 200)] * 3,
    ],
    ids=["below each other", "side by side", "in each other", "across", "at edges", "the same"],
)
def test_labels_of_frames_that_lie_close_cover_nothing(frames: list[Box]) -> None:
    placed(*frames)


def test_a_label_lies_in_no_frame_beside_its_own() -> None:
    labels = placed(square(100, 200, 80), square(100, 285, 80), square(100, 370, 80))
    assert apart(labels[1], square(100, 200, 80))
    assert apart(labels[2], square(100, 285, 80))


def test_a_frame_in_another_has_its_label_in_the_other_too() -> None:
    small, large = square(150, 300, 60), square(100, 250, 200)
    label, _ = placed(small, large)
    assert inside(label, large)


@given(
    st.lists(
        st.builds(square, st.integers(0, 340), st.integers(0, 540), st.integers(20, 60)),
        min_size=1,
        max_size=3,
    )
)
def test_no_label_of_three_small_frames_anywhere_covers_anything(frames: list[Box]) -> None:
    placed(*frames)


def test_where_there_is_no_room_each_frame_has_its_label_in_the_picture_all_the_same() -> None:
    tiny = Box(0, 0, 60, 20)
    labels = places([tiny] * 3, [SIZE] * 3, tiny, GAP)
    assert all(inside(label, tiny) for label in labels)
