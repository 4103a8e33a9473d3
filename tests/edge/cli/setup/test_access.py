"""A person is asked for TLS, user and password of a broker on another machine."""

from pathlib import Path

import pytest

from deploy.demo.brokers import Mosquitto
from edge.config.load import load
from tests.support.rig import PROGRAM
from tests.support.terminal import Terminal


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    for name, kind in (("ca", "CERTIFICATE"), ("cert", "CERTIFICATE"), ("key", "PRIVATE KEY")):
        (folder / f"{name}.pem").write_text(pem(kind))
    return folder


def converse(terminal: Terminal, *lines: tuple[str, object]) -> None:
    """Wait for each question, and answer."""
    for question, answer in lines:
        terminal.until(question)
        terminal.press(f"{answer}\n".encode())


def test_tls_user_and_password_are_asked_for_until_they_can_be_taken(
    tmp_path: Path, files: Path
) -> None:
    words = ("--site", "north", "--device", "edge-1", "--inbox", "/srv/inbox")
    with Terminal(PROGRAM, "setup", "--root", tmp_path / "root", *words) as terminal:
        converse(
            terminal,
            ("broker [localhost]: ", "192.0.2.1"),
            ("ca, which turns TLS on: a file in PEM [none]: ", files / "nothing"),
            ("No such file or directory", files / "key.pem"),
            ("expected PEM with a line -----BEGIN CERTIFICATE-----", files / "ca.pem"),
            ("cert: a file in PEM [none]: ", files / "cert.pem"),
            ("key: a file in PEM [none]: ", ""),
            ("belong together", files / "key.pem"),
            ("username [none]: ", "ward"),
            ("password, which is not shown: ", "geheim"),
            ("go on all the same", "y"),
        )
        assert terminal.ended() == 0
    settings = load(tmp_path / "root/etc/mammo-edge/edge.toml", {})
    broker = settings.broker
    assert (broker.host, broker.port, broker.username) == ("192.0.2.1", 8883, "ward")
    assert (broker.tls.ca, broker.tls.key) == (
        Path("/etc/mammo-edge/ca.crt"),
        Path("/etc/mammo-edge/device.key"),
    )
    assert (tmp_path / "root/etc/mammo-edge/mqtt.password").read_text() == "geheim\n"
    assert "geheim" not in terminal.said


def test_what_is_known_stays_with_empty_answers(tmp_path: Path, files: Path) -> None:
    words = ("--site", "north", "--device", "edge-1", "--inbox", "/srv/inbox")
    first = (*words, "--broker", "192.0.2.1", "--username", "ward")
    pems = (f"--{name}={files / name}.pem" for name in ("ca", "cert", "key"))
    with Terminal(PROGRAM, "setup", "--root", tmp_path, *first, *pems) as terminal:
        assert terminal.ended() == 0
    config = tmp_path / "etc/mammo-edge/edge.toml"
    before = config.read_text()
    with Terminal(PROGRAM, "setup", "--root", tmp_path, *words) as terminal:
        converse(
            terminal,
            ("broker [192.0.2.1]: ", ""),
            ("[/etc/mammo-edge/ca.crt]: ", ""),
            ("[/etc/mammo-edge/device.crt]: ", ""),
            ("username [ward]: ", ""),
            ("go on all the same", "y"),
        )
        assert terminal.ended() == 0
    assert config.read_text() == before
    assert "password" not in terminal.said.replace("mqtt.password", "")


def test_a_broker_on_this_machine_needs_neither(tmp_path: Path, mosquitto: Mosquitto) -> None:
    words = ("--site", "north", "--device", "edge-1", "--inbox", "/srv/inbox")
    with Terminal(PROGRAM, "setup", "--root", tmp_path, *words) as terminal:
        converse(terminal, ("broker [localhost]: ", f"127.0.0.1:{mosquitto.port}"))
        assert terminal.ended() == 0
    assert "TLS" not in terminal.said
