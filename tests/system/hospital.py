"""A modality, our machine, a broker and a PACS, each in a network of its own."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydicom import Dataset

from tests.support.tools import ROOT
from tests.system.clinic import Clinic
from tests.system.machine import SUITE, Machine, until
from tests.system.modality import CALLER, Modality, Patient
from tests.system.networks import PACS, networks
from tests.system.orthanc import AET, NAME, PORT, Orthanc

PACKAGE: Final = Path(os.environ.get("MAMMO_DEBS", "").partition(":")[0])
KEYS: Final = "/etc/mammo-edge"
SECTIONS: Final = {
    "metrics": "port = 9464",
    "dicom": f'listen = "0.0.0.0:11112"\ncallers = ["{CALLER}"]',
    "pacs": f'peer = "{AET}@{NAME}:{PORT}"\ntls = true\nca = "{KEYS}/pacs-ca.crt"\n'
    f'cert = "{KEYS}/pacs.crt"\nkey = "{KEYS}/pacs.key"',
}
"""The lines that a person writes into edge.toml, as the guides show them."""


def documented(page: str) -> list[str]:
    """List the commands of a page, each as it is written."""
    commands = r"^    ((?:apt install|systemctl|mammo-edge) .*)$"
    return re.findall(commands, (ROOT / page).read_text(), re.MULTILINE)


def current(reports: Sequence[Dataset]) -> list[Dataset]:
    """List the reports that no later one replaces."""
    replaced = {
        one.ReferencedSOPInstanceUID
        for report in reports
        for study in report.get("PredecessorDocumentsSequence") or []
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    return [one for one in reports if one.SOPInstanceUID not in replaced]


@dataclass
class Hospital:
    """All of it."""

    machine: Machine
    clinic: Clinic
    orthanc: Orthanc
    modality: Modality

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Make all of it; nothing of ours is installed on the machine yet."""
        with (
            networks(f"pacs{os.getpid()}", "pacs", "modality") as (broker, pacs, modality, device),
            Clinic(folder / "clinic", broker) as clinic,
            Orthanc(folder / "orthanc", pacs) as orthanc,
            Machine(folder / "machine", device, f"{PACS} {NAME}\n") as machine,
        ):
            yield cls(machine, clinic, orthanc, Modality(modality))

    def install(self, command: str) -> None:
        """Install a package by its documented command."""
        written = re.search(r"\./(\S+)_VERSION_(\S+)\.deb", command)
        assert written is not None
        name, arch = written.groups()
        (package,) = PACKAGE.parent.glob(f"{name}_*~{SUITE}_{arch.replace('ARCH', 'amd64')}.deb")
        self.machine.copy_in(package, f"/root/{package.name}")
        said = command.replace(written[0], f"./{package.name}")
        self.machine.run("sh", "-c", f"cd /root && {said}")

    def bring_keys(self) -> None:
        """Copy the certificates and keys for the broker and for the PACS."""
        ours, theirs = self.clinic.certificates, self.orthanc.certificates
        for source, name in (
            (ours / "ca.crt", "ca.crt"),
            (ours / "north.edge-1.crt", "device.crt"),
            (ours / "north.edge-1.key", "device.key"),
            (theirs / "ca.crt", "pacs-ca.crt"),
            (theirs / "mammo-edge.crt", "pacs.crt"),
            (theirs / "mammo-edge.key", "pacs.key"),
        ):
            self.machine.copy_in(source, f"{KEYS}/{name}")
            self.machine.run("chgrp", "mammo-edge", f"{KEYS}/{name}")
            self.machine.run("chmod", "640", f"{KEYS}/{name}")

    def configure(self, *sections: str) -> None:
        """Write lines into sections of the configuration."""
        config = self.machine.root / "etc/mammo-edge/edge.toml"
        text = config.read_text()
        for section in sections:
            assert text.count(f"\n[{section}]\n") == 1
            text = text.replace(f"\n[{section}]\n", f"\n[{section}]\n{SECTIONS[section]}\n")
        config.write_text(text)

    def words(self) -> str:
        """Give what the services said lately."""
        units = ("mammo-edge", "mammo-edge-dicom")
        status = self.machine.ask("mammo-edge", "status")
        return "\n".join([status, *(self.machine.journal(unit)[-3000:] for unit in units)])

    def is_settled(self) -> bool:
        """Tell if nothing is on its way inside the machine."""
        asked = self.machine.tries("mammo-edge", "status", "--json")
        if asked.returncode != 0:
            return False
        status: dict[str, Any] = json.loads(asked.stdout)
        queue, exams = status["queue"], status["exams"]
        left = [queue[name] for name in ("waiting", "examining", "to_archive")]
        left += [exams["waiting"], *(sink["waiting"] for sink in status["outbox"].values())]
        return not any(left) and not any((self.machine.root / "srv/mammo-edge/inbox").glob("[!.]*"))

    def outcome_of(self, patient: Patient, known: set[str]) -> tuple[dict[str, Any], Dataset]:
        """
        Wait until all is through, and make sure that nothing is lost and nothing there twice.

        Args:
            patient: of whom all films were sent.
            known: the ids of the images that were there before.

        Returns:
            Her exam as it was last published, and the report that stands in the PACS.
        """

        def new(name: str) -> set[str]:
            return {one[name] for one in self.clinic.results() if one["image_id"] not in known}

        count = len(patient.films)
        until(lambda: len(new("image_id")) >= count, "her results", self.words)
        until(self.is_settled, "settled", self.words)
        until(lambda: self.orthanc.reports(patient.study), "a report", self.words)
        images = new("image_id")
        assert len(images) == len(new("result_id")) == count
        exams = [one for one in self.clinic.exams() if images & _images(one)]
        assert len({one["exam_id"] for one in exams}) == 1
        last = max(exams, key=lambda one: int(one["revision"]))
        assert (last["complete"], _images(last)) == (True, images)
        reports = self.orthanc.reports(patient.study)
        (report,) = current(reports)
        assert report.InstanceNumber == last["revision"] == len(reports)
        return last, report


def _images(exam: dict[str, Any]) -> set[str]:
    return {view["image_id"] for view in exam["views"]}
