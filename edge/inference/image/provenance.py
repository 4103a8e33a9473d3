"""The woman and the machine that a DICOM header names: for the device's own ledger alone."""

from collections.abc import Mapping
from typing import Final

from pydicom import Dataset

from edge.domain import Provenance
from edge.inference.image.attributes import text

MAKERS: Final[Mapping[str, str]] = {
    "GENERAL ELECTRIC": "ge",
    "HOLOGIC": "hologic",
    "LORAD": "hologic",
    "SIEMENS": "siemens",
    "FUJI": "fujifilm",
    "PHILIPS": "philips",
    "SECTRA": "philips",
    "GIOTTO": "ims",
    "I.M.S": "ims",
    "PLANMED": "planmed",
    "CARESTREAM": "carestream",
    "KODAK": "carestream",
    "KONICA": "konica",
    "AGFA": "agfa",
    "METALTRONICA": "metaltronica",
    "FISCHER": "fischer",
    "VILLA": "villa",
    "VIDAR": "vidar",
    "LUMISYS": "lumisys",
    "HOWTEK": "howtek",
}
"""A part of Manufacturer, and the code that stands for it; makers of film scanners too."""
OTHER: Final = "other"
BETWEEN: Final = "\\"
"""Stands between two values: DICOM lets it stand inside of none (PS3.5, 6.2)."""


def provenance_of(header: Dataset) -> Provenance:
    """
    Read whose image it is and which machine made it, as far as the header says so.

    A damaged tag is none: nobody publishes these, so it is no reason to reject the image.
    """
    try:
        return _read(header)
    except Exception:  # noqa: BLE001 - pydicom raises whatever its converters do
        return Provenance(None, None, None)


def _read(header: Dataset) -> Provenance:
    patient = str(header.get("PatientID") or "").strip()
    issuer = str(header.get("IssuerOfPatientID") or "").strip()
    named = [text(header, keyword) for keyword in ("Manufacturer", "ManufacturerModelName")]
    serial = text(header, "DeviceSerialNumber") or text(header, "StationName")
    return Provenance(
        woman=f"{issuer}{BETWEEN}{patient}" if patient else None,
        machine=BETWEEN.join([*named, serial]) if serial or any(named) else None,
        maker=_maker(named[0]),
    )


def _maker(manufacturer: str) -> str | None:
    if manufacturer == "GE" or manufacturer.startswith(("GE ", "GE_", "GEMS")):
        return "ge"
    known = (code for part, code in MAKERS.items() if part in manufacturer)
    return next(known, OTHER) if manufacturer else None
