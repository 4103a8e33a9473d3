"""The pictures of ../shared/cases/images: each shows a model what its clean twin shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.inference.image import Limits, open_mammogram
from edge.inference.preprocess import Batch, prepare
from edge.models.active import shipped_bundle
from edge.models.bundle import verify

TWINS = {
    "01-white-frame.png": ("01-white-frame.right.png", 0.001),
    "01b-white-frame-identity-shutter.dcm": ("01-white-frame.right.png", 0.001),
    "02-white-matte.png": ("02-white-matte.right.png", 0.012),
    "03-white-strip.png": ("03-white-strip.right.png", 0.001),
    "04-black-side.png": ("04-black-side.right.png", 0.001),
    "07-hot-label.png": ("07-hot-label.right.png", 0.001),
    "17-dark.png": ("17-dark.right.png", 0.0001),
    "20-red-circle.png": ("20-red-circle.right.png", 0.01),
}
"""By file: its twin, and how far their pictures may differ on average, of levels from 0 to 1."""

STRIP = 362
"""The row where the grey strip of case 03b begins; it covers the lower tenth of the breast."""


def shown(folder: Path, name: str) -> Batch:
    spec = verify(shipped_bundle()).manifest.input
    return prepare(open_mammogram(folder / "cases" / "images" / name, Limits()), spec)


@pytest.mark.parametrize("name", TWINS)
def test_a_trap_shows_what_its_twin_shows(shared: Path, name: str) -> None:
    twin, tolerance = TWINS[name]
    batch, expected = shown(shared, name), shown(shared, twin)
    assert not batch.turned
    assert batch.fault is None
    assert float(np.abs(batch.tensor - expected.tensor).mean()) < tolerance


def test_a_grey_strip_hides_no_more_than_it_covers(shared: Path) -> None:
    batch = shown(shared, "03b-grey-strip.png")
    expected = shown(shared, "01-white-frame.right.png").geometry.box
    box = batch.geometry.box
    assert (box.xmin, box.ymin, box.xmax) == pytest.approx(
        (expected.xmin, expected.ymin, expected.xmax), abs=3
    )
    assert box.ymax == STRIP
    assert not batch.turned


def test_above_a_grey_strip_a_film_shows_what_its_twin_shows(shared: Path) -> None:
    whole = replace(verify(shipped_bundle()).manifest.input, crop=False)
    one, other = (
        prepare(open_mammogram(shared / "cases" / "images" / name, Limits()), whole)
        for name in ("03b-grey-strip.png", "01-white-frame.right.png")
    )
    assert one.geometry == other.geometry
    rows = round((STRIP - 2) * one.geometry.height / one.geometry.rows)
    above = (each.tensor[0, : one.geometry.top + rows] for each in (one, other))
    assert float(np.abs(np.subtract(*above)).mean()) < 0.01


@pytest.mark.parametrize(
    ("name", "seen"), [("05-two-breasts.png", "no chest wall"), ("06-patch.png", "no air")]
)
def test_what_is_not_one_whole_breast_is_told(shared: Path, name: str, seen: str) -> None:
    assert seen in (shown(shared, name).fault or "")
