"""A report is sent once and told of rightly, whatever the PACS answers."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo.brokers import free_port
from edge.contract.report_job import Answer, Job, Sent
from edge.daemon.publish.report_process import PROGRAM, Reporter
from edge.dicom.send import association, document, facts, headers
from edge.dicom.send.document import CLASSES, COMPREHENSIVE
from tests.support.certificates import make_certificates
from tests.support.exams import MARKER
from tests.support.reports import Pacs, films, job_of, storescp
from tests.support.rig import PATIENCE_S


def asked(job: Job) -> Answer:
    """Have a job done by a process of its own."""
    return Reporter(lambda: None).ask(job)


def sent(port: int, files: dict[str, Path], **more: object) -> tuple[Sent, str]:
    """Do a job in this process, which is quicker."""
    job = job_of(port, files, **more)
    said = facts.facts_of(job.result, job.of_images)
    read = {image_id: headers.read(path) for image_id, path in files.items()}
    answer = association.send(job.peer, CLASSES, lambda kind: document.document(said, read, kind))
    return answer.sent, answer.why


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return films(tmp_path)


@pytest.mark.parametrize(
    ("status", "expected", "told"),
    [
        (0x0000, Sent.STORED, ""),
        (0xB000, Sent.STORED, ""),
        (0x0107, Sent.STORED, ""),
        (0x0111, Sent.STORED, ""),
        (0xA700, Sent.FAILED, "A700"),
        (0x0110, Sent.FAILED, "0110"),
        (0xA900, Sent.REFUSED, "A900"),
        (0xC123, Sent.REFUSED, "C123"),
        (0x0122, Sent.REFUSED, "0122"),
        (None, Sent.FAILED, "ended the association"),
    ],
)
def test_each_answer_of_the_pacs_is_what_it_means(
    status: int | None, expected: Sent, told: str, files: dict[str, Path]
) -> None:
    with Pacs(lambda: status).listening() as port:
        found, why = sent(port, files)
    assert (found, told in why, MARKER in why) == (expected, True, False)


def test_a_name_without_an_address_is_a_peer_that_is_away(files: dict[str, Path]) -> None:
    job = job_of(1, files)
    peer = job.peer.model_copy(update={"host": "pacs.invalid"})
    said = facts.facts_of(job.result, job.of_images)
    answer = association.send(peer, CLASSES, lambda kind: document.document(said, {}, kind))
    assert (answer.sent, answer.why[:12]) == (Sent.UNAVAILABLE, "[pacs] peer:")


def test_a_pacs_without_the_3d_class_gets_the_plain_one_and_one_without_both_is_told_of(
    files: dict[str, Path],
) -> None:
    pacs = Pacs()
    with pacs.listening((COMPREHENSIVE,)) as port:
        assert sent(port, files) == (Sent.STORED, "")
    assert [one.SOPClassUID for one in pacs.received] == [COMPREHENSIVE]
    with pacs.listening(("1.2.840.10008.1.1",)) as port:
        found, why = sent(port, files)
    assert (found, "take Comprehensive 3D SR or Comprehensive SR" in why) == (
        Sent.UNAVAILABLE,
        True,
    )


def test_over_tls_the_pacs_must_have_a_certificate_of_the_authority_with_its_name(
    files: dict[str, Path], tmp_path: Path
) -> None:
    for below, words in (
        ("ours", ["ca", "Ours"]),
        ("ours", ["broker", "127.0.0.1"]),
        ("ours", ["person", "edge-1"]),
        ("other", ["ca", "Other"]),
    ):
        make_certificates(tmp_path / below, *words)
    ours = tmp_path / "ours"
    own = {"cert": ours / "edge-1.crt", "key": ours / "edge-1.key"}
    tls = ["+tls", ours / "broker.key", ours / "broker.crt", "+cf", ours / "ca.crt"]
    with storescp(tmp_path / "pacs", *tls) as port:
        for refused in (
            {"tls": True, "ca": tmp_path / "other/ca.crt", **own},
            {"tls": True, "ca": ours / "ca.crt", "host": "localhost", **own},
            {"tls": True, "ca": ours / "ca.crt"},
            {},
        ):
            assert asked(job_of(port, files, **refused)).sent is Sent.UNAVAILABLE
        assert list((tmp_path / "pacs").iterdir()) == []
        taken = job_of(port, files, tls=True, ca=ours / "ca.crt", **own)
        assert asked(taken).sent is Sent.STORED
    assert len(list((tmp_path / "pacs").iterdir())) == 1


def test_the_process_sends_tells_what_it_cannot_report_on_and_lets_its_caller_live(
    files: dict[str, Path], tmp_path: Path
) -> None:
    pacs, beats = Pacs(), []
    with pacs.listening() as port:
        assert Reporter(lambda: beats.append(1)).ask(job_of(port, files)).sent is Sent.STORED
        assert beats
        (tmp_path / "text").write_text("no film")
        os.mkfifo(tmp_path / "pipe")  # which nobody writes into
        for path, expected in (
            (tmp_path / "none", Sent.GONE),
            (tmp_path / "text", Sent.NOT_DICOM),
            (tmp_path, Sent.FAILED),
            (tmp_path / "pipe", Sent.FAILED),
        ):
            answer = asked(job_of(port, {**files, min(files): path}))
            assert answer.sent is expected
            assert "took more than" not in answer.why
        # A socket that finds nobody is left open by pynetdicom, which only its end closes.
        assert asked(job_of(free_port(), files)).sent is Sent.UNAVAILABLE
        unknown = job_of(port, files).model_copy(update={"of_images": {}})
        answer = asked(unknown)
        assert answer.sent is Sent.REFUSED
        assert answer.why.startswith("no report: KeyError at facts.py:")
    assert len(pacs.received) == 1


def test_the_process_ends_with_whoever_started_it(files: dict[str, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        job = job_of(silent.getsockname()[1], files)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with process:
            assert process.stdin is not None
            process.stdin.write(job.model_dump_json().encode() + b"\n")
            process.stdin.flush()
            silent.settimeout(PATIENCE_S)
            connection, _ = silent.accept()
            with connection:
                process.stdin.close()
                assert process.wait(PATIENCE_S) == 1
