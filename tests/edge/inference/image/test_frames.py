"""
What a compressed frame says of itself, against the header; and frames with something missing
around them.
"""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from edge.errors import Reason
from edge.inference.image import Limits, Mammogram, decode
from tests.support.decoded import rejected
from tests.support.films import dicom, raster, small
from tests.support.frames import (
    DELIMITER,
    ITEM,
    JPEG_2000,
    JPEG_LOSSLESS,
    RLE,
    SYNTAXES,
    frame,
    item,
    with_frame,
    with_pixel_data,
    with_syntax,
)

FILM = small(96, 64).astype(np.uint16) << 4
"""12 bits, air and tissue on both sides of half the range."""
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
BIG = UID("1.2.840.10008.1.2.2")
DEFLATED = UID("1.2.840.10008.1.2.1.99")
JPEG_2000_KINDS = ("jpeg 2000", "htj2k")
WINDOW: dict[str, Any] = {"WindowCenter": "2000", "WindowWidth": "3000"}


def read(data: bytes) -> Mammogram:
    return decode(data, Limits())


def film(bits: int) -> NDArray[np.uint16]:
    scaled: NDArray[np.uint16] = np.rint(FILM / 4095 * (2**bits - 1)).astype(np.uint16)
    return scaled


def as_signed(pixels: NDArray[Any], bits: int) -> NDArray[np.int16]:
    shifted: NDArray[np.int16] = (pixels.astype(np.int32) - 2 ** (bits - 1)).astype(np.int16)
    return shifted


def twin(bits: int = 12, **tags: object) -> NDArray[Any]:
    """What the uncompressed, unsigned, honest file shows."""
    return read(dicom(film(bits), BitsStored=bits, HighBit=bits - 1, **tags)).pixels


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("said", SYNTAXES)
@pytest.mark.parametrize("kind", SYNTAXES)
def test_a_frame_is_read_by_its_own_mark_whatever_the_transfer_syntax(kind: str, said: str) -> None:
    data = with_frame(FILM, SYNTAXES[said], frame(kind, FILM, 12), **TWELVE)
    np.testing.assert_array_equal(read(data).pixels, twin())


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", SYNTAXES)
def test_a_frame_under_an_uncompressed_syntax_is_read(kind: str) -> None:
    data = with_frame(FILM, ExplicitVRLittleEndian, frame(kind, FILM, 12), **TWELVE)
    np.testing.assert_array_equal(read(data).pixels, twin())


def test_what_was_read_is_the_transfer_syntax_that_is_said() -> None:
    data = with_frame(FILM, JPEG_LOSSLESS, frame("rle", FILM, 12), **TWELVE)
    assert read(data).facts.transfer_syntax == "RLE Lossless"


def test_uncompressed_pixels_under_a_compressed_syntax_are_read() -> None:
    data = with_syntax(dicom(FILM, **TWELVE), JPEG_LOSSLESS)
    assert read(data).facts.transfer_syntax == "Explicit VR Little Endian"
    np.testing.assert_array_equal(read(data).pixels, twin())


def test_a_frame_of_no_known_kind_names_what_was_expected() -> None:
    error = rejected(with_frame(FILM, JPEG_2000, b"\x1aE\xdf\xa3" * 200, **TWELVE))
    assert error.reason is Reason.UNREADABLE
    assert error.detail == (
        "the transfer syntax is JPEG 2000 Image Compression (Lossless Only), but the frame starts "
        "neither as JPEG nor as JPEG 2000 nor as run lengths of 2 byte(s) a pixel do"
    )


@pytest.mark.parametrize("process", [0xC5, 0xC9, 0xCB])
def test_a_jpeg_of_a_rare_process_is_named_and_not_called_damaged(process: int) -> None:
    packed = frame("jpeg lossless", FILM, 12).replace(b"\xff\xc3", bytes([0xFF, process]), 1)
    error = rejected(with_frame(FILM, JPEG_LOSSLESS, packed, **TWELVE))
    assert error.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
    assert f"FF{process:02X}" in error.detail


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("header_signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("kind", JPEG_2000_KINDS)
def test_a_signed_code_stream_is_read_as_signed(
    kind: str, bits: int, stored: int, *, header_signed: bool
) -> None:
    signed = as_signed(film(bits), bits)
    depth: dict[str, Any] = {"BitsStored": max(bits, stored), "HighBit": max(bits, stored) - 1}
    packed = frame(kind, signed, bits)
    data = with_frame(
        signed, SYNTAXES[kind], packed, **depth, PixelRepresentation=int(header_signed)
    )
    np.testing.assert_allclose(read(data).pixels, twin(bits), atol=1)


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("stored", [12, 16])
def test_twos_complement_in_an_unsigned_code_stream_is_read_by_the_header(stored: int) -> None:
    patterns = as_signed(FILM, 12).view(np.uint16) & np.uint16(4095)
    depth: dict[str, Any] = {"BitsStored": stored, "HighBit": stored - 1, "PixelRepresentation": 1}
    data = with_frame(FILM, JPEG_2000, frame("jpeg 2000", patterns, 12), **depth)
    np.testing.assert_array_equal(read(data).pixels, twin())


@pytest.mark.parametrize("kind", JPEG_2000_KINDS)
def test_an_unsigned_code_stream_under_a_signed_header_is_read_as_unsigned(kind: str) -> None:
    data = with_frame(FILM, SYNTAXES[kind], frame(kind, FILM, 12), **TWELVE, PixelRepresentation=1)
    np.testing.assert_array_equal(read(data).pixels, twin())


@pytest.mark.parametrize(
    "tags",
    [
        WINDOW,
        {"WindowCenter": "0", "WindowWidth": "3000"},
        {"RescaleSlope": "1", "RescaleIntercept": "0"},
        {"PixelPaddingValue": 0},
    ],
    ids=str,
)
def test_signs_that_contradict_beside_a_window_are_unreadable_and_both_named(
    tags: dict[str, Any],
) -> None:
    packed = frame("jpeg 2000", as_signed(FILM, 12), 12)
    error = rejected(with_frame(FILM, JPEG_2000, packed, **TWELVE, **tags))
    assert error.reason is Reason.UNREADABLE
    assert error.detail == "the frame's values are signed, the header says unsigned"


def test_a_signed_code_stream_without_negative_values_contradicts_nobody() -> None:
    half = (FILM >> 1).astype(np.int16)
    data = with_frame(
        half, JPEG_2000, frame("jpeg 2000", half, 12), **TWELVE, **WINDOW, PixelRepresentation=0
    )
    same = read(dicom((FILM >> 1).astype(np.uint16), **TWELVE, **WINDOW)).pixels
    np.testing.assert_array_equal(read(data).pixels, same)


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("stored", [8, 10, 12, 14])
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", *JPEG_2000_KINDS])
def test_more_bits_in_the_frame_than_are_stored_are_values(kind: str, stored: int) -> None:
    deep = film(16)
    data = with_frame(
        deep, SYNTAXES[kind], frame(kind, deep, 16), BitsStored=stored, HighBit=stored - 1
    )
    np.testing.assert_array_equal(read(data).pixels, twin(16))
    assert read(data).facts.bits == 16


def with_overlay(data: bytes, bit: int) -> bytes:
    """The same file with an Overlay Bit Position; 0 is an overlay apart from the pixels."""
    at = data.index(b"\xe0\x7f\x10\0OB")
    return data[:at] + b"\0\x60\x02\x01US\x02\0" + struct.pack("<H", bit) + data[at:]


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "jpeg 2000"])
def test_an_overlay_in_the_frames_highest_bits_is_no_value(kind: str) -> None:
    overlaid = (FILM | np.uint16(0x8000) * (np.indices(FILM.shape)[0] % 7 == 0)).astype(np.uint16)
    data = with_frame(FILM, SYNTAXES[kind], frame(kind, overlaid, 16), **TWELVE)
    np.testing.assert_array_equal(read(with_overlay(data, 15)).pixels, twin())


def test_an_overlay_apart_from_the_pixels_makes_no_bits_of_the_frame_overlays() -> None:
    data = with_frame(film(16), JPEG_2000, frame("jpeg 2000", film(16), 16), **TWELVE)
    np.testing.assert_array_equal(read(with_overlay(data, 0)).pixels, twin(16))


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", *JPEG_2000_KINDS])
def test_sixteen_bits_of_which_twelve_are_used_agree_with_a_header_of_twelve(kind: str) -> None:
    data = with_frame(FILM, SYNTAXES[kind], frame(kind, FILM, 16), **TWELVE, **WINDOW)
    np.testing.assert_array_equal(read(data).pixels, twin(**WINDOW))
    assert read(data).facts.bits == 12


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", *JPEG_2000_KINDS])
def test_a_frame_of_eight_bits_in_sixteen_is_read(kind: str) -> None:
    eight = (FILM >> 4).astype(np.uint8)
    data = with_frame(FILM, SYNTAXES[kind], frame(kind, eight, 8), BitsStored=8, HighBit=7)
    expected = read(dicom(eight.astype(np.uint16), BitsStored=8, HighBit=7)).pixels
    np.testing.assert_array_equal(read(data).pixels, expected)


@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", *JPEG_2000_KINDS])
def test_more_bits_than_are_allocated_are_unreadable_and_both_named(kind: str) -> None:
    eight = (FILM >> 4).astype(np.uint8)
    error = rejected(with_frame(eight, SYNTAXES[kind], frame(kind, FILM, 12)))
    found = 16 if kind in {"jpeg-ls", "htj2k"} else 12
    assert str(error) == f"unreadable: its frame has {found} bits a pixel, its header says 8"


# What surrounds a frame


def endings(kind: str) -> dict[str, bytes]:
    """A whole frame with other things behind it than the delimiter, and what was there before."""
    whole = with_frame(FILM, SYNTAXES[kind], frame(kind, FILM, 12), **TWELVE)
    bare = whole[: -len(DELIMITER)]
    padding = b"\xfc\xff\xfc\xff" + b"OB\0\0" + struct.pack("<I", 16) + bytes(16)
    return {
        "nothing": bare,
        "half a delimiter": bare + DELIMITER[:5],
        "zeros": bare + bytes(16),
        "many zeros": bare + bytes(5000),
        "data set trailing padding": bare + padding,
        "padding behind the delimiter": whole + padding,
    }


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", SYNTAXES)
@pytest.mark.parametrize("ending", endings("rle"))
def test_a_whole_frame_is_read_whatever_stands_in_place_of_its_delimiter(
    ending: str, kind: str
) -> None:
    np.testing.assert_array_equal(read(endings(kind)[ending]).pixels, twin())


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", SYNTAXES)
@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_a_frame_that_is_cut_is_truncated(keep: float, kind: str) -> None:
    whole = with_frame(FILM, SYNTAXES[kind], frame(kind, FILM, 12), **TWELVE)
    start = whole.index(b"\xe0\x7f\x10\0OB")
    error = rejected(whole[: start + int((len(whole) - start) * keep)])
    assert error.reason is Reason.TRUNCATED


@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", *JPEG_2000_KINDS])
def test_a_file_cut_between_two_fragments_is_truncated(kind: str) -> None:
    packed = frame(kind, FILM, 12)
    half = len(packed) // 4 * 2
    whole = with_frame(FILM, SYNTAXES[kind], packed[:half], packed[half:], **TWELVE)
    assert rejected(whole[: whole.rindex(ITEM)]).reason is Reason.TRUNCATED
    np.testing.assert_array_equal(read(whole).pixels, twin())


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "rle"])
def test_half_a_frame_in_a_whole_file_is_unreadable_as_sending_again_does_not_help(
    kind: str,
) -> None:
    packed = frame(kind, FILM, 12)
    error = rejected(with_frame(FILM, SYNTAXES[kind], packed[: len(packed) // 2], **TWELVE))
    assert error.reason is Reason.UNREADABLE


def test_something_else_between_the_fragments_is_named() -> None:
    packed = frame("jpeg lossless", FILM, 12)
    fragments = item(b"") + item(packed[:1000]) + b"\x10\0\x20\0" + bytes(4) + item(packed[1000:])
    error = rejected(with_pixel_data(FILM, JPEG_LOSSLESS, fragments, **TWELVE))
    assert str(error) == (
        "unreadable: found (0010,0020) among the fragments of the pixel data, "
        "expected an item (FFFE,E000) or the delimiter (FFFE,E0DD)"
    )


@pytest.mark.parametrize("kind", SYNTAXES)
def test_a_frame_without_offset_table_is_read(kind: str) -> None:
    value = item(frame(kind, FILM, 12)) + DELIMITER
    data = with_pixel_data(FILM, SYNTAXES[kind], value, **TWELVE)
    np.testing.assert_array_equal(read(data).pixels, twin())


@pytest.mark.parametrize("kind", SYNTAXES)
def test_fragments_under_a_definite_length_are_read(kind: str) -> None:
    value = item(b"") + item(frame(kind, FILM, 12))
    data = with_pixel_data(FILM, SYNTAXES[kind], value, len(value), **TWELVE)
    np.testing.assert_array_equal(read(data).pixels, twin())


@pytest.mark.parametrize("kind", SYNTAXES)
def test_a_frame_without_any_fragments_is_read(kind: str) -> None:
    packed = frame(kind, FILM, 12)
    packed += b"\0" * (len(packed) % 2)
    data = with_pixel_data(FILM, SYNTAXES[kind], packed, len(packed), **TWELVE)
    np.testing.assert_array_equal(read(data).pixels, twin())


@pytest.mark.parametrize("kind", SYNTAXES)
def test_two_frames_where_the_header_says_one_are_multi_frame(kind: str) -> None:
    packed = frame(kind, FILM, 12)
    error = rejected(with_frame(FILM, SYNTAXES[kind], packed, packed, **TWELVE))
    assert str(error) == (
        "multi-frame image: its pixel data has 2 frames, expected the one that its header says"
    )


def test_pixels_that_are_missing_in_a_whole_file_are_unreadable_and_counted() -> None:
    error = rejected(dicom(FILM, **TWELVE, PixelData=FILM[:50].tobytes()))
    assert str(error) == "unreadable: the pixel data has 6400 bytes, expected 12288"


def test_twice_as_many_bytes_as_the_header_says_are_unreadable_and_counted() -> None:
    error = rejected(dicom(FILM, **TWELVE, PixelData=FILM.tobytes() * 2))
    assert str(error) == "unreadable: the pixel data has 24576 bytes, expected 12288"


# The file meta information and the byte order


def meta(element: int, value: bytes) -> bytes:
    """An element of group 2 in implicit VR."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 2, element, len(value)) + value


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("preamble", [bytes(128) + b"DICM", b""], ids=["preamble", "bare"])
@pytest.mark.parametrize("kind", SYNTAXES)
def test_file_meta_information_in_implicit_vr_is_read(kind: str, preamble: bytes) -> None:
    whole = with_frame(FILM, SYNTAXES[kind], frame(kind, FILM, 12), **TWELVE)
    group = meta(2, b"1.2.840.10008.5.1.4.1.1.1.2") + meta(3, b"1.2.3.4")
    group += meta(0x10, SYNTAXES[kind].encode()) + meta(0x12, b"1.2.3")
    group = meta(0, struct.pack("<I", len(group))) + group
    start = 144 + int.from_bytes(whole[140:144], "little")
    np.testing.assert_array_equal(read(preamble + group + whole[start:]).pixels, twin())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, BIG, DEFLATED])
def test_uncompressed_files_with_file_meta_information_in_implicit_vr_are_read(syntax: str) -> None:
    pixels = FILM.astype(">u2") if syntax == BIG else FILM
    whole = dicom(pixels, UID(syntax), **TWELVE)
    group = meta(2, b"1.2.840.10008.5.1.4.1.1.1.2") + meta(0x10, syntax.encode())
    group = meta(0, struct.pack("<I", len(group))) + group
    start = 144 + int.from_bytes(whole[140:144], "little")
    image = read(bytes(128) + b"DICM" + group + whole[start:])
    np.testing.assert_array_equal(image.pixels, twin())


@pytest.mark.parametrize("start", [b"", bytes(128) + b"DICM"], ids=["bare", "preamble"])
@pytest.mark.parametrize("kind", SYNTAXES)
def test_a_frame_without_any_transfer_syntax_is_read(kind: str, start: bytes) -> None:
    whole = with_frame(FILM, SYNTAXES[kind], frame(kind, FILM, 12), **TWELVE)
    data_set = whole[144 + int.from_bytes(whole[140:144], "little") :]
    np.testing.assert_array_equal(read(start + data_set).pixels, twin())


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("said", SYNTAXES)
def test_a_jpeg_of_eight_bits_is_read_under_any_syntax(said: str) -> None:
    eight = (FILM >> 4).astype(np.uint8)
    packed = raster("jpg", eight)
    right = read(with_frame(eight, UID("1.2.840.10008.1.2.4.50"), packed)).pixels
    np.testing.assert_array_equal(read(with_frame(eight, SYNTAXES[said], packed)).pixels, right)


@pytest.mark.parametrize("start", ["preamble", "meta", "data set"])
def test_big_endian_is_read_with_and_without_what_comes_before_the_data_set(start: str) -> None:
    whole = dicom(FILM.astype(">u2"), BIG, **TWELVE)
    cut = {"preamble": 0, "meta": 132, "data set": whole.index(b"\0\x08\0\x16")}[start]
    image = read(whole[cut:])
    assert image.facts.transfer_syntax == "Explicit VR Big Endian"
    np.testing.assert_array_equal(image.pixels, twin())


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
        ("1.2.840.10008.1.2.4.112", "JPEG XL"),
        ("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced"),
        ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
        ("1.2.840.10008.1.2.4.999", "an unknown one, 1.2.840.10008.1.2.4.999"),
        ("1.2.840.113619.5.2", "a private one"),
        ("1.2.840.10008.SECRET", "a private one"),
    ],
)
def test_what_cannot_be_decoded_is_named_unless_it_is_private(uid: str, said: str) -> None:
    error = rejected(with_frame(FILM, UID(uid), frame("rle", FILM, 12), **TWELVE))
    assert str(error) == f"unsupported transfer syntax: {said}"


def test_a_header_for_run_lengths_of_other_bytes_names_them() -> None:
    eight = (FILM >> 4).astype(np.uint8)
    error = rejected(with_frame(FILM, RLE, frame("rle", eight, 8), **TWELVE))
    assert "run lengths of 2 byte(s) a pixel" in error.detail
