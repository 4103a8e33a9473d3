"""Woman and machine of a header: for the ledger, and in no representation."""

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from edge.inference.image import Limits, decode
from edge.inference.image.provenance import provenance_of
from tests.support.films import deep, dicom, small


def header(**tags: object) -> Dataset:
    dataset = Dataset()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def test_a_woman_is_known_by_issuer_and_id_and_no_other_tag() -> None:
    own = header(PatientID=" 4711 ", IssuerOfPatientID="NORTH", PatientName="Doe^Jane")
    assert provenance_of(own).woman == "NORTH\\4711"
    assert provenance_of(header(PatientID="4711")).woman == "\\4711"
    assert provenance_of(header(IssuerOfPatientID="NORTH", PatientName="Doe^Jane")).woman is None
    assert provenance_of(header(PatientID=None)).woman is None


def test_a_damaged_tag_is_none_and_the_image_is_still_read() -> None:
    raw = RawDataElement(Tag("IssuerOfPatientID"), "US", 3, b"\1\2\3", 0, False, True)  # noqa: FBT003
    damaged = header(PatientID="4711")
    damaged[Tag("IssuerOfPatientID")] = raw
    assert provenance_of(damaged).woman is None


def test_two_machines_of_a_model_are_two() -> None:
    same = {"Manufacturer": "HOLOGIC, Inc.", "ManufacturerModelName": "Selenia"}
    found = {
        provenance_of(header(**same, **more)).machine
        for more in ({"DeviceSerialNumber": "1"}, {"DeviceSerialNumber": "2"}, {})
    }
    assert len(found) == 3
    assert provenance_of(header()).machine is None


@pytest.mark.parametrize(
    ("manufacturer", "maker"),
    [
        ("HOLOGIC, Inc.", "hologic"),
        ("LORAD, A Hologic Company", "hologic"),
        ("GE MEDICAL SYSTEMS", "ge"),
        ("GE Healthcare", "ge"),
        ("GEORGE WASHINGTON", "other"),
        ("Siemens Healthineers", "siemens"),
        ("FUJIFILM Corporation", "fujifilm"),
        ("Doe^Jane", "other"),
        ("", None),
    ],
)
def test_a_maker_is_a_code_from_a_closed_list(manufacturer: str, maker: str | None) -> None:
    assert provenance_of(header(Manufacturer=manufacturer)).maker == maker


def test_neither_shows_in_a_representation() -> None:
    tags = {"PatientID": "QZXJWV", "Manufacturer": "QZXJWV", "DeviceSerialNumber": "QZXJWV"}
    image = decode(dicom(deep(small(96, 64), 12), BitsStored=12, HighBit=11, **tags), Limits())
    assert image.provenance is not None
    assert image.provenance.woman == "\\QZXJWV"
    assert "QZXJWV" not in repr(image)
