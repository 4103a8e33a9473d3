"""Orthanc, a PACS that forwards: what its REST interface is told to send arrives as it was."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pydicom

from tests.support.exams import FOUR, Study
from tests.support.own_network import own_network
from tests.support.receiver import CALLER, US, Receiver
from tests.support.rig import PATIENCE_S, until
from tests.support.tools import need

HTTP: Final = 8042
ASK: Final = """
import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener
body = sys.stdin.buffer.read() or None
try:
    answer = build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{sys.argv[1]}", body, 240)
except URLError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(answer.read())
"""


class Orthanc:
    """The REST interface of an Orthanc that knows a receiver as `edge`."""

    def __init__(self, before: list[str]) -> None:
        self._before = before

    def ask(self, path: str, body: bytes = b"") -> Any:  # noqa: ANN401 - JSON
        command = [*self._before, sys.executable, "-c", ASK, f"{HTTP}{path}"]
        done = subprocess.run(
            command, input=body, check=False, capture_output=True, timeout=PATIENCE_S
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def forward(self, resources: list[str]) -> Any:  # noqa: ANN401 - JSON
        wanted = {"Resources": resources, "Synchronous": True}
        return self.ask("/modalities/edge/store", json.dumps(wanted).encode())


@contextmanager
def running(folder: Path, before: list[str], port: int) -> Iterator[Orthanc]:
    """Run Orthanc, whose ports are open on all addresses, in a network of its own."""
    config = {
        "StorageDirectory": str(folder / "stored"),
        "IndexDirectory": str(folder / "stored"),
        "Plugins": [],
        "DicomAet": CALLER,
        "DicomPort": 4242,
        "HttpPort": HTTP,
        "DicomModalities": {"edge": [US, "127.0.0.1", port]},
    }
    folder.mkdir()
    (folder / "orthanc.json").write_text(json.dumps(config))
    command = [*before, need("Orthanc", "orthanc"), str(folder / "orthanc.json")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            orthanc = Orthanc(before)
            words = (folder / "log").read_text
            until(lambda: orthanc.ask("/system") or process.poll(), "Orthanc answers", words)
            yield orthanc
        finally:
            process.kill()


def in_syntaxes(folder: Path) -> list[Path]:
    """Write the four views of a study, two of them compressed by DCMTK."""
    files = []
    tools = {1: ["dcmcrle"], 2: ["dcmcjpeg", "+e1"]}
    for number, (side, view) in enumerate(FOUR):
        plain = folder / f"{number}.dcm"
        plain.write_bytes(Study("forwarded").film(side, view, SeriesInstanceUID="1.2.3"))
        if number in tools:
            tool, *options = tools[number]
            packed = plain.with_suffix(".packed")
            subprocess.run([need(tool, "dcmtk"), *options, plain, packed], check=True)
            plain = packed
        files.append(plain)
    return files


def test_a_study_that_orthanc_forwards_arrives_as_it_was_each_time(tmp_path: Path) -> None:
    films = in_syntaxes(tmp_path)
    with (
        own_network() as before,
        Receiver(tmp_path / "receiver", before=before) as receiver,
        running(tmp_path / "orthanc", before, receiver.port) as orthanc,
    ):
        stored = [orthanc.ask("/instances", film.read_bytes()) for film in films]
        (study,) = {one["ParentStudy"] for one in stored}
        for times in (1, 2):
            told = orthanc.forward([study])
            assert (told["InstancesCount"], told["FailedInstancesCount"]) == (4, 0)
            assert len(receiver.received()) == 4 * times
        receiver.leaves_nothing()
        taken: dict[str, list[Path]] = {}
        for path in receiver.received():
            taken.setdefault(pydicom.dcmread(path).SOPInstanceUID, []).append(path)
        for film in films:
            sent = pydicom.dcmread(film)
            first, second = taken[sent.SOPInstanceUID]
            assert first.read_bytes() == second.read_bytes()
            found = pydicom.dcmread(first)
            assert found.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
            assert found == sent
