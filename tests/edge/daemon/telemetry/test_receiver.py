"""The daemon knows the DICOM receiver by the file in which it counts, and believes no old one."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from edge.config.dicom import Dicom
from edge.contract.receiver import Aborted, ReceiverPart, Refused, TurnedAway
from edge.daemon.telemetry import receiver
from edge.daemon.telemetry.receiver import AWAY_S, SILENT_S, ReceiverWatch, receiver_part
from edge.dicom.receive.journal import Journal
from edge.dicom.receive.tally import Reporter, Tally
from edge.health import Cause, Health
from edge.storage.audit import Audit
from edge.system.uptime import uptime_s
from tests.support.receiver import CALLER


@pytest.fixture
def settings(tmp_path: Path) -> Dicom:
    return Dicom(callers=(f"{CALLER}@10.0.0.0/8",), report=tmp_path / "report.json")


@pytest.fixture
def tally(settings: Dicom) -> Tally:
    """Counts that are written down once."""
    made = Tally(settings)
    Reporter(settings, made).turn()
    return made


def entries(folder: Path) -> list[dict[str, Any]]:
    return [entry["details"] for entry in Audit(folder).entries() if entry["event"] == "receiver"]


def test_what_the_receiver_counts_is_what_health_says(settings: Dicom) -> None:
    tally = Tally(settings)
    journal, reporter = Journal(tally), Reporter(settings, tally)
    reporter.turn()
    journal.took("10.0.0.1", 1000)
    for _ in range(3):  # of which the journal has one line
        journal.tell("object_refused", Refused.NO_ROOM, "10.0.0.1", "no room")
    journal.tell("association_refused", TurnedAway.CALLING_TITLE, "10.0.0.1", "why")
    journal.tell("aborted", Aborted.PROTOCOL, "10.0.0.1", "why")
    reporter.turn()
    found = receiver_part(settings)
    assert found is not None
    assert found == ReceiverPart(
        running=True,
        since=found.since,
        last_taken_at=found.last_taken_at,
        taken=1,
        refused={Refused.NO_ROOM: 3},
        turned_away={TurnedAway.CALLING_TITLE: 1},
        aborted={Aborted.PROTOCOL: 1},
    )
    assert found.last_taken_at is not None
    assert receiver_part(settings.model_copy(update={"callers": ()})) is None  # another daemon's
    reporter.remove()
    assert receiver_part(settings) == ReceiverPart(running=False)


@pytest.mark.usefixtures("tally")
@pytest.mark.parametrize("age", [-1000.0, SILENT_S + 1])
def test_a_report_that_is_old_or_of_an_earlier_boot_is_not_believed(
    settings: Dicom, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = uptime_s()
    monkeypatch.setattr(receiver, "uptime_s", lambda: now + age)
    assert receiver_part(settings) == ReceiverPart(running=False)


@pytest.mark.usefixtures("tally")
def test_a_receiver_of_a_later_version_runs_and_what_it_says_more_goes_nowhere(
    settings: Dicom,
) -> None:
    whole = settings.report.read_text()
    settings.report.write_text(whole.replace('"taken":0', '"taken":0,"name":"DOE^JANE"'))
    part = receiver_part(settings)
    assert part
    assert part.running
    assert "DOE" not in part.model_dump_json()


@pytest.mark.usefixtures("tally")
@pytest.mark.parametrize("kind", ["words", "link", "pipe", "socket", "folder"])
def test_whatever_lies_in_the_place_of_the_report_is_no_receiver(
    settings: Dicom, kind: str
) -> None:
    file, whole = settings.report, settings.report.read_text()
    file.unlink()
    if kind == "words":
        file.write_text("no report")
    elif kind == "link":
        (file.parent / "other").write_text(whole)
        file.symlink_to("other")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(file))
    else:
        file.mkdir()
    assert receiver_part(settings) == ReceiverPart(running=False)


def test_a_receiver_that_is_away_for_a_minute_is_told_until_it_is_back_or_not_expected(
    settings: Dicom, tmp_path: Path
) -> None:
    health, now = Health(), [settings]
    watch = ReceiverWatch(lambda: now[0], health, Audit(tmp_path))
    watch.turn()
    assert health.reasons == []
    watch._heard -= AWAY_S + 1
    watch.turn()
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.RECEIVER_AWAY]
    now[0] = settings.model_copy(update={"callers": ()})
    watch.turn()
    assert health.reasons == []
    now[0] = settings
    watch._heard -= AWAY_S + 1
    watch.turn()
    Reporter(settings, Tally(settings)).turn()
    watch.turn()
    assert health.reasons == []


def test_the_audit_log_has_each_start_once_and_counts_at_its_end(
    settings: Dicom, tally: Tally, tmp_path: Path
) -> None:
    watch = ReceiverWatch(lambda: settings, Health(), Audit(tmp_path))
    for _ in range(3):
        watch.turn()
    later = ReceiverWatch(lambda: settings, Health(), Audit(tmp_path))
    later.turn()
    (started,) = entries(tmp_path)
    assert (started["step"], started["callers"], started["tls"]) == ("started", 1, False)
    assert started["listen"] == "127.0.0.1:11112"
    tally.took()
    tally.count(Refused.NO_ROOM)
    Reporter(settings, tally).turn()
    later.turn()
    assert len(entries(tmp_path)) == 1
    later.last_turn()
    assert [one["step"] for one in entries(tmp_path)] == ["started", "counted"]
    counts = entries(tmp_path)[1]
    assert (counts["taken"], counts["refused"], counts["turned_away"]) == (1, {"no_room": 1}, {})
    assert counts["since"] == started["since"]
    Reporter(settings, Tally(settings)).turn()  # another one, which counts nothing
    later.turn()
    later.last_turn()
    assert [one["step"] for one in entries(tmp_path)] == ["started", "counted", "started"]
    assert CALLER not in (tmp_path / "audit.jsonl").read_text()


def test_counts_that_go_on_are_noted_once_an_hour(
    settings: Dicom, tally: Tally, tmp_path: Path
) -> None:
    watch = ReceiverWatch(lambda: settings, Health(), Audit(tmp_path))
    for _ in range(2):
        tally.took()
        Reporter(settings, tally).turn()
        watch.turn()
        watch._received._told_at -= 3600
        watch.turn()
        watch.turn()
    assert [one.get("taken") for one in entries(tmp_path)] == [None, 1, 2]
