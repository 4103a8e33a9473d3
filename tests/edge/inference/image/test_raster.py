"""Raster files, whole and broken."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ImageRejected, Reason, UnreadableError
from edge.inference.image import Limits, Mammogram, decode, open_mammogram
from tests.support.decoded import rejected
from tests.support.films import FILM, RASTERS, deep, raster, small

SMALL = small(96, 64)
FILES = {name: raster(name, SMALL) for name in RASTERS} | {
    f"deep {name}": raster(name, deep(SMALL)) for name in ("png", "tiff", "pgm", "jp2")
}
LOSSY = {"jpg": 12, "jp2": 6, "deep jp2": 6 * 257}


def outcome(data: bytes) -> Mammogram | ImageRejected:
    try:
        return decode(data, Limits(max_pixels=1_000_000))
    except ImageRejected as error:
        return error


@pytest.mark.parametrize("name", FILES)
def test_each_kind_of_file_gives_its_pixels(name: str) -> None:
    image = decode(FILES[name], Limits())
    expected = deep(SMALL) if name.startswith("deep") else SMALL
    assert image.pixels.dtype == expected.dtype
    np.testing.assert_allclose(
        image.pixels.astype(int), expected.astype(int), atol=LOSSY.get(name, 0)
    )
    assert (image.facts.rows, image.facts.columns) == SMALL.shape
    assert image.facts.bits == expected.dtype.itemsize * 8


def test_a_file_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "really.dcm"
    path.write_bytes(FILM.read_bytes())
    assert open_mammogram(path, Limits()).facts.format == "jpeg"


def test_twelve_bits_in_a_sixteen_bit_file_are_seen_as_twelve() -> None:
    pixels = deep(SMALL, bits=12)
    pixels[0, 0] = 4095
    assert decode(raster("png", pixels), Limits()).facts.bits == 12


def test_a_dark_sixteen_bit_file_has_at_least_eight_bits() -> None:
    assert decode(raster("png", np.zeros((20, 20), np.uint16)), Limits()).facts.bits == 8


@pytest.mark.parametrize("name", ["png", "jpg", "tiff", "bmp", "webp"])
def test_a_grey_picture_saved_in_colour_is_grey(name: str) -> None:
    image = decode(raster(name, cv2.cvtColor(SMALL, cv2.COLOR_GRAY2BGR)), Limits())
    np.testing.assert_allclose(image.pixels.astype(int), SMALL.astype(int), atol=LOSSY.get(name, 0))


def test_alpha_is_dropped() -> None:
    with_alpha = cv2.cvtColor(SMALL, cv2.COLOR_GRAY2BGRA)
    with_alpha[:, :, 3] = 7
    np.testing.assert_array_equal(decode(raster("png", with_alpha), Limits()).pixels, SMALL)


def test_a_small_coloured_marker_is_tolerated() -> None:
    marked = cv2.cvtColor(SMALL, cv2.COLOR_GRAY2BGR)
    marked[:4, :4] = (0, 0, 255)
    assert decode(raster("png", marked), Limits()).facts.rows == SMALL.shape[0]


def test_a_colour_photograph_is_rejected() -> None:
    photograph = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert rejected(raster("png", photograph)).reason is Reason.COLOUR


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999])
def test_a_truncated_file_is_rejected_as_truncated(name: str, keep: float) -> None:
    assert rejected(FILES[name][: int(len(FILES[name]) * keep)]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_lacks_its_last_byte_is_rejected(name: str) -> None:
    assert rejected(FILES[name][:-1]).reason is Reason.TRUNCATED


def test_a_thumbnail_inside_a_truncated_jpeg_does_not_hide_it() -> None:
    thumbnail = raster("jpg", SMALL[:16, :16])
    data = FILES["jpg"]
    with_thumbnail = (
        data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    )
    assert decode(with_thumbnail, Limits()).facts.rows == SMALL.shape[0]
    assert rejected(with_thumbnail[:-2]).reason is Reason.TRUNCATED


def test_a_flipped_bit_inside_a_png_is_found() -> None:
    damaged = bytearray(FILES["png"])
    damaged[len(damaged) // 2] ^= 1
    assert rejected(bytes(damaged)).reason is Reason.UNREADABLE


def png_of(rows: int, columns: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_by_its_header() -> None:
    error = rejected(png_of(100_000, 100_000))
    assert error.reason is Reason.TOO_LARGE
    assert "10000000000 pixels" in error.detail


def test_a_png_with_less_pixels_than_it_says_is_rejected() -> None:
    assert rejected(png_of(500, 500)).reason in {Reason.TRUNCATED, Reason.UNREADABLE}


def test_a_picture_without_rows_is_rejected() -> None:
    assert rejected(png_of(0, 10)).reason is Reason.NO_PIXELS


@pytest.mark.parametrize("name", FILES)
def test_the_limit_of_pixels_holds_for_each_kind(name: str) -> None:
    assert rejected(FILES[name], Limits(max_pixels=SMALL.size - 1)).reason is Reason.TOO_LARGE
    assert decode(FILES[name], Limits(max_pixels=SMALL.size)).facts.rows == SMALL.shape[0]


def test_a_twelve_bit_jpeg_is_unsupported_not_damaged() -> None:
    data = bytearray(FILES["jpg"])
    data[data.index(b"\xff\xc0") + 4] = 12
    assert rejected(bytes(data)).reason is Reason.UNSUPPORTED_FORMAT


def test_a_floating_point_tiff_is_unsupported() -> None:
    assert rejected(raster("tiff", SMALL.astype(np.float32))).reason is Reason.UNSUPPORTED_FORMAT


def test_a_tiff_of_two_pages_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "pages.tiff"
    assert cv2.imwritemulti(str(path), [SMALL, SMALL])
    assert rejected(path.read_bytes()).reason is Reason.MULTI_FRAME


@pytest.mark.parametrize("pixels", [SMALL, deep(SMALL)], ids=["8", "16"])
def test_white_is_zero_in_a_tiff_is_turned_round(pixels: np.ndarray) -> None:
    tags = {
        256: pixels.shape[1],
        257: pixels.shape[0],
        258: pixels.itemsize * 8,
        259: 1,
        262: 0,
        273: 8,
        277: 1,
        278: pixels.shape[0],
    }
    tags[279] = pixels.nbytes
    top = np.iinfo(pixels.dtype).max
    directory = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())
    )
    body = (top - pixels).astype(pixels.dtype).tobytes()
    data = (
        b"II*\0"
        + struct.pack("<I", 8 + len(body))
        + body
        + struct.pack("<H", len(tags))
        + directory
        + b"\0\0\0\0"
    )
    np.testing.assert_array_equal(decode(data, Limits()).pixels, pixels)


def test_an_empty_file_is_rejected_as_empty() -> None:
    assert rejected(b"").reason is Reason.EMPTY


def test_a_text_is_no_known_format() -> None:
    error = rejected(b"Dear colleague, please find attached the mammogram.\n" * 20)
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert "expected DICOM, PNG" in error.detail


def test_more_bytes_than_the_limit_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(FILES["png"])
    with pytest.raises(ImageRejected, match="too large: more than the limit of 100 bytes"):
        open_mammogram(path, Limits(max_bytes=100))


def test_a_missing_file_is_unavailable_and_not_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError) as caught:
        open_mammogram(tmp_path / "Jane_Doe.png", Limits())
    assert "Jane" not in str(caught.value)


MAGIC = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"II*\0",
        b"MM\0*",
        b"P5\n",
        b"P2 ",
        b"BM",
        b"\xff\x4f\xff\x51",
        b"RIFF\4\0\0\0WEBPVP8 ",
    ]
)


@given(MAGIC, st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_have_an_outcome(magic: bytes, data: bytes) -> None:
    assert isinstance(outcome(magic + data), Mammogram | ImageRejected)


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    st.booleans(),
)
@settings(max_examples=500)
def test_any_damaged_file_has_an_outcome(
    name: str,
    changes: list[tuple[int, int]],
    near_the_start: bool,  # noqa: FBT001 - hypothesis
) -> None:
    data = bytearray(FILES[name])
    for at, value in changes:
        data[at % (64 if near_the_start else len(data))] = value
    result = outcome(bytes(data))
    assert isinstance(result, ImageRejected) or result.pixels.ndim == 2
