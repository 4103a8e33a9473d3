"""
Bytes that want to do harm, or were harmed: each has an outcome, soon and in little memory. `make
fuzz` looks for more.
"""

import errno
import io
import os
import socket
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from edge.errors import ImageRejected, Reason, Unavailable
from edge.inference.image import Limits, Mammogram, codecs, decode, open_mammogram
from edge.models.bundle import sha256_of
from tests.fuzz.files import corpus, main, mutated
from tests.support.films import SECRET, dicom, small
from tests.support.raster_files import chunk

MIB = 2**20
LIMITS = Limits(max_bytes=8 * MIB, max_pixels=4_000_000)


@cache
def files() -> dict[str, bytes]:
    return corpus()


def rejected(data: bytes, limits: Limits = LIMITS) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits)
    assert SECRET not in str(caught.value)
    return caught.value


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that Python and numpy had reserved at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


NAMES = sorted(files())
MUTATIONS = 100
"""Of each file; `make fuzz` tries others for as long as is said."""
CUT = {Reason.TRUNCATED, Reason.UNSUPPORTED_FORMAT}
"""The second where nothing is left that tells what it was."""
EXCEPT = {
    "pgm": {Reason.UNREADABLE},  # only the decoder sees where a text ends
    "dicom": {Reason.NO_PIXELS},  # cut between two elements it is a header that lacks nothing
}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_at_any_percent_is_rejected(name: str) -> None:
    data = files()[name]
    for percent in range(1, 100):
        error = rejected(data[: len(data) * percent // 100])
        assert error.reason in CUT | EXCEPT.get(name.split(maxsplit=1)[0], set()), (
            f"{name} cut at {percent} %: {error}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_file_is_read(name: str) -> None:
    assert decode(files()[name], LIMITS).facts.rows > 0


def deflated(body: bytes) -> bytes:
    """A DICOM file whose data set is deflated."""
    plain = dicom(np.zeros((8, 8), np.uint8), pydicom.uid.UID(DeflatedExplicitVRLittleEndian))
    length = struct.unpack_from("<I", plain, 140)[0]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return plain[: 144 + length] + squeeze.compress(body) + squeeze.flush()


def test_a_deflated_bomb_is_inflated_no_further_than_the_limit() -> None:
    bomb = deflated(b"\0" * (64 * MIB))
    assert len(bomb) < 100_000
    assert rejected(bomb).reason is Reason.TOO_LARGE
    assert peak_of(lambda: rejected(bomb)) < 3 * LIMITS.max_bytes


def test_a_png_bomb_is_not_unpacked() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0))
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(b"\0" * (32 * MIB)))
        + chunk(b"IEND", b"")
    )
    assert rejected(bomb).reason is Reason.TOO_LARGE
    assert peak_of(lambda: rejected(bomb)) < MIB


def test_more_rows_inside_a_png_than_it_says_are_not_unpacked() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0))
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(b"\0" * (32 * MIB)))
        + chunk(b"IEND", b"")
    )
    assert decode(bomb, LIMITS).pixels.shape == (64, 64)


def test_a_tiff_bomb_is_not_unpacked() -> None:
    done, data = cv2.imencode(
        ".tiff", np.zeros((64, 64), np.uint8), [cv2.IMWRITE_TIFF_COMPRESSION, 8]
    )
    assert done
    bomb = data.tobytes().replace(
        struct.pack("<HHII", 257, 3, 1, 64), struct.pack("<HHII", 257, 4, 1, 4_000_000)
    )
    bomb = bomb.replace(
        struct.pack("<HHII", 257, 4, 1, 64), struct.pack("<HHII", 257, 4, 1, 4_000_000)
    )
    assert rejected(bomb).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("decoders", ["fast", "light"])
def test_a_run_length_bomb_fills_no_more_than_the_picture(
    decoders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if decoders == "light":
        monkeypatch.setattr(codecs, "fast", None)
    segment = b"\x81\0" * MIB  # 128 bytes each
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + segment
    bomb = encapsulated(frame, np.zeros((64, 64), np.uint8))
    assert peak_of(lambda: outcome(bomb)) < 40 * MIB


@pytest.mark.parametrize(
    "header",
    [(2, 64, 4_144_027_320), (2, 0, 64), (15, *range(64, 79)), (4_000_000_000, 64), (2, 900, 100)],
    ids=str,
)
def test_run_length_segments_outside_of_the_frame_are_unreadable(header: tuple[int, ...]) -> None:
    frame = struct.pack("<16I", *header, *[0] * (16 - len(header))) + b"\x7f" * 600
    assert rejected(encapsulated(frame, np.zeros((16, 16), np.uint16))).reason is Reason.UNREADABLE


def encapsulated(frame: bytes, like: np.ndarray) -> bytes:
    """An RLE file with this frame."""
    whole = dicom(like)
    at = whole.index(b"\xe0\x7f\x10\0OW")
    frame += b"\0" * (len(frame) % 2)
    items = (
        b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0"
        + struct.pack("<I", len(frame))
        + frame
        + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    packed = whole[:at] + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + items
    return packed.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")


@pytest.mark.parametrize("depth", [100, 5_000])
def test_sequences_in_sequences_have_an_end(depth: int) -> None:
    sequence = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * depth
    whole = dicom(np.zeros((16, 16), np.uint8))
    at = whole.index(b"\x08\0\x60\0CS")
    assert isinstance(outcome(whole[:at] + sequence + whole[at:]), Mammogram | ImageRejected)


LENGTHS = (0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_wrong_length_of_the_pixel_data_is_rejected(length: int) -> None:
    whole = bytearray(dicom(np.zeros((16, 16), np.uint16)))
    at = whole.index(b"\xe0\x7f\x10\0OW") + 8
    whole[at : at + 4] = struct.pack("<I", length)
    result = outcome(bytes(whole))
    assert isinstance(result, Mammogram) == (
        length in {0x7FFFFFFF, 0xFFFFFFFE}
    )  # all the pixels are there


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "element",
    [b"\x08\0\x16\0UI", b"\x10\0\x10\0PN", b"\x28\0\x10\0US", b"\x02\0\0\0UL", b"\x02\0\x10\0UI"],
)
def test_a_wrong_length_in_the_header_has_an_outcome(element: bytes, length: int) -> None:
    whole = bytearray(dicom(np.zeros((16, 16), np.uint16)))
    at = whole.index(element) + 6
    whole[at : at + 2] = struct.pack("<H", length & 0xFFFF)
    result = outcome(bytes(whole))
    assert isinstance(result, Mammogram) or SECRET not in str(result)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_wrong_length_of_a_fragment_has_an_outcome(length: int) -> None:
    whole = bytearray(files()["dicom rle"])
    at = whole.index(b"\xfe\xff\0\xe0", whole.index(b"\xe0\x7f\x10\0OB") + 20) + 4
    whole[at : at + 4] = struct.pack("<I", length)
    assert rejected(bytes(whole)).reason in {Reason.TRUNCATED, Reason.UNREADABLE}


def test_an_offset_beyond_any_file_in_a_tiff_is_an_outcome() -> None:
    data = bytearray(files()["tiff big"])
    data[8:16] = b"\xff" * 8
    assert rejected(bytes(data)).reason is Reason.TRUNCATED


def outcome(data: bytes) -> Mammogram | ImageRejected:
    try:
        return decode(data, LIMITS)
    except ImageRejected as error:
        return error


def test_a_tiff_of_many_long_entries_is_not_read_again_and_again() -> None:
    entries, values = 60_000, 400_000  # a minute and more, if each were
    data = (
        struct.pack("<2sHIH", b"II", 42, 8, entries)
        + struct.pack("<HHII", 273, 4, values, 0) * entries
        + bytes(4 * values)
    )
    with pytest.raises(ImageRejected, match="TIFF"):
        decode(data, Limits())


def test_a_file_for_which_no_address_space_is_left_is_too_large_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(small(96, 64)))
    monkeypatch.setattr(
        "edge.inference.image.mmap",
        Mock(side_effect=OSError(errno.ENOMEM, "Cannot allocate memory")),
    )
    with pytest.raises(MemoryError):
        open_mammogram(path, Limits())


def test_a_file_on_a_mount_that_maps_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(small(96, 64)))
    mapped = open_mammogram(path, Limits()).pixels.copy()
    monkeypatch.setattr(
        "edge.inference.image.mmap", Mock(side_effect=OSError(errno.ENODEV, "No such device"))
    )
    np.testing.assert_array_equal(open_mammogram(path, Limits()).pixels, mapped)


def test_a_frame_with_more_bits_than_its_header_says_is_unreadable() -> None:
    dataset = pydicom.dcmread(io.BytesIO(files()["dicom jpeg-ls"]))
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    out = io.BytesIO()
    dataset.save_as(out)
    assert rejected(out.getvalue()).reason is Reason.UNREADABLE


def test_a_sparse_file_of_four_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(4 * 2**30)
    with pytest.raises(ImageRejected) as caught:
        open_mammogram(tmp_path / "sparse", Limits())
    assert caught.value.reason is Reason.TOO_LARGE


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("fifo", "device", "."):
        with pytest.raises(ImageRejected, match="not a regular file"):
            open_mammogram(tmp_path / name, Limits())
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(Unavailable):
            open_mammogram(tmp_path / "socket", Limits())


def test_classify_does_not_wait_for_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="it is not a regular file"):
        sha256_of(tmp_path / "fifo")


def test_peak_memory_is_at_most_three_times_the_raw_pixels() -> None:
    """
    What numpy and Python reserve; the libraries' own memory is measured in
    docs/quality/benchmarks.md.
    """
    pixels = np.random.default_rng(0).integers(0, 4096, (1200, 1000)).astype(np.uint16)
    data = dicom(pixels, BitsStored=12, HighBit=11, WindowCenter="2000", WindowWidth="3000")
    tables = (
        6 * MIB
    )  # what is worked out once for each possible value, whatever the size of the picture
    assert peak_of(lambda: decode(data, Limits())) < 2 * pixels.nbytes + tables


def test_uncompressed_pixels_are_mapped_not_copied(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (1200, 1000)).astype(np.uint16)
    (tmp_path / "a.dcm").write_bytes(dicom(pixels))
    image = open_mammogram(tmp_path / "a.dcm", Limits())
    np.testing.assert_array_equal(image.pixels, pixels)
    assert not image.pixels.flags.owndata
    assert not image.pixels.flags.writeable


@pytest.mark.parametrize("name", NAMES)
def test_any_mutation_of_a_real_file_has_an_outcome(name: str) -> None:
    for seed in range(MUTATIONS):
        result = outcome(mutated(files()[name], seed))
        assert isinstance(result, Mammogram) or SECRET not in str(result)


def test_whole_files_have_an_outcome_from_workers_without_the_extra_fast(tmp_path: Path) -> None:
    """What `make fuzz DECODER=gdcm` ends with."""
    pytest.importorskip(
        "imagecodecs", reason="imagecodecs is missing: pip install -r requirements/fast.in"
    )
    assert main(0, tmp_path, "gdcm") == 0
