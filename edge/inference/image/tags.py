"""The few DICOM attributes that are published: short codes from closed lists, never free text."""

from collections.abc import Mapping
from typing import Final

from pydicom import Dataset

from edge.domain import Identity, Laterality
from edge.inference.image.attributes import items

MODALITIES: Final = frozenset(
    [
        "AR",
        "BI",
        "BMD",
        "CR",
        "CT",
        "DG",
        "DOC",
        "DX",
        "ECG",
        "EPS",
        "ES",
        "GM",
        "HC",
        "HD",
        "IO",
        "IVOCT",
        "IVUS",
        "KER",
        "KO",
        "LS",
        "M3D",
        "MG",
        "MR",
        "NM",
        "OAM",
        "OCT",
        "OP",
        "OPM",
        "OPT",
        "OT",
        "PLAN",
        "PR",
        "PT",
        "PX",
        "REG",
        "RF",
        "RG",
        "RTDOSE",
        "RTIMAGE",
        "RTPLAN",
        "RTRECORD",
        "RTSTRUCT",
        "SC",
        "SEG",
        "SM",
        "SR",
        "TG",
        "US",
        "VA",
        "XA",
        "XC",
    ]
)
"""DICOM PS3.3, C.7.3.1.1.1: what may be repeated of the attribute Modality."""
VIEWS: Final = frozenset(
    {
        "CC",
        "MLO",
        "ML",
        "LM",
        "LMO",
        "XCCL",
        "XCCM",
        "XCC",
        "FB",
        "SIO",
        "ISO",
        "CV",
        "SPECIMEN",
        "AT",
    }
)
VIEW_CODES: Final[Mapping[str, str]] = {
    "399162004": "CC",
    "399368009": "MLO",
    "399260004": "ML",
    "399352003": "LM",
    "399099002": "LMO",
    "399192008": "XCCL",
    "399101009": "XCCM",
    "399196006": "FB",
    "399188001": "SIO",
    "441555000": "ISO",
    "127457009": "SPECIMEN",
    "R-10242": "CC",
    "R-10226": "MLO",
    "R-10224": "ML",
    "R-10228": "LM",
    "R-10230": "LMO",
    "R-1024A": "XCCL",
    "R-1024B": "XCCM",
    "R-10244": "FB",
    "R-102D0": "SIO",
    "R-40AAA": "ISO",
    "G-8310": "SPECIMEN",
}
"""DICOM PS3.16, CID 4014, in SNOMED CT and in the older SNOMED-RT."""

MODIFIER_CODES: Final[Mapping[str, str]] = {
    "399163009": "magnification",
    "399055006": "spot compression",
    "399209000": "implant displaced",
    "399110001": "tangential",
    "399161006": "cleavage",
    "399011000": "axillary tail",
    "442580003": "axillary tissue",
    "R-102D6": "magnification",
    "R-102D7": "spot compression",
    "R-102D5": "implant displaced",
    "R-102C2": "tangential",
    "R-102D2": "cleavage",
    "R-102D1": "axillary tail",
    "R-40AB2": "axillary tissue",
}
"""
DICOM PS3.16, CID 4015, in both; those that leave a whole breast (rolled, nipple in profile, ...)
are not asked for.
"""


def laterality(dataset: Dataset) -> Laterality | None:
    """`L` or `R` from Image Laterality or Laterality, in that order; film sets have neither."""
    for keyword in ("ImageLaterality", "Laterality"):
        match str(dataset.get(keyword, "")).strip().upper():
            case "L":
                return "L"
            case "R":
                return "R"
            case _:
                pass
    return None


def view(dataset: Dataset) -> str | None:
    """The view from View Code Sequence, View Position or, as in film sets, Patient Orientation."""
    for item in items(dataset, "ViewCodeSequence"):
        if code := VIEW_CODES.get(str(item.get("CodeValue", "")).strip()):
            return code
    for keyword in ("ViewPosition", "PatientOrientation"):
        found = str(dataset.get(keyword, "")).strip().upper()
        if found in VIEWS:
            return found
    return None


def view_modifiers(dataset: Dataset) -> frozenset[str]:
    """Read view modifiers, inside the view's code and, as in some files, beside it."""
    holders = [dataset, *items(dataset, "ViewCodeSequence")]
    codes = [
        str(item.get("CodeValue", "")).strip()
        for holder in holders
        for item in items(holder, "ViewModifierCodeSequence")
    ]
    return frozenset(MODIFIER_CODES[code] for code in codes if code in MODIFIER_CODES)


def identity(dataset: Dataset) -> Identity | None:
    """The UIDs that link a result to its object, where both are there."""
    sop, study = (
        str(dataset.get(keyword, "")) for keyword in ("SOPInstanceUID", "StudyInstanceUID")
    )
    return Identity(sop, study) if sop and study else None
