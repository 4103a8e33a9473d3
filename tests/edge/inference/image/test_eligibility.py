"""
Which DICOM objects get a score: the table in docs/reference/dicom.md, the one in the code, and what
happens to such files.
"""

from typing import Any, get_args

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from edge.domain import Flag, Implants
from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, decode
from edge.inference.image.dicom import WHILE_READING
from edge.inference.image.eligibility import RULES
from tests.support.films import SECRET, dicom, small
from tests.support.tools import ROOT

PIXELS = small(48, 32)


def view(code: str, *modifiers: str) -> dict[str, Any]:
    """A View Code Sequence with modifiers in it."""
    item = coded(code)
    item.ViewModifierCodeSequence = Sequence([coded(modifier) for modifier in modifiers])
    return {"ViewCodeSequence": Sequence([item])}


def coded(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", SECRET
    return item


def flags(implants: Implants = "flag", **tags: object) -> tuple[str, ...]:
    return decode(dicom(PIXELS, **tags), Limits(implants=implants)).facts.flags


def rejected(implants: Implants = "flag", **tags: object) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        flags(implants, **tags)
    assert SECRET not in str(caught.value)
    return caught.value


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("no modality", {"Modality": None}),
    ("no modality", {"Modality": ""}),
    ("a mammogram, whatever its SOP class", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
    (
        "a mammogram, whatever its SOP class",
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2", **view("399368009", "414493004")},
    ),
]
FLAGGED: list[tuple[str, dict[str, Any]]] = [
    (
        "a breast on a phosphor plate or a scanned film",
        {"Modality": "CR", "BodyPartExamined": "BREAST"},
    ),
    ("a breast with an implant", {"BreastImplantPresent": "YES"}),
    ("an implant-displaced view", view("399162004", "399209000")),
    ("part of a breast", {"PartialView": "YES"}),
    ("part of a breast", view("R-10242", "R-102D2")),
    ("part of a breast", {"ImageType": ["DERIVED", "PRIMARY", "STEREO_SCOUT"]}),
    ("a contrast-enhanced image", {"ContrastBolusAgent": SECRET}),
    ("a contrast-enhanced image", {"ImageType": ["DERIVED", "PRIMARY", "", "RECOMBINED"]}),
    (
        "an image computed from a tomosynthesis",
        {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]},
    ),
    ("burned-in text", {"BurnedInAnnotation": "YES"}),
    ("detector values", {"PresentationIntentType": "FOR PROCESSING"}),
    ("another part of the body", {"BodyPartExamined": SECRET}),
]
REJECTED: list[tuple[str, dict[str, Any]]] = [
    ("an object that mammo-edge made", {"Manufacturer": "mammo-edge"}),
    ("an object that mammo-edge made", {"SecondaryCaptureDeviceManufacturer": "Mammo-Edge "}),
    ("an object that mammo-edge made", {"SeriesDescription": "mammo-edge: research"}),
    ("any other modality", {"Modality": "CT"}),
    ("any other modality", {"Modality": "CR", "BodyPartExamined": "CHEST"}),
    ("tomosynthesis", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}),
    ("a phantom or another quality control image", {"QualityControlImage": "YES"}),
    ("a phantom or another quality control image", {"BodyPartExamined": "PHANTOM"}),
    ("a specimen", {"ViewPosition": "SPECIMEN"}),
    ("a specimen", view("G-8310")),
    ("a specimen", {"SpecimenDescriptionSequence": Sequence([Dataset()])}),
    ("a magnification view", view("399260004", "399163009")),
    ("a magnification view", {"EstimatedRadiographicMagnificationFactor": "1.8"}),
    ("a spot compression view", view("399260004", "R-102D7")),
    ("a spot compression view", {"ViewModifierCodeSequence": Sequence([coded("399055006")])}),
]


def test_the_table_in_the_documentation_is_the_one_in_the_code() -> None:
    lines = (ROOT / "docs" / "reference" / "dicom.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| object | known by | what happens | flag |") + 2
    shown = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in lines[start : lines.index("", start)]
    ]
    assert shown == [
        (rule.what, rule.known_by, rule.verdict, f"`{rule.flag}`" if rule.flag else "")
        for rule in RULES
    ]


def test_each_row_of_the_table_is_tried_below() -> None:
    assert {what for what, _ in ACCEPTED + FLAGGED + REJECTED} == {rule.what for rule in RULES}


def test_each_flag_has_its_row() -> None:
    from_headers = [rule.flag for rule in RULES if rule.flag]
    assert sorted([*from_headers, *WHILE_READING]) == sorted(get_args(Flag))


def test_flags_that_are_found_while_reading_are_documented() -> None:
    text = (ROOT / "docs" / "reference" / "dicom.md").read_text(encoding="utf-8")
    assert all(f"| {known_by} | `{flag}` |" in text for flag, known_by in WHILE_READING.items())


@pytest.mark.parametrize(("what", "tags"), ACCEPTED)
def test_what_the_table_accepts_has_no_flag(what: str, tags: dict[str, Any]) -> None:
    assert rule(what).verdict == "accepted"
    assert flags(**tags) == ()


@pytest.mark.parametrize(("what", "tags"), FLAGGED)
def test_what_the_table_flags_has_its_flag(what: str, tags: dict[str, Any]) -> None:
    assert rule(what).verdict in {"flagged", "as set"}
    assert flags(**tags) == (rule(what).flag,)


@pytest.mark.parametrize(("what", "tags"), REJECTED)
def test_what_the_table_rejects_gets_no_score(what: str, tags: dict[str, Any]) -> None:
    assert rule(what).verdict == "rejected"
    error = rejected(**tags)
    assert error.reason is rule(what).reason
    assert error.detail == (rule(what).detail or f"Modality is {tags['Modality']}, expected MG")


def rule(what: str) -> Any:  # noqa: ANN401 - a row, told by its own words
    return next(rule for rule in RULES if rule.what == what)


def test_implants_are_as_the_settings_say() -> None:
    assert flags("accept", BreastImplantPresent="YES") == ()
    assert flags("reject", BreastImplantPresent="NO") == ()
    assert rejected("reject", BreastImplantPresent="YES").reason is Reason.NOT_A_MAMMOGRAM


def test_several_flags_stand_in_the_order_of_the_table() -> None:
    found = flags(
        BurnedInAnnotation="YES", BreastImplantPresent="YES", **view("399162004", "399209000")
    )
    assert found == ("implant", "implant-displaced", "burned-in-annotation")


def test_the_view_comes_from_its_code_then_the_position_then_the_orientation() -> None:
    tags: dict[str, Any] = {"ViewPosition": "CC", "PatientOrientation": "ML"}
    assert decode(dicom(PIXELS, **view("399368009"), **tags), Limits()).facts.view == "MLO"
    assert decode(dicom(PIXELS, **view("1"), **tags), Limits()).facts.view == "CC"
    assert decode(dicom(PIXELS, PatientOrientation="ML"), Limits()).facts.view == "ML"


def test_the_side_comes_from_image_laterality_before_laterality() -> None:
    assert (
        decode(dicom(PIXELS, ImageLaterality="R", Laterality="L"), Limits()).facts.laterality == "R"
    )


@pytest.mark.parametrize(
    "broken",
    [{"ViewCodeSequence": Sequence([])}, {"ImageType": ""}, {"ImageType": "ORIGINAL"}],
    ids=str,
)
def test_an_empty_attribute_says_nothing(broken: dict[str, Any]) -> None:
    assert flags(**broken) == ()
