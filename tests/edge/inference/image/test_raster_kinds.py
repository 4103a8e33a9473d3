"""
Varieties of raster files that scanners and programs write: TIFF in all its shapes, Netpbm, BMP,
palettes, alpha, orientation.
"""

import struct
import zlib
from typing import Any, Final, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, decode
from tests.support.films import deep, raster, small
from tests.support.raster_files import (
    DEFLATE,
    LZW,
    ORIENTATION,
    TURNED,
    UPRIGHT,
    chunk,
    tiff,
)

SMALL = small(96, 64)
DEEP = deep(SMALL)
BOTH: Final = pytest.mark.parametrize("pixels", [SMALL, DEEP], ids=["8", "16"])


def same(data: bytes, pixels: NDArray[Any]) -> None:
    np.testing.assert_array_equal(decode(data, Limits()).pixels, pixels)


@BOTH
@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big-endian"])
@pytest.mark.parametrize("tile", [0, 32], ids=["strip", "tiled"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "deflate"])
def test_every_shape_of_tiff_gives_its_pixels(
    pixels: NDArray[Any], *, big: bool, order: Literal["<", ">"], tile: int, packed: bool
) -> None:
    data = tiff(pixels, big=big, order=order, tile=tile, packed=packed)
    same(data, pixels)
    with pytest.raises(ImageRejected, match=r"^truncated"):
        decode(data[:-30], Limits())
    with pytest.raises(ImageRejected, match=r"^too large"):
        decode(data, Limits(max_pixels=pixels.size - 1))


@BOTH
@pytest.mark.parametrize("compression", [LZW, DEFLATE], ids=["LZW", "deflate"])
def test_a_tiff_that_opencv_compressed_gives_its_pixels(
    pixels: NDArray[Any], compression: int
) -> None:
    done, data = cv2.imencode(".tiff", pixels, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert done
    same(data.tobytes(), pixels)


def netpbm(kind: str, pixels: NDArray[Any], white: int) -> bytes:
    """P2 and P3 are text, P5 and P6 binary; P3 and P6 have three channels."""
    samples = np.repeat(pixels[:, :, None], 3, axis=2) if kind in {"P3", "P6"} else pixels
    head = f"{kind}\n# a scanner's comment\n{pixels.shape[1]} {pixels.shape[0]}\n{white}\n".encode()
    if kind in {"P5", "P6"}:
        return head + samples.astype(">u2" if white > 255 else "u1").tobytes()
    return head + "\n".join(map(str, samples.ravel().tolist())).encode() + b"\n"


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize(
    ("pixels", "white"), [(SMALL, 255), (DEEP, 65535), (DEEP >> 4, 4095)], ids=["8", "16", "12"]
)
def test_every_kind_of_netpbm_gives_its_pixels(kind: str, pixels: NDArray[Any], white: int) -> None:
    same(netpbm(kind, pixels, white), pixels)


@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_a_binary_netpbm_that_lacks_a_pixel_is_truncated(kind: str) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode(netpbm(kind, DEEP, 65535)[:-1], Limits())
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("kind", ["P2", "P3"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_text_netpbm_is_rejected(kind: str, keep: float) -> None:
    data = netpbm(kind, SMALL, 255)
    with pytest.raises(ImageRejected):
        decode(data[: int(len(data) * keep)], Limits())


def test_a_coloured_ppm_is_rejected_as_colour() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    with pytest.raises(ImageRejected, match=r"^colour image"):
        decode(b"P6 32 32 255\n" + pixels.tobytes(), Limits())


def bmp(header: bytes, palette_entry: int, rows: bytes) -> bytes:
    palette = b"".join(bytes([grey] * 3).ljust(palette_entry, b"\0") for grey in range(256))
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + palette + rows


def test_an_os2_bmp_gives_its_pixels() -> None:
    data = bmp(struct.pack("<IHHHH", 12, 64, 96, 1, 8), 3, SMALL[::-1].tobytes())
    same(data, SMALL)
    with pytest.raises(ImageRejected, match=r"^truncated"):
        decode(data[:-1], Limits())


def test_an_os2_bmp_of_the_second_kind_gives_its_pixels() -> None:
    header = struct.pack("<IIIHHIIIIII", 64, 64, 96, 1, 8, 0, SMALL.size, 0, 0, 256, 0) + b"\0" * 24
    same(bmp(header, 4, SMALL[::-1].tobytes()), SMALL)


def test_a_bmp_stored_from_the_top_gives_its_pixels() -> None:
    header = struct.pack("<IiiHHIIIIII", 40, 64, -96, 1, 8, 0, SMALL.size, 0, 0, 256, 0)
    same(bmp(header, 4, SMALL.tobytes()), SMALL)


def test_a_palette_of_greys_is_looked_up() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 96, 8, 3, 0, 0, 0))
    palette = chunk(b"PLTE", b"".join(bytes([255 - index] * 3) for index in range(256)))
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in 255 - SMALL))
    same(b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"IDAT", rows) + chunk(b"IEND", b""), SMALL)


@pytest.mark.parametrize(
    ("kind", "transparent"), [("png", 0), ("png", 255), ("tiff", 0), ("tiff", 255), ("webp", 255)]
)
def test_alpha_changes_nothing(kind: str, transparent: int) -> None:
    pixels = cv2.cvtColor(SMALL, cv2.COLOR_GRAY2BGRA)
    pixels[:, :, 3] = transparent
    same(raster(kind, pixels), SMALL)


def exif(orientation: int) -> bytes:
    """A TIFF header and a directory of one entry."""
    return (
        b"II*\0\x08\0\0\0\x01\0"
        + struct.pack("<HHII", ORIENTATION, 3, 1, orientation)
        + b"\0\0\0\0"
    )


def jpeg_with(orientation: int) -> bytes:
    body = b"Exif\0\0" + exif(orientation)
    data = raster("jpg", SMALL)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def png_with(orientation: int) -> bytes:
    data = raster("png", SMALL)
    return data[:33] + chunk(b"eXIf", exif(orientation)) + data[33:]


@pytest.mark.parametrize("turned", [UPRIGHT, TURNED])
def test_orientation_is_applied_as_viewers_do(turned: int) -> None:
    expected = SMALL if turned == UPRIGHT else np.rot90(SMALL, -1)
    same(png_with(turned), expected)
    same(tiff(SMALL, turned=turned), expected)
    shown = decode(jpeg_with(turned), Limits()).pixels
    np.testing.assert_allclose(shown.astype(int), expected.astype(int), atol=12)
    assert decode(png_with(turned), Limits()).facts.rows == expected.shape[0]


def test_a_jpeg_2000_with_a_palette_is_rejected_as_colour() -> None:
    data = raster("jp2", SMALL)
    at = data.index(b"jp2c") - 4
    palette = struct.pack(">I4sHBBBB", 14, b"pclr", 2, 1, 7, 255, 0)
    with pytest.raises(ImageRejected, match="palette") as caught:
        decode(data[:at] + palette + data[at:], Limits())
    assert caught.value.reason is Reason.COLOUR


@pytest.mark.parametrize("behind", [b"", b"\n"])
def test_a_text_netpbm_may_end_with_its_last_digit(behind: bytes) -> None:
    numbers = b" ".join(str(value).encode() for value in SMALL.ravel())
    same(b"P2\n64 96\n255\n" + numbers + behind, SMALL)
