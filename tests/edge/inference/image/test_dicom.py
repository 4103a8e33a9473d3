"""DICOM files, whole and broken."""

import re
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, Mammogram, codecs, decode, tags
from edge.inference.image import stored as stored_module
from edge.inference.image.mammogram import ObjectRejected
from tests.support.films import SECRET, deep, demo_files, dicom, small, written
from tests.support.tools import need

SMALL = small(96, 64)
DEEP = deep(SMALL, 12)
PLAIN = dicom(DEEP, BitsStored=12, HighBit=11)


def shipped(name: str) -> bytes:
    """One of pydicom's own test files, from its wheel."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def as_mammogram(name: str) -> bytes:
    """The same, said to be a mammogram."""
    dataset = pydicom.dcmread(BytesIO(shipped(name)))
    dataset.Modality = "MG"
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def rejected(data: bytes, limits: Limits | None = None) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits or Limits())
    assert SECRET not in str(caught.value)
    return caught.value


def outcome(data: bytes) -> Mammogram | ImageRejected:
    try:
        return decode(data, Limits(max_pixels=1_000_000))
    except ImageRejected as error:
        return error


def grey(image: Mammogram) -> NDArray[np.float64]:
    """Pixels from 0 to 1."""
    shares: NDArray[np.float64] = image.pixels / (image.white or 2**image.facts.bits - 1)
    return shares


def test_the_demo_mammograms_say_what_they_are() -> None:
    image = decode(next(demo_files()).read_bytes(), Limits())
    facts = image.facts
    assert (facts.rows, facts.columns, facts.bits, facts.photometric) == (
        4432,
        2864,
        16,
        "MONOCHROME2",
    )
    assert (facts.laterality, facts.view, facts.transfer_syntax, facts.format) == (
        "L",
        "CC",
        "RLE Lossless",
        "dicom",
    )
    assert image.identity is not None


def test_stored_bits_give_the_range_not_the_allocated_ones() -> None:
    image = decode(PLAIN, Limits())
    assert image.facts.bits == 12
    np.testing.assert_allclose(grey(image), DEEP / 4095, atol=1e-4)


def test_eight_bits_stay_as_they_are() -> None:
    np.testing.assert_allclose(grey(decode(dicom(SMALL), Limits())), SMALL / 255, atol=1e-4)


def test_bits_above_the_stored_ones_are_no_part_of_the_value() -> None:
    overlay = DEEP | np.uint16(0xA000)
    image = decode(dicom(overlay, BitsStored=12, HighBit=11), Limits())
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


def test_signed_pixels_keep_their_order() -> None:
    signed = DEEP.astype(np.int16) - 2048
    image = decode(dicom(signed, BitsStored=12, HighBit=11), Limits())
    np.testing.assert_allclose(grey(image), DEEP / 4095, atol=1e-4)


@pytest.mark.parametrize(
    "tags",
    [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}],
    ids=["MONOCHROME1", "INVERSE"],
)
def test_dark_is_dense_is_turned_round(tags: dict[str, str]) -> None:
    image = decode(dicom(4095 - DEEP, BitsStored=12, HighBit=11, **tags), Limits())
    np.testing.assert_allclose(grey(image), DEEP / 4095, atol=1e-4)


def test_a_window_is_applied() -> None:
    image = decode(
        dicom(DEEP, BitsStored=12, HighBit=11, WindowCenter="1000", WindowWidth="1000"), Limits()
    )
    assert (image.pixels[DEEP < 490] == 0).all()
    assert (image.pixels[DEEP > 1510] == 65535).all()
    inside = (DEEP > 600) & (DEEP < 1400)
    np.testing.assert_allclose(grey(image)[inside], (DEEP[inside] - 500.0) / 1000, atol=2e-3)


def test_the_first_of_several_windows_is_applied() -> None:
    one = decode(dicom(DEEP, WindowCenter="1000", WindowWidth="1000"), Limits())
    several = decode(dicom(DEEP, WindowCenter=["1000", "9"], WindowWidth=["1000", "9"]), Limits())
    np.testing.assert_array_equal(several.pixels, one.pixels)


def test_a_window_in_rescaled_units_is_applied_after_the_rescale() -> None:
    tags = {
        "RescaleSlope": "2",
        "RescaleIntercept": "-100",
        "RescaleType": "US",
        "BitsStored": 12,
        "HighBit": 11,
    }
    image = decode(dicom(DEEP, **tags, WindowCenter="1900", WindowWidth="2000"), Limits())
    same = decode(
        dicom(DEEP, BitsStored=12, HighBit=11, WindowCenter="1000", WindowWidth="1000"), Limits()
    )
    np.testing.assert_allclose(grey(image), grey(same), atol=2e-3)


def test_a_sigmoid_window_is_a_sigmoid() -> None:
    image = decode(
        dicom(
            DEEP,
            BitsStored=12,
            HighBit=11,
            WindowCenter="2048",
            WindowWidth="800",
            VOILUTFunction="SIGMOID",
        ),
        Limits(),
    )
    expected = 1 / (1 + np.exp(-4 * (DEEP - 2048.0) / 800))
    np.testing.assert_allclose(grey(image), expected, atol=2e-3)


def test_a_voi_table_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table["LUTDescriptor"].VR = "US"
    table.LUTData = np.minimum(65535, np.arange(4096) * 32).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    image = decode(
        dicom(DEEP, BitsStored=12, HighBit=11, VOILUTSequence=Sequence([table])), Limits()
    )
    np.testing.assert_allclose(grey(image), np.minimum(1, DEEP * 32.0 / 65535), atol=1e-3)


def test_a_window_that_makes_no_sense_is_left_out() -> None:
    image = decode(
        dicom(DEEP, BitsStored=12, HighBit=11, WindowCenter="0", WindowWidth="0"), Limits()
    )
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


def test_padding_is_known_after_the_inversion() -> None:
    padded = 4095 - DEEP
    padded[:, 40:] = 4095
    image = decode(
        dicom(
            padded,
            BitsStored=12,
            HighBit=11,
            PhotometricInterpretation="MONOCHROME1",
            PixelPaddingValue=4095,
        ),
        Limits(),
    )
    assert image.background is not None
    assert (image.pixels[:, 40:] == image.background).all()


def test_an_image_without_padding_has_no_background() -> None:
    assert decode(PLAIN, Limits()).background is None


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=["implicit", "deflated"]
)
def test_uncompressed_syntaxes_give_the_same_pixels(syntax: str) -> None:
    image = decode(dicom(DEEP, pydicom.uid.UID(syntax), BitsStored=12, HighBit=11), Limits())
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


def test_big_endian_gives_the_same_pixels() -> None:
    image = decode(
        dicom(DEEP.astype(">u2"), ExplicitVRBigEndian, BitsStored=12, HighBit=11), Limits()
    )
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


def test_rle_gives_the_same_pixels() -> None:
    dataset = pydicom.dcmread(BytesIO(PLAIN))
    dataset.compress(RLELossless)
    image = decode(written(dataset, RLELossless), Limits())
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


DCMTK = "dcmtk"
CODECS = {
    "JPEG Lossless": ["dcmcjpeg", "+e1"],
    "JPEG Lossless, not first-order": ["dcmcjpeg", "+el"],
    "JPEG-LS": ["dcmcjpls", "+el"],
}


def converted(tmp_path: Path, command: list[str]) -> Mammogram:
    source, target = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    source.write_bytes(PLAIN)
    subprocess.run([*command, source, target], check=True, capture_output=True)
    return decode(target.read_bytes(), Limits())


@pytest.mark.parametrize("codec", CODECS)
def test_what_dcmtk_packs_without_loss_gives_the_same_pixels(codec: str, tmp_path: Path) -> None:
    command = CODECS[codec]
    image = converted(tmp_path, [need(command[0], DCMTK), *command[1:]])
    assert "JPEG" in (image.facts.transfer_syntax or "")
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


def test_lossless_jpeg_2000_gives_the_same_pixels(tmp_path: Path) -> None:
    image = converted(tmp_path, [need("gdcmconv", "libgdcm-tools"), "--j2k"])
    assert "2000" in (image.facts.transfer_syntax or "")
    np.testing.assert_array_equal(image.pixels, decode(PLAIN, Limits()).pixels)


@pytest.mark.parametrize(
    "name",
    [
        "JPEG2000.dcm",
        "693_J2KI.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "MR_small_jp2klossless.dcm",
        "JPEGLSNearLossless_08.dcm",
        "JPEGLSNearLossless_16.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_RLE.dcm",
    ],
)
def test_every_grey_compressed_file_of_pydicom_decodes(name: str) -> None:
    dataset = pydicom.dcmread(BytesIO(shipped(name)))
    image = decode(as_mammogram(name), Limits())
    assert image.pixels.shape == (dataset.Rows, dataset.Columns)
    assert len(np.unique(image.pixels)) > 5


def test_a_file_without_preamble_is_read() -> None:
    np.testing.assert_array_equal(
        decode(PLAIN[132:], Limits()).pixels, decode(PLAIN, Limits()).pixels
    )


def test_a_file_without_file_meta_information_is_read() -> None:
    dataset = pydicom.dcmread(BytesIO(PLAIN))
    dataset.file_meta = FileMetaDataset()
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=True, little_endian=True)
    bare = file.getvalue()
    np.testing.assert_array_equal(
        decode(bare[bare.index(b"\x08\0\x16\0") :], Limits()).pixels, decode(PLAIN, Limits()).pixels
    )


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({"ViewPosition": "MLO"}, "MLO"),
        ({"PatientOrientation": "CC"}, "CC"),
        ({"PatientOrientation": ["P", "L"]}, None),
        ({"ViewPosition": SECRET}, None),
        ({}, None),
    ],
)
def test_only_known_views_are_said(tags: dict[str, object], view: str | None) -> None:
    assert decode(dicom(DEEP, **tags), Limits()).facts.view == view


def test_the_view_code_comes_first() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R-10226", "SNM3", SECRET
    assert (
        decode(
            dicom(DEEP, ViewCodeSequence=Sequence([code]), ViewPosition="CC"), Limits()
        ).facts.view
        == "MLO"
    )


@pytest.mark.parametrize(
    ("tags", "side"),
    [
        ({"ImageLaterality": "R"}, "R"),
        ({"Laterality": "L"}, "L"),
        ({"ImageLaterality": "B"}, None),
        ({}, None),
    ],
)
def test_the_side_is_left_or_right_or_unknown(tags: dict[str, object], side: str | None) -> None:
    assert decode(dicom(DEEP, **tags), Limits()).facts.laterality == side


def test_identity_does_not_show_in_a_representation() -> None:
    image = decode(PLAIN, Limits())
    assert image.identity is not None
    assert image.identity.sop_instance_uid not in repr(image)


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"Modality": "US"}, True),
        ({"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.34"}, False),
        ({"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, False),
    ],
)
def test_a_rejected_object_is_one_of_its_study_but_a_report_of_the_study_is_not(
    tags: dict[str, object], *, named: bool
) -> None:
    found = rejected(dicom(DEEP, **tags))
    assert isinstance(found, ObjectRejected)
    assert (found.identity is not None) == named


def test_a_ct_is_not_a_mammogram() -> None:
    error = rejected(shipped("CT_small.dcm"))
    assert str(error) == "not a mammogram: Modality is CT, expected MG"


def test_a_modality_of_free_text_is_not_repeated() -> None:
    assert rejected(dicom(DEEP, Modality=SECRET)).detail == "Modality is another, expected MG"


def test_only_codes_of_the_standard_are_repeated_as_a_modality() -> None:
    assert all(re.fullmatch(r"[A-Z0-9]{2,}", code) for code in tags.MODALITIES)


def test_a_missing_modality_is_tolerated() -> None:
    assert decode(dicom(DEEP, Modality=None), Limits()).facts.rows == DEEP.shape[0]


def test_a_header_only_has_no_pixels() -> None:
    assert rejected(dicom(DEEP, PixelData=None)).reason is Reason.NO_PIXELS


def test_a_stack_is_multi_frame() -> None:
    stack = np.stack([DEEP, DEEP])
    assert (
        rejected(dicom(stack, Rows=DEEP.shape[0], Columns=DEEP.shape[1], NumberOfFrames=2)).reason
        is Reason.MULTI_FRAME
    )


def test_a_colour_file_is_rejected_as_colour() -> None:
    assert rejected(as_mammogram("SC_rgb_rle.dcm")).reason is Reason.COLOUR


def test_a_picture_over_the_limit_is_refused_before_its_pixels_are_read() -> None:
    assert rejected(dicom(DEEP, Rows=65000, Columns=65000)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_twelve_bit_jpeg_extended_is_unsupported_without_imagecodecs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "fast", None)
    error = rejected(as_mammogram(name))
    assert error.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
    assert (
        error.detail
        == "JPEG Extended (Process 2 and 4), for more than 8 bits install mammo-edge[fast]"
    )


def test_an_unknown_transfer_syntax_is_named() -> None:
    dataset = pydicom.dcmread(BytesIO(PLAIN))
    dataset.compress(RLELossless)
    error = rejected(written(dataset, pydicom.uid.MPEG2MPML))
    assert error.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
    assert "MPEG2" in error.detail


def test_a_private_transfer_syntax_is_not_repeated() -> None:
    dataset = pydicom.dcmread(BytesIO(PLAIN))
    dataset.compress(RLELossless)
    assert "1.2.3" not in rejected(written(dataset, pydicom.uid.UID("1.2.3.4.5"))).detail


def test_thirty_two_bits_are_unsupported() -> None:
    assert rejected(dicom(DEEP.astype(np.uint32))).reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("keep", [0.9, 0.999])
def test_truncated_pixels_are_rejected_as_truncated(keep: float) -> None:
    assert rejected(PLAIN[: int(len(PLAIN) * keep)]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
def test_a_truncated_compressed_file_is_rejected_as_truncated(keep: float) -> None:
    dataset = pydicom.dcmread(BytesIO(PLAIN))
    dataset.compress(RLELossless)
    data = written(dataset, RLELossless)
    assert rejected(data[: int(len(data) * keep)]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("size", [133, 150, 200, 400, 700])
def test_a_file_cut_inside_its_header_is_rejected(size: int) -> None:
    assert rejected(PLAIN[:size]).reason is Reason.TRUNCATED


def test_a_text_named_like_dicom_is_no_known_format() -> None:
    assert rejected(b"This is not a mammogram.").reason is Reason.UNSUPPORTED_FORMAT


def test_nothing_of_the_file_is_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for size in range(300, len(PLAIN), 1500):
        rejected(PLAIN[:size])
    decode(
        dicom(DEEP, ViewPosition=SECRET, PatientBirthDate="not a date", PatientSex=SECRET), Limits()
    )
    assert not caplog.records
    assert SECRET not in "".join(capfd.readouterr())


def test_a_decoder_that_panics_rejects_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(*_: object) -> None:
        raise PanicException

    monkeypatch.setattr(stored_module, "read", panic)
    assert rejected(PLAIN).reason is Reason.UNREADABLE


SYNTAXES = {"plain": PLAIN, "eight": dicom(SMALL)} | {
    name: as_mammogram(name) for name in ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm")
}


@given(
    st.sampled_from(sorted(SYNTAXES)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    st.booleans(),
)
@settings(max_examples=300)
def test_any_damaged_file_has_an_outcome(
    name: str,
    changes: list[tuple[int, int]],
    in_the_header: bool,  # noqa: FBT001 - hypothesis
) -> None:
    data = bytearray(SYNTAXES[name])
    for at, value in changes:
        data[132 + at % (1000 if in_the_header else len(data) - 132)] = value
    result = outcome(bytes(data))
    assert isinstance(result, Mammogram) or SECRET not in str(result)


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_any_bytes_after_the_prefix_have_an_outcome(data: bytes) -> None:
    rejected(b"\0" * 128 + b"DICM" + data)
