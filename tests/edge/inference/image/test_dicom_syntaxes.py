"""
Every transfer syntax that is read, each with a real mammogram, as other people's programs write it.
"""

import subprocess
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, HTJ2KLossless, HTJ2KLosslessRPCL

from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, Mammogram, codecs, decode
from tests.support.films import crop, dicom
from tests.support.tools import need

DCMTK, GDCM = "dcmtk", "libgdcm-tools"
LOSSLESS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Implicit VR Little Endian": (DCMTK, "dcmconv", ("+ti",)),
    "Explicit VR Little Endian": (DCMTK, "dcmconv", ("+te",)),
    "Explicit VR Big Endian": (DCMTK, "dcmconv", ("+tb",)),
    "Deflated Explicit VR Little Endian": (DCMTK, "dcmconv", ("+td",)),
    "RLE Lossless": (DCMTK, "dcmcrle", ()),
    "RLE Lossless, GDCM": (GDCM, "gdcmconv", ("--rle",)),
    "JPEG Lossless, Non-Hierarchical (Process 14)": (DCMTK, "dcmcjpeg", ("+el",)),
    "JPEG Lossless, Non-Hierarchical (Process 14), predictor 4": (
        DCMTK,
        "dcmcjpeg",
        ("+el", "+sv", "4"),
    ),
    "JPEG Lossless, Non-Hierarchical, First-Order Prediction": (DCMTK, "dcmcjpeg", ("+e1",)),
    "JPEG Lossless, Non-Hierarchical, First-Order Prediction, GDCM": (
        GDCM,
        "gdcmconv",
        ("--jpeg",),
    ),
    "JPEG-LS Lossless Image Compression": (DCMTK, "dcmcjpls", ("+el",)),
    "JPEG-LS Lossless Image Compression, GDCM": (GDCM, "gdcmconv", ("--jpegls",)),
    "JPEG 2000 Image Compression (Lossless Only)": (GDCM, "gdcmconv", ("--j2k",)),
}
LOSSY: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "JPEG Extended (Process 2 and 4)": (DCMTK, "dcmcjpeg", ("+ee", "+sr")),
    "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)": (
        DCMTK,
        "dcmcjpeg",
        ("+es", "+sr"),
    ),
    "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)": (
        DCMTK,
        "dcmcjpeg",
        ("+ep", "+sr"),
    ),
    "JPEG-LS Lossy (Near-Lossless) Image Compression": (DCMTK, "dcmcjpls", ("+en",)),
    "JPEG 2000 Image Compression": (GDCM, "gdcmconv", ("--j2k", "--lossy", "-q", "80")),
}
DEPTHS = {
    "8": ("u1", 8),
    "12 in 16": ("u2", 12),
    "16": ("u2", 16),
    "signed 12 in 16": ("i2", 12),
    "signed 16": ("i2", 16),
}


@cache
def plain(depth: str) -> bytes:
    kind, bits = DEPTHS[depth]
    values = (crop() >> (16 - bits)).astype(np.int32)
    if kind == "i2":
        values -= 2 ** (bits - 1)
    return dicom(values.astype(kind), BitsStored=bits, HighBit=bits - 1)


def converted(source: bytes, command: tuple[str, str, tuple[str, ...]], folder: Path) -> bytes:
    package, tool, options = command
    (folder / "plain.dcm").write_bytes(source)
    subprocess.run(
        [need(tool, package), *options, folder / "plain.dcm", folder / "packed.dcm"],
        check=True,
        capture_output=True,
    )
    return (folder / "packed.dcm").read_bytes()


def read(data: bytes) -> Mammogram:
    return decode(data, Limits())


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", LOSSLESS)
def test_what_was_packed_without_loss_gives_the_same_pixels(
    name: str, depth: str, tmp_path: Path
) -> None:
    image = read(converted(plain(depth), LOSSLESS[name], tmp_path))
    assert (image.facts.transfer_syntax or "").startswith(name.partition(", ")[0])
    np.testing.assert_array_equal(image.pixels, read(plain(depth)).pixels)


@pytest.mark.parametrize("name", LOSSY)
def test_what_was_packed_with_loss_gives_nearly_the_same_pixels(name: str, tmp_path: Path) -> None:
    if "JPEG " in name and "2000" not in name and codecs.fast is None:
        pytest.skip("imagecodecs is missing: pip install -r requirements/fast.in")
    image = read(converted(plain("12 in 16"), LOSSY[name], tmp_path))
    assert image.facts.transfer_syntax == name
    expected = read(plain("12 in 16")).pixels.astype(int)
    assert np.abs(image.pixels.astype(int) - expected).mean() < 65535 * 0.005
    assert np.corrcoef(image.pixels.ravel(), expected.ravel())[0, 1] > 0.995


@pytest.mark.parametrize(
    "name", ["JPEG Extended (Process 2 and 4)", "JPEG-LS Lossy (Near-Lossless) Image Compression"]
)
def test_what_dcmtk_packs_with_loss_is_unpacked_as_dcmtk_does(name: str, tmp_path: Path) -> None:
    if codecs.fast is None:
        pytest.skip("imagecodecs is missing: pip install -r requirements/fast.in")
    packed = converted(plain("12 in 16"), LOSSY[name], tmp_path)
    tool = "dcmdjpeg" if "Extended" in name else "dcmdjpls"
    unpacked = converted(packed, (DCMTK, tool, ()), tmp_path)
    np.testing.assert_allclose(
        read(packed).pixels.astype(int), read(unpacked).pixels.astype(int), atol=65535 / 4095
    )


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("options", [("+eb",), ("+ee",)], ids=["baseline", "extended"])
def test_eight_bit_jpeg_needs_no_extra(options: tuple[str, ...], tmp_path: Path) -> None:
    image = read(converted(plain("8"), (DCMTK, "dcmcjpeg", (*options, "+sr")), tmp_path))
    expected = read(plain("8")).pixels.astype(int)
    assert np.abs(image.pixels.astype(int) - expected).mean() < 65535 * 0.01


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL])
def test_lossless_htj2k_gives_the_same_pixels(syntax: str) -> None:
    image = read(repacked(plain("16"), UID(syntax), _htj2k))
    assert "High-Throughput" in (image.facts.transfer_syntax or "")
    np.testing.assert_array_equal(image.pixels, read(plain("16")).pixels)


def _htj2k(pixels: NDArray[np.uint16]) -> bytes:
    imagecodecs = pytest.importorskip(
        "imagecodecs", reason="imagecodecs is missing: pip install -r requirements/fast.in"
    )
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))


def repacked(source: bytes, syntax: UID, pack: Callable[[NDArray[np.uint16]], bytes]) -> bytes:
    dataset = pydicom.dcmread(BytesIO(source))
    dataset.PixelData = encapsulate([pack(dataset.pixel_array)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_twelve_bit_jpeg_without_imagecodecs_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = converted(plain("12 in 16"), LOSSY["JPEG Extended (Process 2 and 4)"], tmp_path)
    monkeypatch.setattr(codecs, "fast", None)
    with pytest.raises(
        ImageRejected,
        match=(
            r"^unsupported transfer syntax: JPEG Extended \(Process "
            r"2 and 4\), .* mammo-edge\[fast\]"
        ),
    ):
        read(packed)


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        (
            "1.2.840.10008.1.2.4.92",
            "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)",
        ),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        ("1.2.840.10008.1.2.4.66", "JPEG Lossless, Hierarchical (Process 29)"),
        ("1.2.840.113619.5.2", "a private one"),
    ],
)
def test_what_cannot_be_decoded_is_named(uid: str, said: str) -> None:
    data = bytearray(plain("12 in 16"))
    at = data.index(b"\x02\0\x10\0UI") + 6
    old = int.from_bytes(data[at : at + 2], "little")
    value = uid.encode() + b"\0" * (len(uid) % 2)
    data[at : at + 2 + old] = len(value).to_bytes(2, "little") + value
    with pytest.raises(ImageRejected) as caught:
        read(bytes(data))
    assert str(caught.value) == f"{Reason.UNSUPPORTED_TRANSFER_SYNTAX}: {said}"


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize(
    "name",
    [
        "RLE Lossless",
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
        "JPEG-LS Lossless Image Compression",
    ],
)
def test_a_frame_in_several_fragments_is_joined(name: str, tmp_path: Path) -> None:
    packed = converted(plain("12 in 16"), LOSSLESS[name], tmp_path)
    cut = fragmented(packed, 1000)
    np.testing.assert_array_equal(read(cut).pixels, read(packed).pixels)


def fragmented(packed: bytes, size: int) -> bytes:
    dataset = pydicom.dcmread(BytesIO(packed))
    whole = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([whole], fragments_per_frame=-(-len(whole) // size))
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize(("rows", "columns"), [(60_000, 60_000), (161, 128)])
def test_a_frame_of_another_size_than_the_header_says_is_not_decoded(
    rows: int, columns: int, tmp_path: Path
) -> None:
    packed = bytearray(
        converted(plain("12 in 16"), LOSSLESS["JPEG-LS Lossless Image Compression"], tmp_path)
    )
    at = packed.index(b"\xff\xf7") + 5
    packed[at : at + 4] = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    with pytest.raises(ImageRejected) as caught:
        read(bytes(packed))
    assert (
        str(caught.value)
        == f"unreadable: the compressed frame is {rows} x {columns}, the header says 160 x 128"
    )
