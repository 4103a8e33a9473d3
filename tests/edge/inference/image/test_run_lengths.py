"""
Run lengths with padding or of another size; bits above those stored that are values or a sign.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import Reason
from edge.inference.image import Limits, Mammogram, decode
from tests.support.decoded import rejected
from tests.support.films import crop, dicom, small
from tests.support.frames import RLE, SYNTAXES, frame, run_lengths, with_frame

FILM = small(96, 64).astype(np.uint16) << 4
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}


def read(data: bytes) -> Mammogram:
    return decode(data, Limits())


def packed(pixels: NDArray[Any], **tags: Any) -> bytes:  # noqa: ANN401 - a tag's value
    return with_frame(pixels, RLE, run_lengths(pixels), **tags)


@pytest.mark.usefixtures("decoders")
def test_zeros_behind_run_lengths_are_padding() -> None:
    padded = with_frame(FILM, RLE, run_lengths(FILM) + bytes(200), **TWELVE)
    np.testing.assert_array_equal(read(padded).pixels, read(packed(FILM, **TWELVE)).pixels)


@pytest.mark.parametrize("rows", [95, 97])
def test_run_lengths_of_another_size_are_unreadable_and_counted(rows: int) -> None:
    pytest.importorskip("imagecodecs", reason="imagecodecs is missing")
    error = rejected(packed(FILM, Rows=rows, **TWELVE))
    assert error.reason is Reason.UNREADABLE
    early = "the compressed frame ends early, although its file is whole"
    more = f"a segment of the run lengths has more than the header's {95 * 64} pixels"
    assert error.detail == (more if rows == 95 else early)


@pytest.mark.usefixtures("decoders")
def test_run_lengths_of_values_at_the_upper_end_of_their_bits_are_read() -> None:
    shifted = packed(FILM << 4, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(read(shifted).pixels, read(packed(FILM, **TWELVE)).pixels)


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", ["jpeg 2000", "htj2k"])
def test_half_a_code_stream_in_a_whole_file_ends_early(kind: str) -> None:
    half = frame(kind, FILM, 12)
    error = rejected(with_frame(FILM, SYNTAXES[kind], half[: len(half) // 2], **TWELVE))
    assert error.detail == "the compressed frame ends early, although its file is whole"
    assert error.reason is Reason.UNREADABLE


@pytest.mark.parametrize("stored", [12, 14, 15])
@pytest.mark.parametrize("write", [dicom, packed], ids=["native", "run lengths"])
def test_values_above_the_stored_bits_are_values_if_the_picture_is_torn_without(
    write: Any,  # noqa: ANN401
    stored: int,
) -> None:
    sixteen = np.minimum(crop().astype(np.int32) * 3 // 2, 65535).astype(np.uint16)
    image = read(write(sixteen, BitsStored=stored, HighBit=stored - 1))
    np.testing.assert_array_equal(image.pixels, read(dicom(sixteen)).pixels)
    assert image.facts.bits == 16


@pytest.mark.parametrize("padding", [0, 0xFFFF], ids=["no padding", "white padding"])
@pytest.mark.parametrize("most", [4300, 4600, 6000])
def test_a_few_values_above_the_stored_bits_are_values_too(most: int, padding: int) -> None:
    film = np.rint(small(512, 400) * (most / 255)).astype(np.uint16)
    film[:, :60] = padding
    bits = 16 if padding else 13
    image = read(dicom(film, **TWELVE))
    whole = dicom(film, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(image.pixels, read(whole).pixels)
    assert image.facts.bits == bits


def test_signed_values_beyond_the_stored_bits_are_values_if_the_picture_is_torn_without() -> None:
    film = np.rint(small(512, 400) * (4600 / 255) - 2048).astype(np.int16)
    whole = dicom(film, BitsStored=13, HighBit=12)
    np.testing.assert_array_equal(read(dicom(film, **TWELVE)).pixels, read(whole).pixels)


@pytest.mark.parametrize("padding", [0xFFFF, 63536, 8191, 4096])
def test_padding_above_the_stored_bits_makes_no_values_of_them(padding: int) -> None:
    film = FILM.copy()
    film[:, :12] = padding
    image = read(dicom(film, **TWELVE))
    np.testing.assert_array_equal(image.pixels, read(dicom(film & 4095, **TWELVE)).pixels)


@pytest.mark.parametrize("row", [0, 3])
def test_a_sign_is_known_by_all_rows_so_a_thin_bright_spot_stays_bright(row: int) -> None:
    film = FILM // 2
    film[::8, :20] = 0xFFFF
    film[row, 30:40] = 3000
    image = read(dicom(film, **TWELVE))
    np.testing.assert_array_equal(image.pixels, read(dicom(film & 4095, **TWELVE)).pixels)


@pytest.mark.parametrize("row", [0, 3])
def test_a_bright_spot_above_the_stored_bits_is_seen_in_any_row(row: int) -> None:
    film = FILM.copy()
    film[row, 20:40] = [*range(3000, 5000, 200), *range(5000, 3000, -200)]
    whole = dicom(film, BitsStored=13, HighBit=12)
    np.testing.assert_array_equal(read(dicom(film, **TWELVE)).pixels, read(whole).pixels)


@pytest.mark.parametrize("overlay", ["box", "noise"])
def test_bits_above_those_stored_that_tear_the_picture_are_none_of_it(overlay: str) -> None:
    twelve = crop() >> 4
    above = np.zeros_like(twelve)
    above[40:90, 30:70] = 1 << 15
    if overlay == "noise":
        above = np.random.default_rng(0).integers(0, 2, twelve.shape, np.uint16) << 15
    image = read(dicom(twelve | above, **TWELVE))
    np.testing.assert_array_equal(image.pixels, read(dicom(twelve, **TWELVE)).pixels)


@pytest.mark.parametrize("write", [dicom, packed], ids=["native", "run lengths"])
def test_bits_above_that_repeat_a_sign_make_the_values_signed(write: Any) -> None:  # noqa: ANN401
    signed = (FILM.astype(np.int32) - 2048).astype(np.int16)
    image = read(write(signed, PixelRepresentation=0, **TWELVE))
    np.testing.assert_array_equal(image.pixels, read(dicom(FILM, **TWELVE)).pixels)
