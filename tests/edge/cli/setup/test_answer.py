"""Each answer is checked at once, and what was meant is offered."""

from pathlib import Path

import pytest

from deploy.demo.brokers import Mosquitto
from edge.cli.setup.answer import AnswerError, check
from edge.config.settings import Device
from tests.support.rig import PROGRAM
from tests.support.terminal import Terminal


@pytest.mark.parametrize(
    ("question", "answer", "meant"),
    [
        ("site", "North Clinic", "north-clinic"),
        ("site", "Städt. Klinikum Köln/Süd ", "staedt-klinikum-koeln-sued"),
        ("site", "n" * 65, "n" * 64),
        ("device", "_Édge 1", "edge-1"),
        ("device", "日本", None),
        ("broker", "http://broker.lan:8080/", "broker.lan"),
        ("broker", "mqtt://clinic:secret@broker.lan", "broker.lan"),
        ("broker", "broker.lan 8883", "broker.lan:8883"),
        ("broker", "broker.lan:99999", "broker.lan"),
        ("broker", "broker.lan:mqtt", None),
        ("inbox", "films", "/srv/mammo-edge/films"),
        ("inbox", "/home/pi/films", "/srv/mammo-edge/films"),
    ],
)
def test_an_answer_that_cannot_be_taken_has_one_that_was_meant(
    question: str, answer: str, meant: str | None
) -> None:
    with pytest.raises(AnswerError) as refused:
        check(question, answer)
    assert refused.value.suggestion == meant
    assert str(refused.value).endswith(f"; did you mean {meant}?") is (meant is not None)
    if meant is not None:
        check(question, meant)


@pytest.mark.parametrize("level", ["edge-1", "0_", "n" * 64, "-a", "", "Edge", "a/b", "n" * 65])
def test_a_level_is_taken_if_the_configuration_takes_it(level: str) -> None:
    try:
        Device(site=level)
    except ValueError:
        with pytest.raises(AnswerError):
            check("site", level)
    else:
        check("site", level)


def test_a_person_is_asked_again_and_enter_takes_what_is_offered(tmp_path: Path) -> None:
    """At a real terminal; another system's tree, so that nothing here is touched."""
    with Terminal(PROGRAM, "setup", "--root", tmp_path) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(b"https://localhost\n")
        terminal.until("did you mean localhost?")
        terminal.press(b"mqtt://brokr.invalid:1884\n")
        terminal.until("no address is known of mqtt://brokr.invalid:1884")
        terminal.until("broker [mqtt://brokr.invalid:1884]: ")
        terminal.press(b"\n")
        terminal.until("ca, which turns TLS on: a file in PEM [none]: ")
        terminal.press(b"\n")
        terminal.until("site [site]: ")
        terminal.press(b"North Clinic\n")
        terminal.until("did you mean north-clinic?")
        terminal.until("site [north-clinic]: ")
        terminal.press(b"\n")
        terminal.until("device [edge-1]: ")
        terminal.press(b"\n")
        terminal.until("inbox [/srv/mammo-edge/inbox]: ")
        terminal.press(b"\n")
        assert terminal.ended() == 0
    written = (tmp_path / "etc/mammo-edge/edge.toml").read_text()
    for line in ('host = "brokr.invalid"', "port = 1884", 'site = "north-clinic"'):
        assert f"\n{line}\n" in written
    assert "Traceback" not in terminal.said


def test_a_broker_that_answers_is_asked_for_once(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with Terminal(PROGRAM, "setup", "--root", tmp_path) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(f"127.0.0.1:{mosquitto.port}\n".encode())
        terminal.until("broker: it answers")
        terminal.until("site [site]: ")
        assert terminal.said.count("broker [") == 1


def test_who_wants_no_more_questions_after_a_wrong_answer_leaves_nothing(tmp_path: Path) -> None:
    with Terminal(PROGRAM, "setup", "--root", tmp_path) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(b"a b c\n")
        terminal.until("expected the name or address of a machine")
        assert terminal.interrupted() == 78
    assert "nothing was written" in terminal.said
    assert list(tmp_path.iterdir()) == []
