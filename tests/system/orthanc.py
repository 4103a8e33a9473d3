"""An Orthanc with mutual TLS, in a network namespace of its own: a clinic's PACS."""

import json
import subprocess
import sys
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Self

import pydicom
from pydicom import Dataset

from tests.support.certificates import make_certificates
from tests.support.tools import need
from tests.system.machine import run, until
from tests.system.networks import PACS

NAME: Final = "pacs.north.example"
AET: Final = "PACS"
PORT: Final = 2762
ASK: Final = """
import sys
from urllib.request import ProxyHandler, build_opener
body = sys.stdin.buffer.read() or None
answer = build_opener(ProxyHandler({})).open("http://127.0.0.1:8042" + sys.argv[1], body, 60)
sys.stdout.buffer.write(answer.read())
"""
"""Asks its REST API, which answers in its own namespace alone."""


class Orthanc:
    """
    Takes objects from MAMMO_EDGE alone, with a certificate of its authority, under its own name.

    Args:
        folder: for certificates, configuration and what it stores.
        namespace: its network.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self.certificates = folder / "certificates"
        self.log = folder / "orthanc.log"
        self._folder = folder
        self._inside = ["ip", "netns", "exec", namespace]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir()
        for words in (["ca", "PACS"], ["broker", NAME, PACS], ["person", "mammo-edge"]):
            make_certificates(self.certificates, *words)
        keys = self.certificates
        config = {
            "StorageDirectory": str(self._folder / "stored"),
            "IndexDirectory": str(self._folder / "stored"),
            "Plugins": [],
            "DicomAet": AET,
            "DicomCheckCalledAet": True,
            "DicomPort": PORT,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": {"edge": ["MAMMO_EDGE", "10.77.1.2", 11112]},
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(keys / "broker.crt"),
            "DicomTlsPrivateKey": str(keys / "broker.key"),
            "DicomTlsTrustedCertificates": str(keys / "ca.crt"),
            "DicomTlsRemoteCertificateRequired": True,
        }
        (self._folder / "orthanc.json").write_text(json.dumps(config))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it, with what it has stored, and wait until it listens."""
        command = [*self._inside, need("Orthanc", "orthanc"), self._folder / "orthanc.json"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        for port in (PORT, 8042):
            listening = [*self._inside, "ss", "-Hltn", "sport", "=", str(port)]
            until(partial(run, *listening), "Orthanc listens", self.log.read_text)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def is_spoken_to(self) -> bool:
        """Tell if a connection to it is open, whether or not it has taken notice."""
        return bool(run(*self._inside, "ss", "-Htn", "state", "established", "sport", "=", PORT))

    def store(self, data: bytes) -> None:
        """Store an object that it has from elsewhere."""
        self._ask("/instances", data)

    def reports(self, study: str) -> list[Dataset]:
        """List the structured reports in a study."""
        query: dict[str, Any] = {"StudyInstanceUID": study, "Modality": "SR"}
        wanted = json.dumps({"Level": "Instance", "Query": query}).encode()
        found = json.loads(self._ask("/tools/find", wanted))
        files = [self._ask(f"/instances/{one}/file") for one in found]
        return [pydicom.dcmread(BytesIO(file)) for file in files]

    def series(self, study: str) -> dict[str, int]:
        """Count the objects of a study by modality, as its viewer shows them."""
        wanted = json.dumps(
            {"Level": "Series", "Query": {"StudyInstanceUID": study}, "Expand": True}
        ).encode()
        counts: dict[str, int] = {}
        for one in json.loads(self._ask("/tools/find", wanted)):
            modality = one["MainDicomTags"]["Modality"]
            counts[modality] = counts.get(modality, 0) + len(one["Instances"])
        return counts

    def _ask(self, path: str, body: bytes = b"") -> bytes:
        command = [*self._inside, sys.executable, "-c", ASK, path]
        return subprocess.run(command, input=body, capture_output=True, check=True).stdout
