"""Data sets that are not encoded as their file meta information says, and what is read of them."""

import itertools
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from edge.errors import Reason
from edge.inference.image import Limits, decode
from tests.support.decoded import rejected
from tests.support.films import dicom, small
from tests.support.frames import with_syntax

FILM = small(96, 64).astype(np.uint16) << 4
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
}
DEFLATED = DeflatedExplicitVRLittleEndian


def read(data: bytes) -> NDArray[Any]:
    return decode(data, Limits()).pixels


def film(syntax: UID) -> bytes:
    stored = FILM.astype(">u2") if syntax == ExplicitVRBigEndian else FILM
    return dicom(stored, syntax, **TWELVE)


def meta_of(data: bytes) -> int:
    """The end of the file meta information."""
    return 144 + int(struct.unpack_from("<I", data, 140)[0])


@pytest.mark.parametrize(("is_in", "said"), list(itertools.permutations(SYNTAXES, 2)))
def test_a_data_set_is_read_in_its_own_encoding_whatever_is_said(is_in: str, said: str) -> None:
    data = with_syntax(film(SYNTAXES[is_in]), SYNTAXES[said])
    np.testing.assert_array_equal(read(data), read(film(ExplicitVRLittleEndian)))


@pytest.mark.parametrize("is_in", SYNTAXES)
def test_a_data_set_that_was_never_deflated_is_read_as_it_is(is_in: str) -> None:
    data = with_syntax(film(SYNTAXES[is_in]), DEFLATED)
    np.testing.assert_array_equal(read(data), read(film(ExplicitVRLittleEndian)))


@pytest.mark.parametrize("length", [0x0008, 0x0800])
def test_a_deflated_stream_may_begin_as_a_data_set_does(length: int) -> None:
    """RFC 1951, 3.2.4: a stored block has its length, low byte first, and the complement."""
    plain = film(ExplicitVRLittleEndian)
    said, body = with_syntax(plain, DEFLATED), plain[meta_of(plain) :]
    first = b"\x08" if length == 0x0800 else b"\0"  # bits up to the next byte are ignored
    block = first + struct.pack("<HH", length, length ^ 0xFFFF) + body[:length]
    rest = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = block + rest.compress(body[length:]) + rest.flush()
    np.testing.assert_array_equal(read(said[: meta_of(said)] + stream), read(plain))


@pytest.mark.parametrize("said", [*SYNTAXES, "deflated"])
@pytest.mark.parametrize("is_in", SYNTAXES)
def test_a_data_set_cut_in_its_first_element_is_truncated(is_in: str, said: str) -> None:
    data = with_syntax(film(SYNTAXES[is_in]), (SYNTAXES | {"deflated": DEFLATED})[said])
    cuts = range(meta_of(data), meta_of(data) + 9)
    assert {rejected(data[:cut]).reason for cut in cuts} == {Reason.TRUNCATED}


def test_file_meta_information_cut_anywhere_is_truncated() -> None:
    data = film(ExplicitVRLittleEndian)
    cuts = range(132, meta_of(data))
    assert {rejected(data[:cut]).reason for cut in cuts} == {Reason.TRUNCATED}


def test_a_data_set_in_a_zlib_stream_is_inflated() -> None:
    plain = film(ExplicitVRLittleEndian)
    said = with_syntax(plain, DEFLATED)
    data = said[: meta_of(said)] + zlib.compress(plain[meta_of(plain) :])
    np.testing.assert_array_equal(read(data), read(plain))
    assert rejected(data[:-200]).reason is Reason.TRUNCATED


def test_what_cannot_be_inflated_is_unreadable_and_says_so() -> None:
    said = with_syntax(film(ExplicitVRLittleEndian), DEFLATED)
    error = rejected(said[: meta_of(said)] + b"\xff" * 400)
    assert error.reason is Reason.UNREADABLE
    assert "cannot be inflated" in error.detail


def test_a_deflated_data_set_called_plain_is_unreadable_as_sending_again_does_not_help() -> None:
    error = rejected(with_syntax(film(DEFLATED), ExplicitVRLittleEndian))
    assert error.reason is Reason.UNREADABLE
    assert "Explicit VR Little Endian, but the data set begins with the bytes" in error.detail


@pytest.mark.parametrize("columns", [63, 64])
def test_bytes_in_a_big_endian_file_are_not_exchanged(columns: int) -> None:
    """PS3.5, 7.3: OB is not affected by byte ordering; dcmj2pnm and pydicom read it so."""
    eight = np.ascontiguousarray(small(95, 64)[:, :columns])
    words = dicom(eight, ExplicitVRBigEndian, PixelData=eight.tobytes() + b"\0" * (eight.size % 2))
    data = words.replace(b"\x7f\xe0\0\x10OW", b"\x7f\xe0\0\x10OB")
    assert data != words
    np.testing.assert_array_equal(read(data), eight)


@pytest.mark.parametrize("allocated", [None, ""])
def test_absent_bits_allocated_are_named(allocated: str | None) -> None:
    error = rejected(dicom(FILM, BitsAllocated=allocated))
    assert error.detail == "Bits Allocated is absent, expected 8 or 16"


def with_words(value: bytes) -> bytes:
    """A film whose Rows hold this value."""
    data = film(ExplicitVRLittleEndian)
    rows = b"\x28\0\x10\0US\x02\0" + struct.pack("<H", FILM.shape[0])
    assert rows in data
    return data.replace(rows, rows[:6] + struct.pack("<H", len(value)) + value)


def test_rows_that_stand_twice_are_read_once() -> None:
    twice = with_words(struct.pack("<2H", FILM.shape[0], FILM.shape[0]))
    np.testing.assert_array_equal(read(twice), read(film(ExplicitVRLittleEndian)))


def test_a_number_of_frames_in_words_is_named() -> None:
    data = dicom(FILM, NumberOfFrames="77", **TWELVE).replace(b"77", b"ab")
    assert rejected(data).detail == "Number of Frames is no whole number"
