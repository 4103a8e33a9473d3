"""
`classify --explain`: a picture of each image, which says what happened and no word of the file.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cli import classify
from edge.daemon.workers.verdict import Died, Interrupted
from edge.domain import Box, Finding, HeatMap, Origin, Rejection, Result, Withheld
from edge.errors import ModelError, Reason, Unavailable
from edge.inference import examiner
from edge.inference.examiner import Examiner
from edge.inference.explain import drawing, peaks, save
from edge.inference.explain.colours import AGAINST, FOR
from edge.inference.explain.drawing import HEIGHT, draw
from edge.inference.explain.overlay import blended, on_panel
from edge.inference.explain.save import Pictures
from edge.inference.image import Limits
from edge.inference.preprocess import prepare
from edge.inference.trace import Trace
from edge.models.bundle import Bundle, sha256_of, verify
from edge.models.manifest import Platt
from tests.support.films import FILM, dicom, film, raster
from tests.support.planted import WORD, found_in, planted
from tests.support.tools import ROOT

BUNDLE = ROOT / "edge" / "models" / "default"
IMAGE = "0123456789abcdef" + "0" * 48


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return verify(BUNDLE)


@pytest.fixture(scope="module")
def trace(bundle: Bundle) -> Trace:
    """A real film, scored."""
    seen = Examiner(bundle, "auto", 1, None, Limits()).look(FILM)
    assert isinstance(seen.outcome, Result), seen.outcome
    return seen


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every line of text that is drawn."""
    lines: list[str] = []
    draw_text = cv2.putText

    def note(picture: NDArray[np.uint8], text: str, *rest: object) -> object:
        lines.append(text)
        return draw_text(picture, text, *rest)  # type: ignore[call-overload]

    monkeypatch.setattr(cv2, "putText", note)
    yield lines
    assert all(line.isascii() for line in lines)  # the built-in fonts have no more


def drawn(trace: Trace, bundle: Bundle) -> NDArray[np.uint8]:
    return draw(trace, IMAGE, "a model 1.0", bundle.manifest.input)


def with_map(trace: Trace, values: list[list[float]]) -> Trace:
    """The same, had the model given this map over the whole film."""
    assert isinstance(trace.outcome, Result)
    assert trace.batch is not None
    box = Box(0, 0, trace.batch.geometry.columns, trace.batch.geometry.rows)
    heatmap = HeatMap(tuple(tuple(row) for row in values), box)
    return replace(
        trace,
        outcome=replace(
            trace.outcome, prediction=replace(trace.outcome.prediction, heatmap=heatmap)
        ),
    )


def chunks(png: bytes) -> list[bytes]:
    """Names of the chunks of a PNG, in order."""
    names, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        names.append(png[at + 4 : at + 8])
        at += 12 + length
    return names


def test_a_scored_image_shows_label_score_threshold_image_model_and_notice(
    trace: Trace, bundle: Bundle, written: list[str]
) -> None:
    drawn(trace, bundle)
    assert isinstance(trace.outcome, Result)
    prediction, text = trace.outcome.prediction, "\n".join(written)
    expected = [
        f"{prediction.label} {prediction.malignant:.3f}",
        f"threshold {prediction.decision.threshold:.3f}",
        IMAGE[:16],
        "a model 1.0",
    ]
    expected += [
        "Research software, not a medical device.",
        "a model 1.0",
        "if this place",
        "were highest",
        "what the model saw",
    ]
    assert [words for words in expected if words not in text] == []


def test_every_line_of_text_fits_where_it_is_written(
    trace: Trace, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_long: list[str] = []

    def measure(
        picture: NDArray[np.uint8],
        text: str,
        at: tuple[int, int],
        font: int,
        size: float,
        _colour: object,
        *rest: int,
    ) -> None:
        (width, height), below = cv2.getTextSize(text, font, size, rest[0])
        if (
            at[0] < 0
            or at[1] - height < 0
            or at[0] + width > picture.shape[1]
            or at[1] + below > picture.shape[0] + 8
        ):
            too_long.append(text)

    monkeypatch.setattr(cv2, "putText", measure)
    long = Rejection(
        Reason.NOT_A_MAMMOGRAM,
        "its contrast is 0.003 of the full range, expected 0.120 or more " * 5,
    )
    for seen in (trace, Trace(long, trace.image, trace.batch), Trace(long)):
        drawn(seen, bundle)
    assert too_long == []


def test_the_film_keeps_its_true_aspect(trace: Trace) -> None:
    assert trace.image is not None
    rows, columns = trace.image.pixels.shape
    assert drawing.film_of(trace.image, trace.batch).shape == (
        HEIGHT,
        round(columns * HEIGHT / rows),
        3,
    )


def test_a_strip_is_drawn_in_little_memory_and_keeps_its_reason(
    bundle: Bundle, written: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "strip.png"
    path.write_bytes(raster("png", np.arange(60_000, dtype=np.uint16).reshape(2, 30_000)))
    seen = Examiner(bundle, "auto", 1, None, Limits()).look(path)
    assert Pictures(tmp_path, bundle).save(seen, "0" * 64).stat().st_size < 2**20
    assert "rejected: no score" in written


def test_what_speaks_for_malignant_is_red_and_what_speaks_against_it_blue(trace: Trace) -> None:
    seen = with_map(trace, [[5.0, 5.0, -5.0, -5.0]] * 4)
    assert seen.image is not None
    assert seen.batch is not None
    assert isinstance(seen.outcome, Result)
    assert seen.outcome.prediction.heatmap is not None
    under = drawing.film_of(seen.image, seen.batch)
    over = drawing._overlaid(under, seen.outcome.prediction.heatmap, seen.batch, 5.0).astype(int)
    middle = over.shape[1] // 2
    blue_less_red = (over[..., 0] - over[..., 2]).mean(axis=0)
    assert (blue_less_red[: middle - 60] < -50).all()
    assert (blue_less_red[middle + 60 :] > 50).all()


def test_a_map_that_says_nothing_leaves_the_film_as_it_is() -> None:
    grey = np.full((10, 10, 3), 100, np.uint8)
    np.testing.assert_array_equal(blended(grey, np.zeros((10, 10), np.float32)), grey)
    strongest = blended(grey[:1, :2], np.array([[9.0, -9.0]], np.float32))
    assert strongest[0, 0].tolist() == [round(100 * 0.4 + part * 0.6) for part in FOR]
    assert strongest[0, 1].tolist() == [round(100 * 0.4 + part * 0.6) for part in AGAINST]


def test_a_map_whose_highest_cell_is_the_score_colours_the_breast_alone(
    trace: Trace, bundle: Bundle, written: list[str]
) -> None:
    seen = trace
    assert isinstance(seen.outcome, Result)
    assert seen.image is not None
    assert seen.batch is not None
    peak = Finding(300.0, 300.0, Box(250, 250, 350, 350), 0.987)
    heatmap = HeatMap(((9.0,) * 4,) * 4, seen.batch.geometry.box)
    prediction = replace(seen.outcome.prediction, heatmap=heatmap, findings=(peak,))
    calibration = Platt(slope=1, intercept=0)
    under = drawing.film_of(seen.image, seen.batch)
    over = peaks.over(under, heatmap, seen.batch, bundle.manifest.input, calibration)
    changed = (over != under).any(axis=2)
    lit = under[..., 0] > 60
    assert changed[lit].mean() > 0.9
    assert changed[under[..., 0] < 3].mean() < 0.1
    outcome = replace(seen.outcome, prediction=prediction)
    drawn(replace(seen, outcome=outcome, calibration=calibration), bundle)
    assert "0.987" in written
    assert any("highest cell is the score" in line for line in written)


def test_scores_of_peaks_that_lie_close_cover_neither_each_other_nor_a_frame(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trace.image is not None
    assert trace.batch is not None
    written: list[NDArray[np.bool_]] = []
    draw_text = cv2.putText

    def note(picture: NDArray[np.uint8], *rest: object) -> object:
        alone = np.zeros_like(picture)
        draw_text(alone, *rest)  # type: ignore[call-overload]
        written.append(np.asarray(alone.any(axis=2), np.bool_))
        return draw_text(picture, *rest)  # type: ignore[call-overload]

    monkeypatch.setattr(cv2, "putText", note)
    cut_out = trace.batch.geometry.box
    black = np.zeros_like(drawing.film_of(trace.image, trace.batch))
    side = (cut_out.xmax - cut_out.xmin) / 6
    corners = [(0.0, 0.0), (0.1, 1.05), (1.1, 1.0)]
    boxes = [
        Box(x := cut_out.xmin + side * right, y := cut_out.ymin + side * down, x + side, y + side)
        for right, down in corners
    ]
    close = [Finding(one.xmin, one.ymin, one, 0.6) for one in boxes]
    peaks.framed(black, close, trace.batch)
    texts, written = written, []
    for one in close:
        frame = peaks.framed(black, [one], trace.batch).any(axis=2) & ~written[-1]
        assert not any((text & frame).any() for text in texts)
    for number, text in enumerate(texts):
        assert not any((text & other).any() for other in texts[number + 1 :])
        rows, columns = np.flatnonzero(text.any(axis=1)), np.flatnonzero(text.any(axis=0))
        found = Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        left, top, right, bottom = on_panel(cut_out, trace.batch.geometry, black.shape)
        assert left <= found.xmin < found.xmax <= right
        assert top <= found.ymin < found.ymax <= bottom


@pytest.mark.parametrize(
    ("withheld", "words"),
    [
        ("domain-unmeasured", "not measured on such images (digital)"),
        ("domain-at-chance", "the model is no better than chance"),
    ],
)
def test_a_withheld_label_says_why(
    trace: Trace, bundle: Bundle, written: list[str], withheld: Withheld, words: str
) -> None:
    assert isinstance(trace.outcome, Result)
    prediction = replace(
        trace.outcome.prediction,
        origin=Origin("digital", "header", measured=False),
        withheld=withheld,
    )
    drawn(replace(trace, outcome=replace(trace.outcome, prediction=prediction)), bundle)
    assert any(words in line for line in written)
    assert "Kind of image: digital, by its header; the model was not measured on such images." in (
        written
    )
    assert any(line.startswith("indeterminate ") for line in written)


def test_a_crop_is_outlined_where_it_is(trace: Trace, bundle: Bundle, written: list[str]) -> None:
    assert trace.image is not None
    spec = replace(bundle.manifest.input, crop=True, aspect="pad")
    batch = prepare(trace.image, spec)
    batch = replace(batch, geometry=replace(batch.geometry, box=Box(40, 80, 240, 480)))
    draw(replace(trace, batch=batch), IMAGE, "a model", spec)
    assert "as it came, and the crop" in written
    film_panel = drawing.film_of(trace.image, batch)
    changed = (drawing._with_crop(film_panel, batch) != film_panel).any(axis=2)
    scale = HEIGHT / trace.image.pixels.shape[0]
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (rows[0], rows[-1] + 1) == pytest.approx((80 * scale, 480 * scale), abs=3)
    assert (columns[0], columns[-1] + 1) == pytest.approx((40 * scale, 240 * scale), abs=3)


@pytest.mark.parametrize("seen", ["bytes", "pixels", "input"])
def test_a_rejected_image_says_so_and_shows_no_score_and_no_map(
    trace: Trace, bundle: Bundle, written: list[str], seen: str
) -> None:
    rejection = Rejection(Reason.NOT_A_MAMMOGRAM, "Modality is CT, expected MG")
    drawn(
        Trace(
            rejection,
            None if seen == "bytes" else trace.image,
            trace.batch if seen == "input" else None,
        ),
        bundle,
    )
    assert "rejected: no score" in written
    assert "not a mammogram: Modality is CT, expected MG" in written
    assert "Research software" in written[-1]
    assert not any("speaks" in line or "threshold" in line for line in written)
    assert any("what the model saw" in line for line in written) is (seen == "input")


def test_the_png_has_pixels_and_nothing_else_and_a_name_that_is_the_image_s(
    trace: Trace, bundle: Bundle, tmp_path: Path
) -> None:
    path = Pictures(tmp_path, bundle).save(trace, IMAGE)
    assert path.name == f"{IMAGE[:16]}.png"
    assert set(chunks(path.read_bytes())) == {b"IHDR", b"IDAT", b"IEND"}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_take_a_picture_is_named(
    trace: Trace, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=r"gone/0123456789abcdef\.png: No such file or directory"):
        Pictures(tmp_path / "gone", bundle).save(trace, IMAGE)


def test_a_worker_draws_what_it_examines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(examiner, "_examiner", None)
    monkeypatch.setattr(save, "_pictures", None)
    with pytest.raises(ModelError, match="no folder"):
        save.run(str(FILM))
    save.start(str(tmp_path), str(BUNDLE), "auto", 1, None, 10**8, 10**8)
    files = [tmp_path / "black", tmp_path / "text", tmp_path / "deep"]
    for file, data in zip(
        files,
        [raster("png", np.zeros((300, 200), np.uint8)), b"no picture", dicom(film().pixels)],
        strict=True,
    ):
        file.write_bytes(data)
    outcomes = [save.run(str(file)) for file in files]
    assert [type(outcome) for outcome in outcomes] == [Rejection, Rejection, Result]
    for file in files:
        picture = cv2.imread(str(tmp_path / f"{sha256_of(file)[:16]}.png"))
        assert picture is not None
        assert picture.shape[1] >= drawing.WIDTH


def test_an_image_that_its_worker_died_of_gets_a_picture_that_says_so(
    bundle: Bundle, written: list[str], tmp_path: Path
) -> None:
    classify._draw_poison(Died("worker ended by SIGSEGV"), IMAGE, bundle, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{IMAGE[:16]}.png"]
    assert "poison: worker ended by SIGSEGV" in written


def test_work_that_was_interrupted_ends_the_command_with_the_reason(
    bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="No space left on device"):
        classify._draw_poison(
            Interrupted("0123.png: No space left on device"), IMAGE, bundle, tmp_path
        )
    assert list(tmp_path.iterdir()) == []


def test_work_that_was_interrupted_is_tried_again_and_not_for_ever() -> None:
    said: list[Died | Interrupted] = [
        Interrupted("pool stopped"),
        Interrupted("pool stopped"),
        Died("worker ended by SIGSEGV"),
    ]
    workers = SimpleNamespace(examine=lambda _: said.pop(0))
    assert classify._examine(Path("film"), cast("Any", workers)) == Died("worker ended by SIGSEGV")
    said = [Interrupted(f"{number}") for number in range(9)]
    assert classify._examine(Path("film"), cast("Any", workers)) == Interrupted("2")


@pytest.mark.parametrize("everywhere", [False, True], ids=["scored", "rejected"])
def test_no_word_of_a_header_is_drawn(
    bundle: Bundle, written: list[str], tmp_path: Path, *, everywhere: bool
) -> None:
    file = tmp_path / WORD
    file.write_bytes(planted(film().pixels, everywhere=everywhere))
    seen = Examiner(bundle, "auto", 1, None, Limits()).look(file)
    assert isinstance(seen.outcome, Rejection) is everywhere
    drawn(seen, bundle)
    assert written
    assert found_in("\n".join(written).encode()) == []
