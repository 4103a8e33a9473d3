"""From a modality to a result: DCMTK's clients, the real receiver and the real daemon."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pydicom
import pytest

from deploy.demo.subscriber import Subscriber
from tests.support.films import crop, dicom
from tests.support.receiver import CALLER, US, Receiver
from tests.support.rig import Rig, until
from tests.support.tools import need

DCMTK: Final = "dcmtk"


def dcmtk(receiver: Receiver, tool: str, *words: str, calling: str = CALLER) -> int:
    """Run one of DCMTK's clients; returns its exit status."""
    command = [need(tool, DCMTK), "-aet", calling, "-aec", US, "127.0.0.1", str(receiver.port)]
    return subprocess.run([*command, *words], check=False, capture_output=True).returncode


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as made:
        yield made


def test_what_dcmtk_sends_twice_is_one_image_with_two_answers(
    rig: Rig, tmp_path: Path, subscriber: Subscriber
) -> None:
    file = tmp_path / "film.dcm"
    file.write_bytes(dicom(crop()))
    receiver = Receiver(tmp_path / "receiver", inbox=rig.inbox)
    rig.configure(f'\n[dicom]\ncallers = ["{CALLER}@127.0.0.0/8"]\nreport = "{receiver.report}"\n')
    rig.ready().await_introduction()

    def counted() -> tuple[object, ...]:
        told = rig.status()["receiver"]
        return told["running"], told["taken"], told["refused"], told["turned_away"]

    with receiver:
        assert dcmtk(receiver, "echoscu") == 0
        assert dcmtk(receiver, "storescu", str(file)) == 0
        assert dcmtk(receiver, "dcmsend", str(file)) == 0
        assert dcmtk(receiver, "storescu", str(file), calling="STRANGER") != 0
        until(lambda: len(subscriber.under("result")) == 2, "two results", rig.words)
        until(lambda: receiver.received() == [], "both are taken", rig.words)
        turned_away = {"calling_title": 1}
        until(lambda: counted() == (True, 2, {}, turned_away), "counted", rig.words)
    assert counted() == (False, 0, {}, {})

    first, second = subscriber.under("result")
    assert first["image_id"] == second["image_id"]


@pytest.mark.parametrize(
    ("tool", "options", "proposed"),
    [
        ("dcmconv", ["+ti"], "-xi"),
        ("dcmconv", ["+tb"], "-xb"),
        ("dcmconv", ["+td"], "-xd"),
        ("dcmcrle", [], "-xr"),
        ("dcmcjpeg", ["+e1"], "-xs"),
        ("dcmcjpls", ["+el"], "-xt"),
    ],
)
def test_what_storescu_sends_is_stored_in_the_syntax_that_it_was_sent_in(
    receiver: Receiver, tmp_path: Path, tool: str, options: list[str], proposed: str
) -> None:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(dicom(crop()))
    subprocess.run([need(tool, DCMTK), *options, plain, packed], check=True, capture_output=True)
    before = receiver.received()
    assert dcmtk(receiver, "storescu", proposed, str(packed)) == 0
    (found,) = (path for path in receiver.received() if path not in before)
    stored, meant = pydicom.dcmread(found), pydicom.dcmread(packed)
    assert stored.file_meta.TransferSyntaxUID == meant.file_meta.TransferSyntaxUID
    assert stored == meant
