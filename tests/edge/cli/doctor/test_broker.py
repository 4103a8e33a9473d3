"""Broker, access rules, secrecy and certificates, as the doctor finds them."""

import queue
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from deploy.demo.brokers import Mosquitto
from edge.cli.doctor import broker as checks_of_broker
from edge.cli.doctor.broker import certificate, connection, secrecy
from edge.cli.doctor.finding import Finding, Level
from edge.config.paths import credential_of
from edge.config.settings import Broker, Settings, Tls
from edge.health import Health
from edge.mqtt.connection import disconnect
from tests.support.proxy import Proxy
from tests.support.rig import PATIENCE_S, until
from tests.support.tools import need


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for what comes as long as that takes, and for nothing in vain."""
    unreachable = checks_of_broker._unreachable

    def once_told(settings: Settings, health: Health) -> Finding:
        until(lambda: health.reasons, "a reason")
        return unreachable(settings, health)

    monkeypatch.setattr(checks_of_broker, "ANSWERS_S", 0.1)
    monkeypatch.setattr(checks_of_broker, "BROKER_S", PATIENCE_S)
    monkeypatch.setattr(checks_of_broker, "_unreachable", once_told)
    monkeypatch.setattr("edge.cli.doctor.acl.WAIT_S", PATIENCE_S)


@pytest.mark.parametrize(
    ("days", "level"), [(0, Level.OK), (390, Level.WARNING), (401, Level.FAILED)]
)
def test_a_certificate_that_ends_soon_is_a_warning_and_an_expired_one_has_failed(
    tmp_path: Path, days: int, level: Level
) -> None:
    make = [
        need("openssl", "openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    subprocess.run(
        [*make, "-keyout", tmp_path / "k", "-out", tmp_path / "c", "-days", "400"],
        check=True,
        capture_output=True,
    )
    assert certificate(tmp_path / "c", datetime.now(UTC) + timedelta(days=days)).level is level
    assert certificate(tmp_path / "k").level is Level.FAILED
    assert certificate(tmp_path / "none").detail.endswith("No such file or directory")


@pytest.mark.parametrize("limit", ["retain_available false", "max_qos 0"])
def test_a_broker_that_would_refuse_the_daemon_s_last_will_has_failed(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(checks_of_broker, "BROKER_S", 0.1)
    mosquitto.config = f"{limit}\n"
    mosquitto.restart()
    (found,) = connection(Settings(broker=Broker(host="127.0.0.1", port=mosquitto.port)))
    assert found.level is Level.FAILED
    assert "not supported" in found.detail


def test_a_broker_that_answers_is_ok_and_its_packet_limit_is_told(mosquitto: Mosquitto) -> None:
    mosquitto.config = "max_packet_size 2000000\n"
    mosquitto.restart()
    lines = {
        line.what: line
        for line in connection(Settings(broker=Broker(host="127.0.0.1", port=mosquitto.port)))
    }
    assert (lines["broker"].level, "MQTT 5" in lines["broker"].detail) == (Level.OK, True)
    assert "2000000 bytes" in lines["broker's packet limit"].detail


@pytest.mark.parametrize(
    ("rules", "level", "words"),
    [
        (
            "",
            Level.OK,
            "allowed: status, health, info, result, exam; response topics are not tried",
        ),
        (
            "topic deny mammo/v1/site/edge-1/result\n",
            Level.FAILED,
            "refused: result: let the device write them",
        ),
        (
            "topic deny mammo/v1/site/edge-1/command/doctor/ack\n",
            Level.WARNING,
            "not tried: status, health, info, result, exam: the broker refuses",
        ),
    ],
)
def test_what_the_broker_does_not_let_us_publish_is_told_and_what_was_not_tried(
    mosquitto: Mosquitto, rules: str, level: Level, words: str
) -> None:
    acl = mosquitto.folder / "acl"
    acl.write_text(f"topic readwrite #\n{rules}")
    acl.chmod(0o600)
    mosquitto.config = f"acl_file {acl}\n"
    mosquitto.restart()
    lines = {
        line.what: line
        for line in connection(Settings(broker=Broker(host="127.0.0.1", port=mosquitto.port)))
    }
    assert (lines["right to publish"].level, words in lines["right to publish"].detail) == (
        level,
        True,
    ), lines
    assert "broker's access rules" not in lines


def test_at_a_broker_without_mqtt_5_the_doctor_leaves_nothing_that_would_collect_images_for_ever(
    mosquitto: Mosquitto,
) -> None:
    kept = queue.SimpleQueue[bool]()
    with Proxy(mosquitto.port, only_311=True) as proxy:
        lines = {
            line.what: line
            for line in connection(Settings(broker=Broker(host="127.0.0.1", port=proxy.port)))
        }
    assert "MQTT 3.1.1" in lines["broker"].detail
    again = Client(
        CallbackAPIVersion.VERSION2,
        "mammo-edge-site-edge-1-doctor",
        clean_session=False,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    again.on_connect = lambda _client, _data, flags, *_: kept.put(flags.session_present)
    again.connect("127.0.0.1", mosquitto.port)
    again.loop_start()
    assert kept.get(timeout=PATIENCE_S) is False
    disconnect(again)


def test_the_doctor_knows_the_password_that_setup_wrote(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    passwords, stored = mosquitto.folder / "passwords", credential_of(tmp_path / "edge.toml")
    subprocess.run(
        [need("mosquitto_passwd", "mosquitto"), "-b", "-c", passwords, "edge", "right"], check=True
    )
    passwords.chmod(0o644)
    mosquitto.config = f"per_listener_settings false\npassword_file {passwords}\n"
    mosquitto.restart()
    stored.write_text("right\n")
    settings = Settings(broker=Broker(host="127.0.0.1", port=mosquitto.port, username="edge"))
    assert next(connection(settings, stored)).level is Level.OK


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        (Broker(), None),
        (Broker(host="broker.lan"), "everyone on the way"),
        (Broker(host="broker.lan", tls=Tls(ca=Path("/x"))), "is not enabled"),
        (Broker(host="broker.lan", tls=Tls(enabled=True)), None),
    ],
)
def test_what_goes_in_clear_to_another_machine_is_a_warning(
    broker: Broker, words: str | None
) -> None:
    lines = list(secrecy(Settings(broker=broker)))
    assert [words in line.detail for line in lines] == [True] if words else lines == []


def test_of_a_chain_the_first_certificate_to_end_counts_and_of_authorities_the_last(
    tmp_path: Path,
) -> None:
    make = [
        need("openssl", "openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    for days in ("10", "400"):
        subprocess.run(
            [*make, "-keyout", tmp_path / "k", "-out", tmp_path / days, "-days", days],
            check=True,
            capture_output=True,
        )
    both = tmp_path / "both"
    both.write_bytes((tmp_path / "400").read_bytes() + (tmp_path / "10").read_bytes())
    assert certificate(both).level is Level.WARNING
    assert certificate(both, what="broker's authority", of_several=max) == Finding(
        "broker's authority", Level.OK, "399 days left"
    )


def test_a_broker_that_is_not_there_has_failed_with_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, mosquitto: Mosquitto
) -> None:
    monkeypatch.setattr(checks_of_broker, "BROKER_S", 0.1)
    mosquitto.stop()
    (line,) = connection(Settings(broker=Broker(host="127.0.0.1", port=mosquitto.port)))
    assert (line.level, "Connection refused: is it running" in line.detail) == (Level.FAILED, True)
