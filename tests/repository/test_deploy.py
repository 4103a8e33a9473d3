"""
The examples in deploy/ work as they stand: certificates, a broker with mutual TLS and an ACL,
scripts.
"""

import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from deploy.demo.brokers import Mosquitto, free_port
from edge.cli.doctor.broker import connection
from edge.cli.doctor.finding import Level
from edge.cli.fleet.heard import listen
from edge.cli.parser import make_parser
from edge.config.settings import Broker, Device, HomeAssistant, Intake, Model, Settings, Tls
from edge.mqtt.connection import disconnect, release
from edge.mqtt.topics import COMMANDS, Topics
from tests.support.certificates import MAKE
from tests.support.rig import PATIENCE_S
from tests.support.tools import ROOT, need

PERSONS: Final = ("archive", "monitor", "ws-3", "admin", "register")
"""Who has a block in the example ACL, but for Home Assistant."""


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MAKE, folder, *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("openssl", "openssl")
    folder = tmp_path_factory.mktemp("ca")
    names = (
        ("ca", "Test Clinic"),
        ("broker", "localhost", "127.0.0.1"),
        ("device", "north/edge-1"),
        ("device", "north/edge-2"),
        *(("person", name) for name in PERSONS),
    )
    for words in names:
        assert make(folder, *words).returncode == 0
    return folder


@pytest.fixture(scope="module")
def broker(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A mosquitto with the example configuration, its files elsewhere; gives the TLS port."""
    need("mosquitto", "mosquitto")
    folder, port = tmp_path_factory.mktemp("mosquitto"), free_port()
    acl = folder / "acl"
    acl.write_text((ROOT / "deploy/broker/mosquitto/mammo-edge.acl").read_text())
    acl.chmod(0o600)
    text = (ROOT / "deploy/broker/mosquitto/mammo-edge-tls.conf").read_text()
    for old, new in (
        ("listener 8883", f"listener {port} 127.0.0.1"),
        ("/etc/mosquitto/certs", str(certificates)),
        ("/etc/mosquitto/mammo-edge.acl", str(acl)),
    ):
        assert old in text
        text = text.replace(old, new)
    with Mosquitto(folder, text):
        yield port


class Session:
    """A client with a certificate; what it may do, as the broker's answers say."""

    def __init__(self, port: int, certificates: Path, name: str) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.tls_set(
            str(certificates / "ca.crt"),
            str(certificates / f"{name}.crt"),
            str(certificates / f"{name}.key"),
        )
        self._codes: list[int] = []
        self._answered = threading.Event()
        self.client.on_connect = lambda *_: self._answered.set()
        self.client.on_publish = lambda _c, _d, _m, reason, _p: self._note(reason.value)
        self.client.on_subscribe = lambda _c, _d, _m, reasons, _p: self._note(reasons[0].value)
        self.client.connect("localhost", port)
        self.client.loop_start()
        assert self._answered.wait(PATIENCE_S)

    def _note(self, code: int) -> None:
        self._codes.append(code)
        self._answered.set()

    def _allowed(self) -> bool:
        assert self._answered.wait(PATIENCE_S)
        return self._codes[-1] < 0x80

    def may_write(self, topic: str) -> bool:
        self._answered.clear()
        self.client.publish(topic, b"x", qos=1)
        return self._allowed()

    def close(self) -> None:
        disconnect(self.client)
        release(self.client)


def test_a_device_may_write_its_own_topics_and_replies_and_nobody_else_s(
    broker: int, certificates: Path
) -> None:
    with closing(Session(broker, certificates, "north.edge-1")) as device:
        assert device.may_write("mammo/v1/north/edge-1/result")
        assert device.may_write("mammo/v1/north/edge-1/exam")
        assert device.may_write("mammo/v1/north/ws-3/replies/north/edge-1")
        assert device.may_write("mammo/v1/north/ws-3/replies/north/edge-1/4711")
        assert not device.may_write("mammo/v1/north/ws-3/replies/north/edge-2/4711")
        assert not device.may_write("mammo/v1/north/ws-3/replies/4711")
        assert device.may_write("mammo/v1/north/edge-1/command/reload/ack")
        assert device.may_write("mammo/v1/north/edge-1/command/model/install/ack")
        assert device.may_write("homeassistant/device/north/edge-1/config")
        assert not device.may_write("homeassistant/device/north/edge-2/config")
        assert not device.may_write("mammo/v1/north/edge-1/model/available")
        assert not device.may_write("mammo/v1/north/edge-2/result")
        assert not device.may_write("mammo/v1/north/edge-2/request/image")
        assert not device.may_write("mammo/v1/north/edge-2/command/reload")


@pytest.mark.parametrize("name", PERSONS)
def test_a_person_may_write_no_device_s_words_and_no_reply(
    broker: int, certificates: Path, name: str
) -> None:
    words = [
        f"mammo/v1/north/edge-1/{topic}"
        for topic in (
            "status",
            "health",
            "info",
            "result",
            "exam",
            "shadow/result",
            "command/reload/ack",
        )
    ]
    replies = [
        f"mammo/v1/north/ws-3/replies{below}"
        for below in ("", "/4711", "/north/edge-1", "/north/edge-1/4711", "/shared/4711")
    ]
    discovery = [f"homeassistant/device/{topic}/config" for topic in (name, "north/edge-1")]
    with closing(Session(broker, certificates, name)) as person:
        assert [topic for topic in (*words, *replies, *discovery) if person.may_write(topic)] == []


def test_the_admin_may_give_every_command_and_the_workstation_may_ask(
    broker: int, certificates: Path
) -> None:
    with (
        closing(Session(broker, certificates, "admin")) as admin,
        closing(Session(broker, certificates, "ws-3")) as workstation,
    ):
        topics = [Topics("mammo/v1/north/edge-1").command(name) for name in COMMANDS]
        assert [
            topic for topic in topics if not admin.may_write(topic) or workstation.may_write(topic)
        ] == []
        assert admin.may_write("mammo/v1/north/edge-1/model/available")
        assert workstation.may_write("mammo/v1/north/edge-1/request/image")


def test_only_the_register_may_give_verdicts(broker: int, certificates: Path) -> None:
    with (
        closing(Session(broker, certificates, "register")) as register,
        closing(Session(broker, certificates, "ws-3")) as workstation,
        closing(Session(broker, certificates, "north.edge-1")) as device,
    ):
        topic = Topics("mammo/v1/north/edge-1").feedback
        assert register.may_write(topic)
        assert not workstation.may_write(topic)
        assert not device.may_write(topic)
        assert device.may_write(Topics("mammo/v1/north/edge-1").feedback_ack)
        assert not register.may_write(Topics("mammo/v1/north/edge-1").feedback_ack)


def test_the_doctor_finds_a_device_s_rights_at_the_example_broker(
    broker: int, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cli.doctor.broker.BROKER_S", PATIENCE_S)
    monkeypatch.setattr("edge.cli.doctor.acl.WAIT_S", PATIENCE_S)
    names = {"ca": "ca.crt", "cert": "north.edge-1.crt", "key": "north.edge-1.key"}
    tls = Tls(enabled=True, **{key: certificates / name for key, name in names.items()})
    settings = Settings(
        device=Device(site="north", name="edge-1"),
        broker=Broker(host="localhost", port=broker, tls=tls),
        intake=Intake(commands=("reload", "model/install"), feedback=("biopsy",)),
        model=Model(shadow="1.2.0"),
        homeassistant=HomeAssistant(enabled=True),
    )
    (line,) = [line for line in connection(settings) if line.what == "right to publish"]
    assert line.level is Level.OK
    assert line.detail.startswith(
        "allowed: status, health, info, result, exam, shadow/result, "
        "command/reload/ack, command/model/install/ack, feedback/ack, homeassistant/"
    )


def test_the_archive_hears_results_and_may_write_nothing(broker: int, certificates: Path) -> None:
    heard = threading.Event()
    with (
        closing(Session(broker, certificates, "archive")) as archive,
        closing(Session(broker, certificates, "north.edge-2")) as device,
    ):
        archive.client.on_message = lambda *_: heard.set()
        archive._answered.clear()
        archive.client.subscribe("mammo/v1/+/+/result", qos=1)
        assert archive._allowed()
        assert not archive.may_write("mammo/v1/north/edge-2/result")
        assert device.may_write("mammo/v1/north/edge-2/result")
        assert heard.wait(PATIENCE_S)


def test_the_monitor_reads_what_fleet_shows(broker: int, certificates: Path) -> None:
    topic = "mammo/v1/north/edge-1/info"
    names = {"ca": "ca.crt", "cert": "monitor.crt", "key": "monitor.key"}
    tls = Tls(enabled=True, **{key: certificates / name for key, name in names.items()})
    with closing(Session(broker, certificates, "north.edge-1")) as device:
        for payload in (b"facts", b""):  # kept, and taken away
            device._answered.clear()
            device.client.publish(topic, payload, qos=1, retain=True)
            assert device._allowed()
            if payload:
                section = Broker(host="localhost", port=broker, tls=tls)
                heard = listen(section, None, PATIENCE_S, for_health=False)
                assert heard.payloads["north/edge-1"] == {"info": payload}


CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
CONNACK: Final = b"\x20\x02\x00\x00"


def greeted(port: int, context: ssl.SSLContext) -> bytes:
    """
    What the broker answers to CONNECT; nothing where it hangs up, in TLS 1.3 at the first read.
    """
    with socket.create_connection(("localhost", port), 120) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as wire:
                wire.sendall(CONNECT)
                return wire.recv(len(CONNACK))
        except OSError:
            return b""


def test_nobody_comes_in_without_a_certificate(broker: int, certificates: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    assert greeted(broker, context) == b""
    context.load_cert_chain(certificates / "archive.crt", certificates / "archive.key")
    assert greeted(broker, context) == CONNACK


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("ca", "Again"), "is there already"),
        (("device", "edge-1"), "expected SITE/DEVICE"),
        (("device", "North/Edge"), "expected lower-case"),
        (("person", "a/b"), "NAME for a person"),
        (("person", "ca"), "name of another certificate"),
        (("person", "broker"), "name of another certificate"),
        (("person", "shared"), "a group of devices answers"),
        (("device", "shared/edge-1"), "a group of devices answers"),
        (("person", "north"), "a person may not have the name of a site: ./north.edge-"),
        (("device", "archive/edge-1"), "a person may not have the name of a site: archive.crt"),
        (("printer", "x"), "expected ca, broker, device or person"),
    ],
)
def test_a_certificate_that_no_acl_could_name_is_not_made(
    certificates: Path, words: tuple[str, ...], why: str
) -> None:
    before = sorted(certificates.iterdir())
    done = make(certificates, *words)
    assert done.returncode == 2
    assert why in done.stderr
    assert sorted(certificates.iterdir()) == before


def test_keys_are_for_their_owner_alone(certificates: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in certificates.glob("*.key")} == {0o600}


def test_the_containerfile_copies_what_is_there_and_starts_what_the_wheel_installs() -> None:
    """Building it needs a registry: `make container-test`."""
    text = (ROOT / "deploy/container/Containerfile").read_text()
    lines = [
        line.split()
        for line in text.replace("\\\n", " ").splitlines()
        if line and not line.startswith("#")
    ]
    known = {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "VOLUME",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert {line[0] for line in lines} <= known
    copied = [
        line[1:-1] for line in lines if line[0] == "COPY" and not line[1].startswith("--from=")
    ]
    assert copied
    assert all((ROOT / name).exists() for names in copied for name in names)
    assert (ROOT / "requirements/litert.txt").exists()
    assert "-r requirements/litert.txt" in text
    scripts = (ROOT / "setup.cfg").read_text()
    (program,) = [json.loads(" ".join(line[1:])) for line in lines if line[0] == "ENTRYPOINT"]
    (words,) = [json.loads(" ".join(line[1:])) for line in lines if line[0] == "CMD"]
    assert re.search(rf"^    {program[0]} = edge\.", scripts, re.MULTILINE)
    make_parser().parse_args(words)
    assert [line[1] for line in lines if line[0] == "USER"] == ["10001:10001"]
    assert "PATH=/opt/mammo-edge/venv/bin:$PATH" in text
