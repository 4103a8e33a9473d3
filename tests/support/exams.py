"""Studies of four views, made from demo films, and a bundle that calibrates breasts."""

import json
import os
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pydicom
from pydicom.uid import generate_uid

from edge.models.active import shipped_bundle
from tests.support.bundles import manifest
from tests.support.films import dicom
from tests.support.rig import FILMS

FOUR: Final = (("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))
MARKER: Final = "PLANTED^MARKER"
"""Stands in every tag that names a patient, a person or a place."""
PERSONAL: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientComments",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "ReferringPhysicianName",
    "OperatorsName",
    "PerformingPhysicianName",
    "StationName",
    "DeviceSerialNumber",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "RequestingPhysician",
    "MedicalRecordLocator",
)


@dataclass(frozen=True)
class Study:
    """The images of one exam."""

    name: str
    patient: str = MARKER

    @property
    def uid(self) -> str:
        return str(generate_uid(entropy_srcs=["study", self.name]))

    def film(self, side: str, view: str, number: int = 0, **tags: object) -> bytes:
        """Make one view, MG For Presentation, of other bytes and UID for each number."""
        place = FOUR.index((side, view)) if (side, view) in FOUR else 4
        pixels = cv2.imread(str(FILMS[place % len(FILMS)]), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        small = np.asarray(cv2.resize(pixels, (240, 320), interpolation=cv2.INTER_AREA), np.uint8)
        small = np.ascontiguousarray(small[:, ::-1] if side == "L" else small)
        small[0, :16] = [(16 * number + place) >> bit & 1 for bit in range(16)]
        said = f"{self.name} {side} {view} {number}"
        names = dict.fromkeys(PERSONAL, MARKER[:16]) | {"PatientID": self.patient}
        own = {
            "SOPInstanceUID": generate_uid(entropy_srcs=["sop", said]),
            "StudyInstanceUID": self.uid,
            "PresentationIntentType": "FOR PRESENTATION",
            "ImageLaterality": side,
            "ViewPosition": view,
        }
        return dicom(small, **{**names, **own, **tags})

    def taken_again(self, **tags: object) -> bytes:
        """Make a further left CC, with the pixels of the MLO, so of another score."""
        other = pydicom.dcmread(BytesIO(self.film("L", "MLO"))).PixelData
        return self.film("L", "CC", 1, PixelData=other, **tags)

    def four(self) -> list[bytes]:
        """Make left CC, left MLO, right CC and right MLO."""
        return [self.film(side, view) for side, view in FOUR]


def breasts_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Say of every model file of a manifest how breasts of film and digital are calibrated."""
    for model in fields["models"].values():
        fit = {
            "calibration": {"method": "platt", "slope": 1.5, "intercept": -0.25},
            "operating_points": model["operating_points"],
        }
        model["breasts"] = {"film": fit, "digital": fit}
    return fields


def bundle_with_breasts(folder: Path) -> Path:
    """Copy the shipped bundle, with calibrations of breasts; its files share their bytes."""
    bundle = folder / "bundle-with-breasts"
    same_disk = folder.stat().st_dev == shipped_bundle().stat().st_dev
    shutil.copytree(shipped_bundle(), bundle, copy_function=os.link if same_disk else shutil.copy2)
    (bundle / "bundle.json").unlink()
    fields = breasts_of(manifest() | {"version": "9.0.0"})
    (bundle / "bundle.json").write_text(json.dumps(fields))
    return bundle
