"""
TIFFs in planes and with alpha as libtiff reads them, transparency, and files of several pictures.
"""

import itertools
import struct
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, decode
from tests.support.decoded import rejected
from tests.support.films import deep, raster, small
from tests.support.raster_files import chunk
from tests.support.tiffs import APART, DEFLATE, LZW, NONE, PACKBITS, TOGETHER, Kind, tiff

SMALL = np.maximum(small(96, 70), 1)
DEEP = deep(SMALL)
ALPHA = np.random.default_rng(0).integers(1, 256, SMALL.shape, np.uint8)


def read(data: bytes) -> NDArray[Any]:
    return decode(data, Limits()).pixels


def with_channels(grey: NDArray[Any], samples: int) -> NDArray[Any]:
    """Grey, grey and alpha, RGB, or RGB and alpha."""
    alpha = [deep(ALPHA) if grey.dtype == np.uint16 else ALPHA] * (samples in {2, 4})
    return np.dstack([grey] * (3 if samples > 2 else 1) + alpha)


def kinds(samples: int) -> list[Kind]:
    """Every way to write so many samples."""
    found: list[Kind] = []
    every = itertools.product(
        (TOGETHER, APART), "<>", (0, 32), (NONE, LZW, DEFLATE, PACKBITS), (False, True), (0, 1)
    )
    for planar, order, tile, compression, differences, photometric in every:
        if differences and compression not in {LZW, DEFLATE}:
            continue
        kind = Kind(planar, order, tile, compression, differences)  # type: ignore[arg-type]
        extra = 2 if samples in {2, 4} else None
        big = bool(len(found) % 2)
        colour = photometric if samples < 3 else 2
        found.append(Kind(**kind.__dict__ | {"photometric": colour, "extra": extra, "big": big}))
    return found if samples < 3 else found[::2]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_every_kind_of_tiff_is_read_as_libtiff_does(samples: int, bits: int) -> None:
    codecs: Any = pytest.importorskip("imagecodecs", reason="imagecodecs is missing")
    grey = SMALL if bits == 8 else DEEP
    assert len(kinds(samples)) >= 48
    for kind in kinds(samples):
        data = tiff(with_channels(grey, samples), kind)
        theirs = np.asarray(codecs.tiff_decode(data))
        first = theirs if samples == 1 else theirs[0] if kind.planar == APART else theirs[..., 0]
        shown = ~first if kind.photometric == 0 else first
        np.testing.assert_array_equal(read(data), shown, err_msg=str(kind))
        np.testing.assert_array_equal(first, grey, err_msg=str(kind))


@pytest.mark.parametrize("planar", [TOGETHER, APART])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_planes_and_alpha_are_turned_as_a_plain_tiff_is(orientation: int, planar: int) -> None:
    plain = tiff(DEEP[..., np.newaxis], Kind(orientation=orientation))
    alpha = tiff(with_channels(DEEP, 2), Kind(planar, orientation=orientation, extra=2))
    np.testing.assert_array_equal(read(alpha), read(plain))


def test_sixteen_bits_with_alpha_stay_sixteen() -> None:
    image = decode(tiff(with_channels(DEEP, 2), Kind(extra=2)), Limits())
    assert image.facts.bits == int(DEEP.max()).bit_length()


def test_coloured_planes_are_a_colour_image() -> None:
    colours = np.dstack([SMALL, 255 - SMALL, np.roll(SMALL, 9, axis=1)])
    assert rejected(tiff(colours, Kind(APART, photometric=2))).reason is Reason.COLOUR


@pytest.mark.parametrize("planar", [TOGETHER, APART])
def test_a_tiff_of_planes_or_alpha_that_is_cut_is_truncated(planar: int) -> None:
    data = tiff(with_channels(DEEP, 2), Kind(planar, extra=2))
    for keep in (0.3, 0.6, 0.9):
        assert rejected(data[: int(len(data) * keep)]).reason is Reason.TRUNCATED


def test_a_rare_combination_is_declined_by_what_it_is() -> None:
    cmyk = np.dstack([SMALL] * 4)
    error = rejected(tiff(cmyk, Kind(APART, photometric=5)))
    assert str(error) == (
        "unsupported format: the TIFF has 4 samples of 8 bits a pixel, photometric 5, "
        "compression 1, planar configuration 2; expected grey, or RGB without planes and alpha"
    )


def test_the_page_behind_a_preview_is_the_picture() -> None:
    """NewSubfileType 1 on the first page."""
    page = tiff(DEEP[..., np.newaxis], Kind())
    preview = struct.pack("<H", 9)
    at, values = (
        len(page),
        {254: 1, 256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 64},
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    main = struct.unpack_from("<I", page, 4)[0]
    both = page[:4] + struct.pack("<I", at) + page[8:] + preview + entries + struct.pack("<I", main)
    np.testing.assert_array_equal(read(both), DEEP)


@pytest.mark.parametrize(("bits", "kind"), [(32, "uint32"), (16, "float16"), (32, "float32")])
def test_other_numbers_in_a_tiff_are_unsupported_and_named(bits: int, kind: str) -> None:
    data = tiff(SMALL.astype(kind)[..., np.newaxis], Kind())
    if kind.startswith("float"):  # SampleFormat in the place of the predictor
        data = data.replace(struct.pack("<HHII", 317, 4, 1, 1), struct.pack("<HHII", 339, 4, 1, 3))
    error = rejected(data)
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert ("floating point" if kind.startswith("float") else f"{bits} bits") in error.detail


# Transparency


def transparent(extension: str) -> tuple[bytes, NDArray[Any]]:
    """A picture whose upper third is white and transparent, and what is to be seen of it."""
    grey, alpha = SMALL.copy(), np.full_like(SMALL, 255)
    grey[:32], alpha[:32] = 255, 0
    seen = np.where(alpha == 0, 0, grey)
    if extension.startswith("tiff"):
        planar = APART if extension.endswith("planes") else TOGETHER
        return tiff(np.dstack([grey, alpha]), Kind(planar, extra=2)), seen
    return raster(extension, np.dstack([grey, grey, grey, alpha])), seen


@pytest.mark.parametrize("extension", ["png", "webp", "tiff", "tiff planes"])
def test_what_is_fully_transparent_is_black_whatever_stands_there(extension: str) -> None:
    data, seen = transparent(extension)
    np.testing.assert_array_equal(read(data), seen)


@pytest.mark.parametrize("alpha", [1, 128, 0], ids=["nearly transparent", "half", "all of it"])
def test_other_transparency_is_not_blended(alpha: int) -> None:
    data = raster("png", np.dstack([SMALL] * 3 + [np.full_like(SMALL, alpha)]))
    np.testing.assert_array_equal(read(data), SMALL)


# Several pictures


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    data = raster("png", SMALL)
    return data[:33] + b"".join(chunk(kind, body) for kind, body in chunks) + data[33:]


def mpo(pictures: int) -> bytes:
    """A JPEG whose APP2 announces so many pictures (CIPA DC-007)."""
    entries = struct.pack("<HHHIIHHII", 2, 0xB000, 7, 4, 0x30303130, 0xB001, 4, 1, pictures)
    body = b"MPF\0II*\0" + struct.pack("<I", 8) + entries + bytes(4)
    jpeg = raster("jpg", SMALL)
    return jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def pgm(pixels: NDArray[Any]) -> bytes:
    return f"P5\n{pixels.shape[1]} {pixels.shape[0]}\n255\n".encode() + pixels.tobytes()


def text_pgm(pixels: NDArray[Any]) -> bytes:
    numbers = " ".join(map(str, pixels.ravel().tolist()))
    return f"P2\n{pixels.shape[1]} {pixels.shape[0]}\n255\n{numbers}\n".encode()


SEVERAL: dict[str, bytes] = {
    "APNG": png_with((b"acTL", struct.pack(">II", 2, 0))),
    "MPO": mpo(2),
    "two JPEGs": raster("jpg", SMALL) * 2,
    "two PNGs": raster("png", SMALL) * 2,
    "two PGMs": pgm(SMALL) * 2,
    "two PGMs, a line between": pgm(SMALL) + b"\n" + pgm(SMALL),
    "two text PGMs": text_pgm(SMALL) * 2,
    "two code streams": raster("jp2", SMALL)[raster("jp2", SMALL).index(b"\xff\x4f\xff\x51") :] * 2,
}


@pytest.mark.parametrize("what", SEVERAL)
def test_a_file_of_several_pictures_is_declined_by_their_number(what: str) -> None:
    error = rejected(SEVERAL[what])
    assert error.reason is Reason.MULTI_FRAME
    assert error.detail.endswith("holds 2 pictures, expected one")


@pytest.mark.parametrize(
    "data",
    [
        png_with((b"acTL", struct.pack(">II", 1, 0))),
        mpo(1),
        pgm(SMALL) + b"\n\n",
        pgm(SMALL) + b"Portable",
        text_pgm(SMALL) + b"# end\n",
        raster("png", SMALL) + bytes(100),
        raster("jpg", SMALL) + b"SEFT trailer of a telephone",
    ],
    ids=["APNG of one", "MPO of one", "lines", "a word", "a comment", "zeros", "trailer"],
)
def test_what_stands_behind_one_picture_is_no_second(data: bytes) -> None:
    np.testing.assert_allclose(read(data).astype(int), SMALL.astype(int), atol=12)


def test_damaged_announcements_of_more_pictures_have_an_outcome() -> None:
    for at in range(24, 70):
        data = bytearray(mpo(2))
        data[at] ^= 0xFF
        with suppress(ImageRejected):  # anything else would be raised
            assert read(bytes(data)).shape == SMALL.shape


# JPEG 2000


@pytest.mark.parametrize("channels", [2, 4])
def test_a_jpeg_2000_with_alpha_is_declined_and_not_called_damaged(channels: int) -> None:
    codecs: Any = pytest.importorskip("imagecodecs", reason="imagecodecs is missing")
    pixels = np.dstack([SMALL] * channels)
    data = bytes(codecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True, level=0))
    error = rejected(data)
    assert str(error) == (
        f"unsupported format: the JPEG 2000 has {channels} channel(s) of unsigned numbers, "
        "expected 1 or 3 of unsigned ones"
    )


def test_a_signed_jpeg_2000_is_declined_and_not_called_damaged() -> None:
    codecs: Any = pytest.importorskip("imagecodecs", reason="imagecodecs is missing")
    pixels = (DEEP.astype(int) - 32768).astype(np.int16)
    data = bytes(codecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True, level=0))
    assert "signed numbers" in rejected(data).detail


def test_what_the_decoder_gives_is_compared_with_the_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eight, smaller = raster("png", SMALL), raster("png", SMALL[:10])
    imdecode = cv2.imdecode
    for found, said in ((eight, raster("png", DEEP)), (smaller, eight)):
        other = imdecode(np.frombuffer(found, np.uint8), cv2.IMREAD_ANYDEPTH)
        monkeypatch.setattr(cv2, "imdecode", lambda *_, other=other: other)
        assert "its decoder gives" in rejected(said).detail


def reversed_bits(data: bytes) -> bytes:
    return data.translate(bytes(int(f"{value:08b}"[::-1], 2) for value in range(256)))


@pytest.mark.parametrize("planar", [TOGETHER, APART])
def test_bits_that_are_filled_from_the_lowest_keep_their_order_beside_alpha(planar: int) -> None:
    """FillOrder 2 (TIFF 6.0)."""
    data = tiff(with_channels(SMALL, 2), Kind(planar, extra=2))
    pixels = with_channels(SMALL, 2)
    body = b"".join(np.split(pixels, 2, axis=2)[at].tobytes() for at in (0, 1))
    stored = body if planar == APART else pixels.tobytes()
    start = data.index(stored[:64])
    filled = data[:start] + reversed_bits(stored) + data[start + len(stored) :]
    planar_entry = struct.pack("<HHII", 317, 4, 1, 1)  # Predictor 1, which is the usual one
    assert planar_entry in filled
    entries = filled.replace(planar_entry, struct.pack("<HHII", 266, 4, 1, 2))
    np.testing.assert_array_equal(read(entries), SMALL)


@pytest.mark.parametrize(
    ("tag", "value"), [(259, 50000), (259, 34925), (262, 8), (262, 4), (262, 32844)]
)
def test_what_libtiff_cannot_decode_is_unsupported_and_named(tag: int, value: int) -> None:
    data = tiff(SMALL[..., np.newaxis], Kind())
    usual = struct.pack("<HHII", tag, 4, 1, 1)
    assert usual in data
    error = rejected(data.replace(usual, struct.pack("<HHII", tag, 4, 1, value)))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert f" {value}," in error.detail


@pytest.mark.parametrize("grey", [SMALL, DEEP], ids=["8", "16"])
def test_the_one_grey_that_a_png_calls_transparent_is_black(grey: NDArray[Any]) -> None:
    """A tRNS chunk of colour type 0 (PNG, 11.3.2.1)."""
    level = int(grey[5, 5])
    whole = raster("png", grey)
    clear = chunk(b"tRNS", struct.pack(">H", level))
    data = whole[:33] + clear + whole[33:]
    np.testing.assert_array_equal(read(data), np.where(grey == level, 0, grey))


def test_a_jpeg_ls_and_a_jpeg_2000_of_few_bits_are_not_called_damaged() -> None:
    codecs: Any = pytest.importorskip("imagecodecs", reason="imagecodecs is missing")
    few = codecs.jpeg2k_encode(SMALL >> 4, level=0, reversible=True, bitspersample=4)
    for data, said in ((codecs.jpegls_encode(SMALL), "JPEG-LS"), (few, "has 4 bits a sample")):
        error = rejected(bytes(data))
        assert error.reason is Reason.UNSUPPORTED_FORMAT
        assert said in error.detail
