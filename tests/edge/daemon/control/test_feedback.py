"""Verdicts: all or none of a file, one a message, and no word of what came goes back."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.cli import feedback, main
from edge.config.settings import Broker as BrokerSettings
from edge.config.settings import Settings
from edge.contract.limits import COMMAND_BYTES
from edge.daemon.control.audited import audited
from edge.daemon.control.feedback import Feedback
from edge.daemon.control.unix_socket import ControlServer, ask
from edge.daemon.intake.suspects import Suspects
from edge.daemon.wiring import broker as wiring
from edge.errors import ConfigError, Unavailable
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.storage.audit import NAME, Audit
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import note_score
from edge.storage.ledger.verdicts import TABLES
from tests.support.pairs import fill_exams, name, score_of, women
from tests.support.planted import WORD
from tests.support.rig import until

PAIRS = women(20, 7)
PREFIX = "mammo/v1/north/edge-1"


HERE = "the id of an image that has a score here"
EXAM = name(0)
"""The id of an exam with a score, as it happens that of an image, too."""


def verdict(number: int, **other: object) -> dict[str, object]:
    return {
        "schema": "mammo.feedback/1",
        "image_id": name(number),
        "truth": "malignant",
        "basis": "biopsy",
        "score_seen": False,
        **other,
    }


def exam_verdict(**other: object) -> dict[str, object]:
    said = verdict(0)
    del said["image_id"]
    return {**said, "exam_id": EXAM, **other}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    fill_exams(tmp_path / "state", PAIRS[:1], judged=False)
    opened = Ledger(tmp_path / "state", [], lambda payload, _: payload)
    with opened._database.transaction() as db:
        for number, pair in enumerate(PAIRS):
            note_score(db, score_of(number, pair))
    yield opened
    opened.close()


def refusal(ledger: Ledger, *verdicts: Mapping[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Feedback(ledger.verdicts, Health())({"verdicts": list(verdicts)})
    assert ledger.verdicts.pairs() == []
    return str(caught.value).splitlines()


def test_all_verdicts_are_taken_and_counted_and_once_more_changes_nothing(ledger: Ledger) -> None:
    health = Health()
    take = Feedback(ledger.verdicts, health)
    given = {"verdicts": [verdict(1), verdict(2, truth="benign", basis="follow-up")]}
    assert take(given) == {"verdicts": 2, "changed": 2}
    assert take(given) == {"verdicts": 2, "changed": 0}
    assert health.counters["verdicts"] == 2
    assert sorted(pair.truth for pair in ledger.verdicts.pairs()) == ["benign", "malignant"]


def test_a_verdict_on_an_exam_is_one_verdict_and_none_on_its_images(ledger: Ledger) -> None:
    take = Feedback(ledger.verdicts, Health())
    given = {"verdicts": [exam_verdict(), verdict(0), verdict(1)]}
    assert take(given) == {"verdicts": 3, "changed": 3}
    assert take(given) == {"verdicts": 3, "changed": 0}
    counts = [len(ledger.verdicts.pairs(kind)) for kind in TABLES]
    assert counts == [2, 1]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (exam_verdict(exam_id=name(999)), f"exam_id: found {name(999)[:16]}, expected the id of"),
        (exam_verdict(exam_id="e"), "exam_id: found 'e', expected 64 hexadecimal digits in lower"),
        (exam_verdict(), "exam_id: found that of line 1, expected each exam once"),
        (exam_verdict(image_id=name(1)), "image_id or exam_id: found both, expected one of them"),
        (exam_verdict(exam_id=None), "exam_id: found None, expected 64 hexadecimal"),
    ],
)
def test_a_fault_of_a_verdict_on_an_exam_is_named_and_nothing_is_stored(
    ledger: Ledger, wrong: dict[str, object], why: str
) -> None:
    (said,) = refusal(ledger, exam_verdict(), wrong)
    assert said.startswith(f"line 2: {why}")
    assert ledger.verdicts.pairs("exam") == []


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"truth": "maybe"}, "line 2: truth: found 'maybe', expected malignant or benign"),
        ({"basis": ""}, "line 2: basis: found '', expected biopsy, follow-up or reader"),
        ({"score_seen": "perhaps"}, "line 2: score_seen: found 'perhaps', expected true or false"),
        ({"score_seen": 1}, "line 2: score_seen: found 1, expected true or false"),
        (
            {"image_id": "F" * 64},
            f"line 2: image_id: found '{'F' * 39}, expected 64 hexadecimal digits in lower case",
        ),
        ({"image_id": name(999)}, f"line 2: image_id: found {name(999)[:16]}, expected {HERE}"),
        ({"image_id": name(1)}, "line 2: image_id: found that of line 1, expected each image once"),
        (
            {"truth": ["malignant"]},
            "line 2: truth: found ['malignant'], expected malignant or benign",
        ),
    ],
)
def test_one_fault_and_nothing_is_stored(
    ledger: Ledger, other: dict[str, object], why: str
) -> None:
    assert refusal(ledger, verdict(1), verdict(2, **other), verdict(3)) == [why]


def test_every_fault_of_a_file_is_named_up_to_twenty(ledger: Ledger) -> None:
    said = refusal(ledger, *(verdict(number, truth="x") for number in range(30)))
    assert len(said) == 21
    assert said[-1] == "and 10 faults more"


@pytest.mark.parametrize("wrong", [None, {}, "x", [1], [[]]])
def test_what_is_no_list_of_verdicts_is_refused(ledger: Ledger, wrong: object) -> None:
    with pytest.raises(ConfigError, match="expected a list of objects"):
        Feedback(ledger.verdicts, Health())({"verdicts": wrong})


@pytest.fixture
def device(ledger: Ledger, tmp_path: Path) -> Iterator[Path]:
    """A configuration whose control socket takes verdicts; the audit log lies in its state."""
    socket, config = tmp_path / "control.sock", tmp_path / "edge.toml"
    config.write_text(f'[control]\nsocket = "{socket}"\n[state]\npath = "{tmp_path}/state"\n')
    obeyed = audited({"feedback": Feedback(ledger.verdicts, Health())}, ledger.audit)
    server = ControlServer(socket, obeyed, Health())
    server.start()
    yield config
    server.close()


def table(path: Path, *lines: str, head: str = "image_id,truth,basis,score_seen") -> Path:
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_table_is_imported_and_written_down(
    device: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = table(
        tmp_path / "v.csv",
        f"{name(1)},malignant,biopsy,no",
        "",
        f"{name(2)}, benign , follow-up,YES",
    )
    assert main.main(["feedback", "import", str(file), "--config", str(device)]) == 0
    assert capsys.readouterr().out == "2 verdicts taken, 0 were there as they are\n"
    assert {pair.score_seen for pair in ledger.verdicts.pairs()} == {True, False}
    entries = [entry["details"] for entry in ledger.audit.entries()]
    assert entries[-1] == {"of": 1, "step": "done", "verdicts": 2, "changed": 2}
    assert name(1).encode() not in (tmp_path / "state" / NAME).read_bytes()


def test_a_table_may_have_images_and_exams_and_a_line_one_of_them(
    device: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "image_id,exam_id,truth,basis,score_seen"
    lines = [f"{name(1)},,malignant,biopsy,no", f",{EXAM},benign,follow-up,no"]
    file = table(tmp_path / "v.csv", *lines, head=head)
    assert main.main(["feedback", "import", str(file), "--config", str(device)]) == 0
    assert capsys.readouterr().out == "2 verdicts taken, 0 were there as they are\n"
    assert [[pair.truth for pair in ledger.verdicts.pairs(kind)] for kind in TABLES] == [
        ["malignant"],
        ["benign"],
    ]
    entries = [entry["details"] for entry in ledger.audit.entries()]
    assert entries[-1] == {"of": 1, "step": "done", "verdicts": 2, "changed": 2}
    assert EXAM.encode() not in (tmp_path / "state" / NAME).read_bytes()
    for ids, found in (("", "neither"), (name(1), "both")):
        line = f"{ids},{ids and EXAM},benign,biopsy,no"
        file = table(tmp_path / "v.csv", line, head=head)
        assert main.main(["feedback", "import", str(file), "--config", str(device)]) == 1
        expected = f"line 2: image_id or exam_id: found {found}, expected one of them"
        assert expected in capsys.readouterr().err


def test_a_table_of_exams_needs_no_column_of_images(tmp_path: Path) -> None:
    head = "exam_id,truth,basis,score_seen"
    file = table(tmp_path / "v.csv", f"{EXAM},benign,reader,yes", head=head)
    expected = {"exam_id": EXAM, "truth": "benign", "basis": "reader", "score_seen": True}
    assert feedback.read(file) == [{"line": 2, **expected}]


def test_the_columns_may_come_as_spreadsheets_of_other_countries_write_them(
    tmp_path: Path,
) -> None:
    head = "\ufeffscore_seen;basis;truth;image_id"
    file = table(tmp_path / "v.csv", f"no;reader;benign;{name(1)}", head=head)
    expected = {"image_id": name(1), "truth": "benign", "basis": "reader", "score_seen": False}
    assert feedback.read(file) == [{"line": 2, **expected}]


def test_a_fault_of_a_table_names_the_line_as_an_editor_counts_it(
    device: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = table(tmp_path / "v.csv", f"{name(1)},malignant,biopsy,no", "", f"{name(2)},x,biopsy,no")
    assert main.main(["feedback", "import", str(file), "--config", str(device)]) == 1
    expected = "line 4: truth: found 'x', expected malignant or benign"
    assert expected in capsys.readouterr().err
    assert ledger.verdicts.pairs() == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "line 1: found , expected image_id"),
        (b"image,truth\n", "line 1: found image, truth, expected image_id"),
        (b"image_id,truth,basis,score_seen\n", "found 0 verdicts, expected 1 to"),
        (b"\xff\xfe", "expected text in UTF-8"),
        (b'image_id,truth,basis,score_seen\n"x', "line 2: unexpected end of data"),
        (
            b"image_id,truth,basis,score_seen\na,benign,reader,no\na,benign,reader,no,yes",
            "line 3: found 5 values, expected 4",
        ),
    ],
)
def test_what_is_no_table_of_verdicts_is_refused_in_words(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "v.csv").write_bytes(content)
    with pytest.raises(feedback.TableError, match=why):
        feedback.read(tmp_path / "v.csv")


def test_the_largest_table_goes_through_the_socket(device: Path, ledger: Ledger) -> None:
    given = [{"line": 10_000 + number, **verdict(number)} for number in range(feedback.MOST)]
    with pytest.raises(Unavailable, match=f"and {feedback.MOST - len(PAIRS) - 20} faults more"):
        ask(device.parent / "control.sock", "feedback", verdicts=given)
    assert ledger.verdicts.pairs() == []


def send_and_answer(subscriber: Subscriber, payload: bytes, number: int) -> dict[str, Any]:
    subscriber.publish(f"{PREFIX}/feedback", payload)
    answers = subscriber.wait_under("feedback/ack", number)
    return dict(answers[number - 1])


def test_verdicts_come_by_the_broker_if_allowed_and_wrong_ones_are_refused_one_by_one(
    ledger: Ledger, mosquitto: Mosquitto, subscriber: Subscriber, tmp_path: Path
) -> None:
    health = Health()
    settings = Settings.model_validate(
        {
            "device": {"site": "north", "name": "edge-1"},
            "inbox": {"path": tmp_path / "inbox"},
            "intake": {"feedback": ["biopsy", "follow-up"]},
        }
    )
    where = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    client = MqttClient(
        where, password=None, client_id="edge", will=None, health=health, max_incoming=2**20
    )
    obeyed = audited({"feedback": Feedback(ledger.verdicts, health)}, ledger.audit)
    suspects = Suspects(tmp_path / "state")
    taken = wiring.commands(settings, client, health, obeyed, suspects)
    assert taken is not None
    client.start()
    taken.start()
    until(lambda: client.connected, "connected")
    client.publish("somewhere", b"x")  # acknowledged after the subscriptions, which came before
    wrong = [
        b"{",
        b"[]",
        json.dumps(verdict(1, truth=WORD)).encode(),
        json.dumps(verdict(1, image_id=WORD)).encode(),
        json.dumps({"image_id": name(1)}).encode(),
        json.dumps(verdict(1, basis="reader")).encode(),
        json.dumps(verdict(999, line=4711)).encode(),
        json.dumps(exam_verdict(exam_id=name(999))).encode(),
        json.dumps(exam_verdict(image_id=name(1))).encode(),
        b"x" * (COMMAND_BYTES + 1),
    ]
    try:
        answers = [
            send_and_answer(subscriber, payload, number) for number, payload in enumerate(wrong, 1)
        ]
        right = json.dumps(verdict(1, patient=WORD)).encode()
        last = send_and_answer(subscriber, right, len(wrong) + 1)
        of_exam = json.dumps(exam_verdict(patient=WORD)).encode()
        assert send_and_answer(subscriber, of_exam, len(wrong) + 2) == last
    finally:
        taken.stop()
        client.stop()
        suspects.close()
    assert [answer["ok"] for answer in answers] == [False] * len(wrong)
    assert "truth: expected malignant or benign" in answers[2]["error"]
    assert "basis: expected one of [intake] feedback: biopsy, follow-up" in answers[5]["error"]
    assert answers[6]["error"] == "image_id: expected the id of an image that has a score here"
    assert answers[7]["error"] == "exam_id: expected the id of an exam that has a score here"
    assert answers[8]["error"] == "image_id or exam_id: expected one of them"
    assert last == {
        "schema": "mammo.ack/1",
        "command": "feedback",
        "ok": True,
        "verdicts": 1,
        "changed": 1,
    }
    assert len(ledger.verdicts.pairs()) == len(ledger.verdicts.pairs("exam")) == 1
    assert (health.counters["commands_refused"], health.counters["verdicts"]) == (len(wrong), 2)
    told = [m.payload for m in subscriber.messages if m.topic.endswith("/ack")]
    assert [payload for payload in told if WORD.encode() in payload] == []
    kept = [file for file in (tmp_path / "state").iterdir() if WORD.encode() in file.read_bytes()]
    assert kept == []
    by = {entry["by"]["topic"] for entry in Audit(tmp_path / "state").entries()}
    assert by == {f"{PREFIX}/feedback"}


def test_no_verdict_is_taken_over_mqtt_unless_the_configuration_says_so(ledger: Ledger) -> None:
    client: Any = SimpleNamespace(subscribe=pytest.fail)
    obeyed = audited({"feedback": Feedback(ledger.verdicts, Health())}, ledger.audit)
    suspects: Any = None
    assert wiring.commands(Settings(), client, Health(), obeyed, suspects) is None
