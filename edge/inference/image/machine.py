"""The kind of machine that a DICOM header names; docs/reference/dicom.md says by what."""

from typing import Final

from pydicom import Dataset

from edge.domain import Domain
from edge.inference.image.attributes import text

DIGITAL: Final = frozenset({"1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1"})
"""Digital Mammography X-Ray Image Storage, for presentation and for processing."""
DETECTORS: Final = frozenset({"DIRECT", "SCINTILLATOR", "STORAGE"})
"""Detector Types that are no film; STORAGE is a phosphor plate."""
FILM: Final = "FILM"
SCANNED: Final = frozenset({"DF", "SI"})
"""Conversion Types of scanners: digitized film, scanned image."""


def domain_of(header: Dataset) -> Domain | None:
    """
    Tell a digital mammogram from a scanned film by its header; None if the header does not say.

    Secondary captures without a scanner's Conversion Type may be either.
    """
    detector = text(header, "DetectorType")
    if detector == FILM or text(header, "ConversionType") in SCANNED:
        return "film"
    digital = str(header.get("SOPClassUID", "")) in DIGITAL
    return "digital" if digital or detector in DETECTORS else None


def is_mammography(header: Dataset) -> bool:
    """Tell if the header says that this is a mammogram: Modality MG."""
    return text(header, "Modality") == "MG"
