"""
Rules for DICOM objects by their headers: accepted, flagged or rejected.

docs/reference/dicom.md shows the same table to people; a test compares the two. SOP classes alone
decide nothing but tomosynthesis: scanned films come as Secondary Capture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pydicom import Dataset

from edge.domain import OWN, Flag, Implants
from edge.errors import ImageRejected, Reason
from edge.inference.image import tags
from edge.inference.image.attributes import number, text
from edge.inference.image.presentation import is_for_processing

Verdict: TypeAlias = Literal["accepted", "flagged", "rejected", "as set"]

TOMOSYNTHESIS: Final = "1.2.840.10008.5.1.4.1.1.13.1.3"
RADIOGRAPHS: Final = frozenset({"CR", "DX", "RG"})
"""Modalities as which mammograms on phosphor plates and scanned films come."""
MAGNIFIED: Final = 1.3
"""
Estimated Radiographic Magnification Factor from which it is a magnification view; contact views
have up to about 1.1.
"""
PARTIAL: Final = frozenset({"tangential", "cleavage", "axillary tail", "axillary tissue"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    what: str
    known_by: str
    verdict: Verdict
    holds: Callable[[Dataset], bool]
    flag: Flag | None = None
    """The flag that a score is published with."""
    reason: Reason = Reason.NOT_A_MAMMOGRAM
    detail: str = ""
    """The sentence of a rejection."""


def look_at(header: Dataset, implants: Implants) -> tuple[Flag, ...]:
    """
    Say what a header stands for.

    Args:
        header: of the DICOM object, without its pixels.
        implants: what becomes of breasts with implants.

    Returns:
        The flags that its score is published with, in the order of the table.

    Raises:
        ImageRejected: it is nothing that the model was made for.
    """
    found = [rule for rule in RULES if rule.verdict != "accepted" and rule.holds(header)]
    for rule in found:
        if rule.verdict == "rejected" or (rule.verdict == "as set" and implants == "reject"):
            raise ImageRejected(rule.reason, rule.detail or _modality_detail(header))
    return tuple(
        rule.flag
        for rule in found
        if rule.flag and not (rule.verdict == "as set" and implants == "accept")
    )


def _modality_detail(header: Dataset) -> str:
    modality = text(header, "Modality")
    # free text is not repeated
    return f"Modality is {modality if modality in tags.MODALITIES else 'another'}, expected MG"


def is_own(header: Dataset) -> bool:
    """Tell if mammo-edge made an object, such as a capture that a PACS sends back."""
    made_by = [
        text(header, keyword) for keyword in ("Manufacturer", "SecondaryCaptureDeviceManufacturer")
    ]
    titled = text(header, "SeriesDescription").startswith(f"{OWN.upper()}:")
    return titled or OWN.upper() in made_by


def _says(keyword: str, *values: str) -> Callable[[Dataset], bool]:
    return lambda header: text(header, keyword) in values


def _image_type(header: Dataset) -> frozenset[str]:
    value = header.get("ImageType") or ()
    return frozenset(
        str(part).strip().upper() for part in ([value] if isinstance(value, str) else value)
    )


def _other_modality(header: Dataset) -> bool:
    return text(header, "Modality") not in {"", "MG"} and not _radiograph(header)


def _radiograph(header: Dataset) -> bool:
    return text(header, "Modality") in RADIOGRAPHS and text(header, "BodyPartExamined").startswith(
        ("BREAST", "MAMM")
    )


def _phantom(header: Dataset) -> bool:
    return (
        text(header, "QualityControlImage") == "YES"
        or text(header, "BodyPartExamined") == "PHANTOM"
    )


def _specimen(header: Dataset) -> bool:
    return tags.view(header) == "SPECIMEN" or bool(header.get("SpecimenDescriptionSequence"))


def _magnification(header: Dataset) -> bool:
    try:
        factor = number(header, "EstimatedRadiographicMagnificationFactor") or 1.0
    except ValueError:
        factor = 1.0
    return factor >= MAGNIFIED or "magnification" in tags.view_modifiers(header)


def _modifier(name: str) -> Callable[[Dataset], bool]:
    return lambda header: name in tags.view_modifiers(header)


def _implant(header: Dataset) -> bool:
    return text(header, "BreastImplantPresent") == "YES"


def _partial(header: Dataset) -> bool:
    stereo = any(part.startswith("STEREO") for part in _image_type(header))
    return (
        text(header, "PartialView") == "YES"
        or stereo
        or bool(PARTIAL & tags.view_modifiers(header))
    )


def _contrast(header: Dataset) -> bool:
    words = {
        "SUBTRACTION",
        "SUBTRACTED",
        "RECOMBINED",
        "DES_SUBTRACTED",
        "LOW_ENERGY",
        "HIGH_ENERGY",
    }
    return bool(header.get("ContrastBolusAgent") or words & _image_type(header))


def _synthesized(header: Dataset) -> bool:
    return any(part.startswith(("TOMO", "GENERATED_2D")) for part in _image_type(header))


def _other_body_part(header: Dataset) -> bool:
    part = text(header, "BodyPartExamined")
    return bool(part) and not part.startswith(("BREAST", "MAMM")) and not _phantom(header)


RULES: Final = (
    Rule(
        "an object that mammo-edge made",
        "Manufacturer or Secondary Capture Device Manufacturer `mammo-edge`, or Series Description "
        "`mammo-edge: ...`",
        "rejected",
        is_own,
        detail="it was made by mammo-edge itself: keep the PACS from sending its objects back",
    ),
    Rule("no modality", "Modality absent or empty", "accepted", _says("Modality", "")),
    Rule("a mammogram, whatever its SOP class", "Modality MG", "accepted", _says("Modality", "MG")),
    Rule(
        "a breast on a phosphor plate or a scanned film",
        "Modality CR, DX or RG, and Body Part Examined BREAST... or MAMM...",
        "flagged",
        _radiograph,
        "other-modality",
    ),
    Rule("any other modality", "Modality", "rejected", _other_modality),
    Rule(
        "tomosynthesis",
        "SOP Class UID Breast Tomosynthesis Image Storage",
        "rejected",
        lambda header: str(header.get("SOPClassUID", "")) == TOMOSYNTHESIS,
        reason=Reason.MULTI_FRAME,
        detail="it is a tomosynthesis, expected one projection",
    ),
    Rule(
        "a phantom or another quality control image",
        "Quality Control Image YES, or Body Part Examined PHANTOM",
        "rejected",
        _phantom,
        detail="it is a quality control image",
    ),
    Rule(
        "a specimen",
        "view 127457009, View Position SPECIMEN, or Specimen Description Sequence",
        "rejected",
        _specimen,
        detail="it is a specimen, expected a breast",
    ),
    Rule(
        "a magnification view",
        "view modifier 399163009, or Estimated Radiographic Magnification Factor from 1.3 up",
        "rejected",
        _magnification,
        detail="it is a magnification view, expected a whole breast",
    ),
    Rule(
        "a spot compression view",
        "view modifier 399055006",
        "rejected",
        _modifier("spot compression"),
        detail="it is a spot compression view, expected a whole breast",
    ),
    Rule(
        "a breast with an implant",
        "Breast Implant Present YES",
        "as set",
        _implant,
        "implant",
        detail="the breast has an implant, and the settings reject those",
    ),
    Rule(
        "an implant-displaced view",
        "view modifier 399209000",
        "flagged",
        _modifier("implant displaced"),
        "implant-displaced",
    ),
    Rule(
        "part of a breast",
        "Partial View YES, view modifier tangential, cleavage, axillary "
        "tail or axillary tissue, or a STEREO... Image Type",
        "flagged",
        _partial,
        "partial-view",
    ),
    Rule(
        "a contrast-enhanced image",
        "Contrast/Bolus Agent, or Image Type LOW_ENERGY, HIGH_ENERGY, "
        "RECOMBINED, SUBTRACTION, SUBTRACTED or DES_SUBTRACTED",
        "flagged",
        _contrast,
        "contrast",
    ),
    Rule(
        "an image computed from a tomosynthesis",
        "Image Type GENERATED_2D... or TOMO...",
        "flagged",
        _synthesized,
        "synthesized",
    ),
    Rule(
        "burned-in text",
        "Burned In Annotation YES",
        "flagged",
        _says("BurnedInAnnotation", "YES"),
        "burned-in-annotation",
    ),
    Rule(
        "detector values",
        "Presentation Intent Type FOR PROCESSING, or an SOP Class of that name",
        "flagged",
        is_for_processing,
        "for-processing",
    ),
    Rule(
        "another part of the body",
        "Body Part Examined neither empty nor BREAST... or MAMM...",
        "flagged",
        _other_body_part,
        "other-body-part",
    ),
)
