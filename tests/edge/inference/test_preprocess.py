"""From pixels to the model's input, and back."""

from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.domain import ImageFacts, InputSpec
from edge.inference.breast import find_breast
from edge.inference.geometry import Geometry
from edge.inference.heat_map import heat_map
from edge.inference.image import Mammogram, Pixels
from edge.inference.preprocess import prepare, restore_aspect
from tests.support.films import deep, film
from tests.support.specs import PAD

SQUEEZE = replace(PAD, height=50, width=50, channels=1, low=0, aspect="squeeze")
FILM = film()


def picture(pixels: Pixels, bits: int = 8, background: int | None = None) -> Mammogram:
    rows, columns = pixels.shape
    return Mammogram(pixels, ImageFacts(rows, columns, bits, "MONOCHROME2", "png"), background)


def drawn(
    rows: int = 800, columns: int = 600, left: int = 0, right: int = 240
) -> NDArray[np.uint8]:
    """A plain breast: half an ellipse with texture on black, its chest wall on the nearer side."""
    pixels = np.zeros((rows, columns), np.uint8)
    y, x = np.mgrid[0:rows, 0:columns]
    chest = right - 1 if left else left
    inside = ((y - rows / 2) / (rows / 4)) ** 2 + ((x - chest) / (right - left)) ** 2 < 1
    ramp = np.interp(np.arange(rows), (rows // 4, rows * 3 // 4), (110, 240)).astype(np.uint8)
    return np.where(inside, ramp[:, np.newaxis], pixels)


@pytest.mark.parametrize("spec", [PAD, SQUEEZE], ids=["pad", "squeeze"])
def test_the_input_has_the_shape_and_range_of_the_model(spec: InputSpec) -> None:
    tensor = prepare(FILM, spec).tensor
    assert tensor.shape == (1, spec.height, spec.width, spec.channels)
    assert tensor.dtype == np.float32
    assert (float(tensor.min()), float(tensor.max())) == (spec.low, spec.high)


def test_channels_are_equal() -> None:
    tensor = prepare(FILM, PAD).tensor
    np.testing.assert_array_equal(tensor[..., 0], tensor[..., 2])


def test_the_same_film_gives_the_same_input() -> None:
    np.testing.assert_array_equal(prepare(FILM, PAD).tensor, prepare(FILM, PAD).tensor)


def test_left_and_right_breasts_look_alike() -> None:
    mirrored = replace(FILM, pixels=np.ascontiguousarray(FILM.pixels[:, ::-1]))
    one, other = prepare(FILM, PAD), prepare(mirrored, PAD)
    assert one.geometry.flipped is not other.geometry.flipped
    np.testing.assert_allclose(one.tensor, other.tensor, atol=0.03)


@pytest.mark.parametrize("shape", [(2048, 1200), (2501, 1702), (3074, 2049), (4432, 2864)])
def test_a_large_film_and_its_mirror_image_give_the_same_input(shape: tuple[int, int]) -> None:
    pixels = np.asarray(
        cv2.resize(FILM.pixels, shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8
    )
    one, other = (
        prepare(picture(pixels), PAD),
        prepare(picture(np.ascontiguousarray(pixels[:, ::-1])), PAD),
    )
    assert one.geometry.flipped is not other.geometry.flipped
    assert (other.geometry.box.xmin, other.geometry.box.xmax) == (
        shape[1] - one.geometry.box.xmax,
        shape[1] - one.geometry.box.xmin,
    )
    np.testing.assert_allclose(other.tensor, one.tensor, atol=2e-4)  # sums in another order


@pytest.mark.parametrize("columns", range(1, 8))
def test_a_picture_thinner_than_a_step_of_the_thumbnail_has_an_input(columns: int) -> None:
    pixels = np.arange(6000 * columns, dtype=np.uint16).reshape(6000, columns)
    assert np.isfinite(prepare(picture(pixels, 16), PAD).tensor).all()


def test_the_chest_wall_is_on_the_left_and_padding_on_the_right() -> None:
    batch = prepare(picture(drawn(left=360, right=600)), PAD)
    assert batch.geometry.flipped
    assert (batch.tensor[0, 40, :20, 0] > -0.9).all()
    assert (batch.tensor[0, :, batch.geometry.width :, 0] == -1).all()


def test_how_many_bits_a_film_has_does_not_matter() -> None:
    eight = prepare(FILM, PAD)
    for bits in (12, 16):
        other = prepare(picture(deep(FILM.pixels, bits), bits), PAD)
        np.testing.assert_allclose(
            other.tensor, eight.tensor, atol=0.08
        )  # two of 8 bits' steps inside this film's window
        assert other.contrast == pytest.approx(eight.contrast, abs=0.005)


def test_the_breast_is_cut_out_with_its_true_aspect() -> None:
    batch = prepare(picture(drawn()), PAD)
    box = batch.geometry.box
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx((0, 200, 240, 600), abs=6)
    assert batch.geometry.height == 64
    assert batch.geometry.width == pytest.approx(64 * 240 / 400, abs=2)
    assert batch.breast_fraction == pytest.approx(0.7, abs=0.03)  # without black margins


@pytest.mark.parametrize("rows", range(300, 520, 20))
def test_a_breast_at_the_edge_of_a_small_film_is_cut_at_the_edge(rows: int) -> None:
    assert prepare(picture(drawn(rows, 3 * rows // 4)), PAD).geometry.box.xmin == 0


def test_a_label_is_no_breast() -> None:
    pixels = drawn()
    pixels[40:60, 400:520] = 255
    assert prepare(picture(pixels), PAD).geometry.box.xmax < 260


def test_a_bright_film_edge_is_no_breast() -> None:
    pixels = drawn()
    pixels[:6] = pixels[-6:] = 255
    pixels[:, -6:] = 255
    box = prepare(picture(pixels), PAD).geometry.box
    assert (box.ymin, box.xmax) == pytest.approx((200, 240), abs=6)


@pytest.mark.parametrize("air", [0, 30, 60])
def test_a_breast_is_found_in_grey_and_grainy_air(air: int) -> None:
    grain = np.random.default_rng(1).normal(air, 4, (800, 600))
    pixels = np.clip(np.maximum(drawn(), grain), 0, 255).astype(np.uint8)
    box = prepare(picture(pixels), PAD).geometry.box
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx((0, 200, 240, 600), abs=6)


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("left", [0, 360])
def test_a_mask_leaves_the_breast_as_it_is_and_nothing_beside_it(left: int, *, crop: bool) -> None:
    plain = drawn(left=left, right=left + 240)
    labelled = plain.copy()
    labelled[230:270:2, 260:340] = 255  # beside the breast, between its top and its bottom
    spec = replace(SQUEEZE, crop=crop, mask=True)
    one, other = prepare(picture(plain), spec), prepare(picture(labelled), spec)
    assert np.abs(other.tensor - one.tensor).mean() < 0.01
    assert np.abs(np.subtract(astuple(other.geometry.box), astuple(one.geometry.box))).max() <= 3
    without = prepare(picture(labelled), replace(spec, crop=False, mask=False))
    assert without.tensor[0, 15, 22:28, 0].max() > 0.1


def test_a_mask_covers_the_breast_of_a_real_film_to_its_skin() -> None:
    whole = replace(PAD, crop=False, low=0)
    batch, plain = (prepare(FILM, replace(whole, mask=mask)) for mask in (True, False))
    inside = batch.tensor[0, :, : batch.geometry.width, 0] > 0
    difference = np.abs(batch.tensor - plain.tensor)[0, :, : batch.geometry.width, 0]
    assert float(inside.mean()) == pytest.approx(batch.breast_fraction, abs=0.04)
    assert float(np.mean(difference[inside] > 0.01)) < 0.1  # the soft edge


def test_where_no_breast_is_found_a_mask_hides_nothing() -> None:
    flat = np.full((400, 300), 90, np.uint8)
    flat[::2] = 91
    one, other = (
        prepare(picture(flat), replace(SQUEEZE, mask=mask)).tensor for mask in (False, True)
    )
    np.testing.assert_array_equal(other, one)


def test_without_crop_the_whole_picture_goes_in() -> None:
    box = prepare(FILM, replace(PAD, crop=False)).geometry.box
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == (0, 0, FILM.facts.columns, FILM.facts.rows)


def test_padding_of_the_file_does_not_move_the_window() -> None:
    plain = drawn()
    padded = plain.copy()
    padded[:, 400:] = 255
    one, other = prepare(picture(plain), PAD), prepare(picture(padded, background=255), PAD)
    assert np.abs(other.tensor - one.tensor).mean() < 0.02


def test_padding_inside_the_cut_out_is_black() -> None:
    padded = drawn()
    padded[360:440, 80:160] = 255
    batch = prepare(picture(padded, background=255), PAD)
    middle = batch.geometry.top + batch.geometry.height // 2
    assert batch.tensor[0, middle, batch.geometry.width // 2, 0] == -1


def test_a_black_picture_has_no_breast_and_no_contrast() -> None:
    batch = prepare(picture(np.zeros((300, 200), np.uint8)), PAD)
    assert (batch.breast_fraction, batch.contrast) == (0, 0)
    assert (batch.tensor == -1).all()


@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from([PAD, SQUEEZE]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_any_picture_gives_a_finite_input_and_a_box_inside_it(
    rows: int, columns: int, dtype: type[np.unsignedinteger], spec: InputSpec, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(
        0, np.iinfo(dtype).max, (rows, columns), dtype
    ) * generator.integers(0, 2, (rows, columns), dtype)
    batch = prepare(picture(pixels, np.iinfo(dtype).bits, background=0 if seed % 2 else None), spec)
    box = batch.geometry.box
    assert np.isfinite(batch.tensor).all()
    assert 0 <= box.xmin < box.xmax <= columns
    assert 0 <= box.ymin < box.ymax <= rows
    assert 0 <= batch.breast_fraction <= 1
    assert spec.low <= batch.tensor.min() <= batch.tensor.max() <= spec.high


def test_an_inverted_film_gives_the_input_of_the_original() -> None:
    one, other = prepare(FILM, PAD), prepare(picture(255 - FILM.pixels), PAD)
    np.testing.assert_allclose(other.tensor, one.tensor, atol=1e-5)
    assert other.geometry == one.geometry
    assert other.contrast == pytest.approx(one.contrast)
    assert (one.turned, other.turned) == (False, True)


def test_an_inverted_film_that_was_squeezed_gives_the_input_of_the_original() -> None:
    squeezed = np.asarray(
        cv2.resize(FILM.pixels, (800, 800), interpolation=cv2.INTER_AREA), np.uint8
    )
    one, other = (
        prepare(picture(restore_aspect(pixels, 800, 436)), PAD)
        for pixels in (squeezed, 255 - squeezed)
    )
    np.testing.assert_allclose(other.tensor, one.tensor, atol=0.03)  # rounding of the stretched


def test_a_film_without_a_breast_has_an_empty_mask() -> None:
    breast = find_breast(np.zeros((50, 40), np.float32))
    assert not breast.mask.any()
    assert not breast.on_right


def test_a_squeezed_film_is_stretched_back() -> None:
    assert restore_aspect(np.zeros((800, 800), np.uint8), 4808, 3024).shape == (1272, 800)
    assert restore_aspect(np.zeros((800, 800), np.uint8), 3024, 4808).shape == (800, 1272)


def test_a_film_of_its_true_aspect_is_left_alone() -> None:
    pixels = np.zeros((800, 503), np.uint8)
    assert restore_aspect(pixels, 4808, 3024) is pixels


def whole(spec: InputSpec, rows: int, columns: int, *, flipped: bool) -> Geometry:
    return replace(
        prepare(
            picture(drawn(rows, columns)), replace(spec, crop=False, aspect="squeeze")
        ).geometry,
        flipped=flipped,
    )


def test_a_heat_map_over_the_whole_picture_is_the_models_own() -> None:
    logits = np.arange(12, dtype=np.float32).reshape(4, 3)
    heatmap = heat_map(logits, whole(PAD, 400, 300, flipped=False), PAD)
    np.testing.assert_allclose(heatmap.values, logits)
    assert (heatmap.box.xmax, heatmap.box.ymax) == (300, 400)


def test_a_heat_map_of_a_flipped_picture_is_turned_back() -> None:
    logits = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_allclose(
        heat_map(logits, whole(PAD, 400, 300, flipped=True), PAD).values, logits[:, ::-1]
    )


def test_a_heat_map_has_no_cells_for_padding() -> None:
    batch = prepare(picture(drawn()), replace(PAD, width=96))
    logits = np.zeros((4, 6), np.float32)
    logits[:, 3:] = 100  # what the model makes of the padding
    heatmap = heat_map(logits, batch.geometry, replace(PAD, width=96))
    assert (len(heatmap.values), len(heatmap.values[0])) == (4, 2)
    assert heatmap.box == batch.geometry.box
    assert np.max(heatmap.values) < 20


def test_a_hot_cell_points_at_the_place_in_the_original() -> None:
    pixels = drawn(left=360, right=600)
    batch = prepare(picture(pixels), PAD)
    logits = np.zeros((8, 6), np.float32)
    logits[7, 0] = 1  # bottom, at the chest wall
    values = np.array(heat_map(logits, batch.geometry, PAD).values)
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert row == values.shape[0] - 1
    assert column == values.shape[1] - 1  # this breast's chest wall is on the right
