"""A modality: DCMTK's `storescu` in a network namespace of its own, and a patient's four films."""

import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.uid import generate_uid

from tests.support.exams import FOUR, MARKER, Study
from tests.support.tools import need
from tests.system.machine import run
from tests.system.networks import MODALITY, RECEIVER

AET: Final = "MAMMO1"
CALLER: Final = f"{AET}@{MODALITY}/32"
PORT: Final = 11112


class Patient:
    """
    The scanned films of one patient: CC and MLO of both breasts, each with names and numbers.

    Args:
        name: tells patients apart.
        folder: for the files.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._study, self._folder = Study(name, patient=f"{MARKER}-{name}"), folder
        series = str(generate_uid(entropy_srcs=["series", name]))
        self._scanned: dict[str, Any] = {
            "SeriesInstanceUID": series,
            "ConversionType": "DF",
            "DetectorType": "FILM",
        }
        folder.mkdir()
        self.study, self.id = self._study.uid, self._study.patient
        self.films: list[Path] = []
        self.objects: list[str] = []
        """The films' SOP Instance UIDs."""
        self.names = [MARKER, self.study, series]
        """Other texts that name the patient."""
        for side, view in FOUR:
            self._take(self._study.film(side, view, **self._scanned))

    def take_again(self) -> Path:
        """Take a further left CC, of another score."""
        return self._take(self._study.taken_again(**self._scanned))

    def _take(self, data: bytes) -> Path:
        film = self._folder / f"{len(self.films)}.dcm"
        film.write_bytes(data)
        self.films.append(film)
        self.objects.append(str(pydicom.dcmread(BytesIO(data)).SOPInstanceUID))
        return film


class Modality:
    """
    Sends objects to the receiver.

    Args:
        namespace: its network.
    """

    def __init__(self, namespace: str) -> None:
        self._inside = ["ip", "netns", "exec", namespace]

    def sending(self, *files: Path) -> subprocess.Popen[bytes]:
        """Begin to send, in one association; its exit status is 0 if each was told success."""
        to = [need("storescu", "dcmtk"), "-aet", AET, "-aec", "MAMMO_EDGE", RECEIVER, str(PORT)]
        command = [*self._inside, *to, *map(str, files)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sends(self, *files: Path) -> bool:
        """Send; returns if each was told success."""
        return self.sending(*files).wait(300) == 0

    def speaks(self) -> bool:
        """Tell if a connection to the receiver is open, whether or not that has taken notice."""
        return bool(
            run(*self._inside, "ss", "-Htn", "state", "established", "dport", "=", PORT).strip()
        )
