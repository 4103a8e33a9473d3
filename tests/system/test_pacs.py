"""
A modality, our machine and a PACS, each in a network of its own: films go in, a report comes out.

The packages are installed and configured by the documented commands. The order matters: each test
goes on from the state that the one before left.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest

from edge.dicom.send.document import COMPREHENSIVE_3D
from tests.support.tools import need
from tests.system.hospital import Hospital, documented
from tests.system.machine import until
from tests.system.modality import Patient
from tests.system.networks import PACS
from tests.system.pages import all_pages

TLS = (
    "--ca /etc/mammo-edge/ca.crt --cert /etc/mammo-edge/device.crt --key /etc/mammo-edge/device.key"
)
FETCH = (
    "from urllib.request import urlopen; "
    "print(urlopen('http://127.0.0.1:9464/metrics').read().decode())"
)
PATIENTS: list[Patient] = []
"""All whose films were sent."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    for tool, package in (
        ("systemd-nspawn", "systemd-container"),
        ("ip", "iproute2"),
        ("mosquitto", "mosquitto"),
        ("mosquitto_sub", "mosquitto-clients"),
        ("storescu", "dcmtk"),
        ("Orthanc", "orthanc"),
    ):
        need(tool, package)
    with Hospital.open(tmp_path_factory.mktemp("hospital")) as made:
        yield made


@pytest.fixture
def known(hospital: Hospital) -> set[str]:
    """The images that had a result before."""
    return {one["image_id"] for one in hospital.clinic.results()}


def patient(hospital: Hospital, name: str, folder: Path) -> Patient:
    """Take four films of a patient, which the PACS has already."""
    made = Patient(name, folder / name)
    PATIENTS.append(made)
    for film in made.films:
        hospital.orthanc.store(film.read_bytes())
    return made


def test_the_documented_commands_make_a_machine_between_modality_and_pacs(
    hospital: Hospital,
) -> None:
    machine = hospital.machine
    package, setup, enable = documented("README.md")[:3]
    hospital.install(package)
    hospital.bring_keys()
    machine.run("sh", "-c", f"{setup.replace('broker.lan', 'broker.test')} {TLS}")
    machine.run("sh", "-c", enable)
    package, enable, reload = documented("docs/guides/receiving.md")[:3]
    hospital.install(package)
    hospital.configure("dicom")
    for command in (enable, reload):
        machine.run("sh", "-c", command)
    hospital.configure("pacs", "metrics")
    for command in documented("docs/guides/reports.md"):
        machine.run("sh", "-c", command)
    package, token, enable = documented("docs/guides/page.md")[:3]
    hospital.install(package)
    for command in (token, enable):
        machine.run("sh", "-c", command)
    until(lambda: machine.shown("StatusText") == "ready", "ready", machine.journal)
    assert machine.shown("ActiveState", "mammo-edge-dicom") == "active"
    assert f"{PACS}/32" in machine.shown("IPAddressAllow").split()


def test_four_films_of_a_modality_are_four_results_an_exam_and_a_report_in_the_patient_s_study(
    hospital: Hospital, known: set[str], tmp_path: Path
) -> None:
    one = patient(hospital, "one", tmp_path)
    assert hospital.modality.sends(*one.films)
    exam, report = hospital.outcome_of(one, known)
    assert exam["revision"] == 1
    assert (report.PatientID, report.AccessionNumber) == (one.id, "PLANTED^MARKER")
    assert report.SOPClassUID == COMPREHENSIVE_3D
    assert hospital.orthanc.series(one.study) == {"MG": 4, "SR": 1}
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = evidence.ReferencedSeriesSequence
    named = {each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence}
    assert named == set(one.objects)

    again = one.take_again()
    hospital.orthanc.store(again.read_bytes())
    assert hospital.modality.sends(again)
    until(lambda: len(hospital.orthanc.reports(one.study)) > 1, "a revision", hospital.words)
    exam, report = hospital.outcome_of(one, known)
    assert (exam["revision"], report.InstanceNumber) == (2, 2)
    assert hospital.orthanc.series(one.study) == {"MG": 5, "SR": 2}


def test_receiver_broker_and_pacs_killed_on_the_way_lose_nothing_and_make_nothing_twice(
    hospital: Hospital, known: set[str], tmp_path: Path
) -> None:
    machine, clinic, orthanc = hospital.machine, hospital.clinic, hospital.orthanc
    two = patient(hospital, "two", tmp_path)
    clinic.kill_broker()
    assert hospital.modality.sends(two.films[0])

    receiver = ("--kill-whom=main", "mammo-edge-dicom")
    before = machine.shown("MainPID", "mammo-edge-dicom")
    machine.run("systemctl", "kill", "-s", "STOP", *receiver)
    sending = hospital.modality.sending(*two.films[1:3])
    until(hospital.modality.speaks, "an association", hospital.words)
    machine.run("systemctl", "kill", "-s", "KILL", *receiver)
    assert sending.wait(240) != 0
    again = lambda: machine.shown("MainPID", "mammo-edge-dicom") not in {before, "0"}  # noqa: E731
    until(again, "the receiver again", hospital.words)
    for film in two.films[1:3]:
        until(partial(hospital.modality.sends, film), "success", hospital.words)

    orthanc.signal(signal.SIGSTOP)
    assert hospital.modality.sends(two.films[3])
    until(orthanc.is_spoken_to, "a report on its way", hospital.words)
    orthanc.kill()
    waits = lambda: machine.status()["outbox"]["mqtt"]["waiting"] == 4  # noqa: E731
    until(waits, "four results that wait for the broker", hospital.words)
    until(lambda: "dicom_unavailable" in machine.status()["reason_codes"], "told", hospital.words)
    orthanc.start()
    clinic.start_broker()
    hospital.outcome_of(two, known)
    assert orthanc.series(two.study) == {"MG": 4, "SR": 1}


@pytest.mark.slow
def test_sixty_kills_at_chance_moments_lose_nothing_and_make_nothing_twice(
    hospital: Hospital, tmp_path: Path
) -> None:
    chance = Random(16)  # noqa: S311 - repeatable, no secret
    counted, started = Counter[str](), time.monotonic()
    for number in range(ROUNDS):
        known = {one["image_id"] for one in hospital.clinic.results()}
        hers = patient(hospital, f"kills-{number}", tmp_path)
        plan = {kill: (chance.choice(films), chance.uniform(0, s)) for kill, films, s in KILLS}
        with ThreadPoolExecutor() as pool:
            kills = []
            for place, film in enumerate(hers.films):
                due = [(kill, delay) for kill, (at, delay) in plan.items() if at == place]
                kills += [pool.submit(after, delay, kill, hospital) for kill, delay in due]
                if not hospital.modality.sends(film):
                    counted["films sent again"] += 1
                    until(partial(hospital.modality.sends, film), "success", hospital.words)
            counted.update(kill.result() for kill in kills)
        hospital.outcome_of(hers, known)
        assert hospital.orthanc.series(hers.study) == {"MG": 4, "SR": 1}
    print(f"{ROUNDS} exams in {time.monotonic() - started:.0f} s: {dict(counted)}")  # noqa: T201
    assert sum(counted[kill.__name__] for kill, *_ in KILLS) == 3 * ROUNDS


def after(delay_s: float, kill: Callable[[Hospital], None], hospital: Hospital) -> str:
    """Kill one of them after a while; returns its name."""
    time.sleep(delay_s)
    kill(hospital)
    return kill.__name__


def kill_receiver(hospital: Hospital) -> None:
    """End the receiver, which systemd starts again, and may just be about to."""
    kill = ("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "mammo-edge-dicom")
    until(lambda: hospital.machine.tries(*kill).returncode == 0, "killed", hospital.words)


def kill_broker(hospital: Hospital) -> None:
    """End the broker and start it again."""
    hospital.clinic.kill_broker()
    hospital.clinic.start_broker()


def kill_pacs(hospital: Hospital) -> None:
    """End the PACS and start it again."""
    hospital.orthanc.kill()
    hospital.orthanc.start()


KILLS = ((kill_receiver, range(4), 0.4), (kill_broker, range(4), 2.0), (kill_pacs, (3,), 4.0))
"""Each kill, the films at which it may come, and the seconds after it in which it comes."""
ROUNDS = 20


def test_nothing_that_names_a_patient_comes_out_but_to_the_pacs(hospital: Hospital) -> None:
    machine = hospital.machine
    said = {
        "journal": machine.run("journalctl", "-o", "export", "--no-pager", "--all"),
        "metrics": machine.run("/opt/mammo-edge/venv/bin/python", "-c", FETCH),
        "pages": all_pages(machine),
        "status": machine.run("mammo-edge", "status", "--json"),
        "results": machine.run("mammo-edge", "results", "--json"),
    }
    told = {name: text.encode() for name, text in said.items()}
    for folder in ("var/lib/mammo-edge", "run/mammo-edge", "run/mammo-edge-dicom"):
        for path in (machine.root / folder).rglob("*"):
            if path.is_file():
                told[str(path.relative_to(machine.root))] = path.read_bytes()
    told |= hospital.clinic.kept()
    assert {"var/lib/mammo-edge/ledger.sqlite3", "var/lib/mammo-edge/audit.jsonl"} <= set(told)
    exam = hospital.clinic.exams()[-1]["exam_id"].encode()
    told["ledger"] = b"".join(text for name, text in told.items() if "/ledger.sqlite3" in name)
    assert [name for name in ("pages", "exams", "ledger") if exam not in told[name]] == []
    assert b"delivered_dicom" in told["status"]
    markers = {one.encode().lower() for each in PATIENTS for one in (*each.names, *each.objects)}
    assert len(markers) == 1 + sum(2 + len(each.films) for each in PATIENTS)
    found = [(name, one) for name, text in told.items() for one in markers if one in text.lower()]
    assert found == []
