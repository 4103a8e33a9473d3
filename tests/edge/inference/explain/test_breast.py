"""The pictures of the page show the breast, and nothing that stands beside it."""

import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import NOTICE
from edge.domain import Laterality, Origin, Rejection, Result, Withheld
from edge.drawn import Capture, Drawn
from edge.errors import InferenceError, Reason
from edge.inference import examiner
from edge.inference.examiner import Examiner
from edge.inference.explain import breast
from edge.inference.explain.breast import SMALL, drawn
from edge.inference.explain.canvas import MARGIN, TEXT, blank, write
from edge.inference.explain.capture import Caption, caption_of
from edge.inference.explain.colours import YELLOW
from edge.inference.explain.drawing import HEIGHT
from edge.inference.image import Limits
from edge.inference.trace import Trace
from edge.models.bundle import Bundle, verify
from tests.support.films import FILM
from tests.support.tools import ROOT

BLACK = 24
"""What JPEG makes of black beside an edge."""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return verify(ROOT / "edge" / "models" / "default")


@pytest.fixture(scope="module")
def opened(bundle: Bundle) -> Examiner:
    return Examiner(bundle, "auto", 1, None, Limits())


@pytest.fixture(scope="module")
def trace(opened: Examiner) -> Trace:
    """A real film, scored."""
    return opened.look(FILM)


def pixels(jpeg: bytes) -> NDArray[np.uint8]:
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


HEAD = 150
"""Rows above a map for a PACS."""
CAPTION = Caption("0" * 64, "m 1", "Such maps point somewhere.")


def colours(capture: Capture | None) -> NDArray[np.uint8]:
    """The pixels of a capture, as OpenCV has colours."""
    assert capture is not None
    shape = capture.rows, capture.columns, 3
    return np.frombuffer(zlib.decompress(capture.pixels), np.uint8).reshape(shape)[:, :, ::-1]


def test_a_map_for_a_pacs_is_drawn_if_it_is_asked_for_with_score_and_notice_burnt_in(
    trace: Trace, bundle: Bundle
) -> None:
    plain = drawn(trace, bundle.manifest.input)
    made = drawn(trace, bundle.manifest.input, CAPTION)
    assert isinstance(plain, Drawn)
    assert isinstance(made, Drawn)
    assert plain.capture is None
    assert replace(made, capture=None) == plain
    found, result = colours(made.capture), trace.outcome
    assert isinstance(result, Result)
    assert made.capture is not None
    assert made.capture.malignant == result.prediction.malignant
    words = {
        "research, not for diagnosis": (46, 1.2, YELLOW, 2),
        "side unknown, view unknown": (88, 0.8, TEXT, 1),  # a PNG has no header
        f"calibrated probability of malignancy: {result.prediction.malignant:.3f}": (
            126,
            0.8,
            TEXT,
            1,
        ),
    }
    head = blank(HEAD, found.shape[1])
    for text, (y, size, colour, thickness) in words.items():
        write(head, text, MARGIN, y, size, colour, thickness)
    assert np.array_equal(found[:HEAD], head)
    notice = blank(30, found.shape[1])
    write(notice, NOTICE, MARGIN, 22, 0.62, TEXT)
    assert np.array_equal(found[-44:-14], notice)
    assert found.shape[0] > HEAD + HEIGHT


@pytest.mark.parametrize(
    ("side", "view", "told"),
    [("L", "CC", "left breast, CC"), ("R", "MLO", "right breast, MLO")],
)
def test_a_map_for_a_pacs_says_of_which_breast_and_view_it_is(
    side: Laterality, view: str, told: str, trace: Trace, bundle: Bundle
) -> None:
    result = trace.outcome
    assert isinstance(result, Result)
    named = replace(result, facts=replace(result.facts, laterality=side, view=view))
    made = drawn(replace(trace, outcome=named), bundle.manifest.input, CAPTION)
    assert isinstance(made, Drawn)
    found = colours(made.capture)
    line = blank(30, found.shape[1])
    write(line, told, MARGIN, 22, 0.8, TEXT)
    assert np.array_equal(found[66:96], line)


@pytest.mark.parametrize(
    ("withheld", "told"),
    [
        ("domain-at-chance", "no label: on such images (film) the model is no better than chance"),
        (
            "domain-unmeasured",
            "no label: the model was not measured on such images (film)",
        ),
    ],
)
def test_a_map_for_a_pacs_says_why_the_label_was_withheld(
    withheld: Withheld, told: str, trace: Trace, bundle: Bundle
) -> None:
    result = trace.outcome
    assert isinstance(result, Result)
    origin = Origin("film", "header", measured=True)
    prediction = replace(result.prediction, withheld=withheld, origin=origin)
    without = replace(trace, outcome=replace(result, prediction=prediction))
    made = drawn(without, bundle.manifest.input, CAPTION)
    assert isinstance(made, Drawn)
    found = colours(made.capture)
    line = blank(38, found.shape[1])
    write(line, told, MARGIN, 24, 0.8, YELLOW)
    assert np.array_equal(found[HEAD - 10 : HEAD + 28], line)


def test_a_caption_says_how_such_maps_point(bundle: Bundle) -> None:
    caption = caption_of("0" * 64, bundle.manifest)
    assert caption.model == f"{bundle.manifest.name} {bundle.manifest.version}"
    assert "on the lesion of 75.2% of 323 malignant test films" in caption.pointing
    unknown = bundle.manifest.model_copy(update={"scores": {}})
    assert caption_of("0" * 64, unknown).pointing.startswith("Nobody measured")


def test_both_pictures_have_their_size(trace: Trace, bundle: Bundle) -> None:
    made = drawn(trace, bundle.manifest.input)
    assert isinstance(made, Drawn)
    assert pixels(made.picture).shape[0] > HEIGHT
    assert pixels(made.small).shape[0] == SMALL
    assert len(made.small) < len(made.picture) < 400_000


def test_a_name_that_is_burnt_in_beside_the_breast_is_not_in_them(
    bundle: Bundle, opened: Examiner, tmp_path: Path
) -> None:
    film = cv2.imread(str(FILM), cv2.IMREAD_GRAYSCALE)
    assert film is not None
    cv2.putText(film, "DOE", (145, 110), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    assert film[95:111, 145:190].max() == 255
    cv2.imwrite(str(tmp_path / "named.png"), film)
    seen = opened.look(tmp_path / "named.png")
    made = drawn(seen, bundle.manifest.input, CAPTION)
    assert isinstance(made, Drawn)
    assert seen.batch is not None
    box = seen.batch.geometry.box
    assert box.ymin < 90 < box.xmin < 145  # the name lies in the crop
    for picture, height in (
        (pixels(made.small), SMALL),
        (pixels(made.picture)[34 : 34 + HEIGHT, MARGIN:], HEIGHT),
        (colours(made.capture)[HEAD + 34 : HEAD + 34 + HEIGHT, MARGIN:], HEIGHT),
    ):
        scale = height / (box.ymax - box.ymin)
        top, bottom = (round((y - box.ymin) * scale) for y in (90, 115))
        left, right = (round((x - box.xmin) * scale) for x in (145, 190))
        assert picture[top:bottom, left:right].max() <= BLACK


@pytest.mark.parametrize("crop", [True, False])
def test_a_model_that_sees_more_than_the_breast_gets_no_pictures(
    *, crop: bool, trace: Trace, bundle: Bundle
) -> None:
    spec = replace(bundle.manifest.input, crop=crop, mask=not crop)
    with pytest.raises(InferenceError, match="not the breast alone"):
        drawn(trace, spec)


def test_an_image_in_which_no_breast_is_found_gets_none(trace: Trace, bundle: Bundle) -> None:
    assert trace.batch is not None
    with pytest.raises(InferenceError, match="not the breast alone"):
        drawn(
            replace(trace, batch=replace(trace.batch, breast_fraction=0.0)), bundle.manifest.input
        )


def test_a_rejected_image_gets_none(trace: Trace, bundle: Bundle) -> None:
    rejection = Rejection(Reason.NOT_A_MAMMOGRAM, "x")
    assert drawn(replace(trace, outcome=rejection), bundle.manifest.input) is rejection


def test_a_worker_draws_what_it_is_given(opened: Examiner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "_examiner", opened)
    for captures in (False, True):
        monkeypatch.setattr(breast, "_captures", captures)
        made = breast.run(str(FILM))
        assert isinstance(made, Drawn)
        assert (made.capture is not None) is captures
