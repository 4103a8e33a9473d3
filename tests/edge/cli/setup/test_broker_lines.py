"""`setup` does not call a device ready whose broker does not answer."""

import socket

import pytest

from deploy.demo.brokers import Mosquitto
from edge.cli import exits
from edge.cli.doctor import broker
from edge.cli.setup.command import try_broker
from edge.config.paths import DEFAULT_CONFIG
from edge.config.settings import Settings
from tests.support.rig import PATIENCE_S


def settings(port: int) -> Settings:
    return Settings.model_validate({"broker": {"host": "127.0.0.1", "port": port}})


def test_a_broker_that_does_not_answer_ends_it_with_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(broker, "BROKER_S", 0.5)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        status = try_broker(settings(nobody.getsockname()[1]), DEFAULT_CONFIG)
    assert status == exits.FAILED
    assert "the failed lines are mended" in capsys.readouterr().out


def test_a_broker_that_lets_the_device_in_ends_it_well(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(broker, "BROKER_S", PATIENCE_S)
    monkeypatch.setattr("edge.cli.doctor.acl.WAIT_S", PATIENCE_S)
    assert try_broker(settings(mosquitto.port), DEFAULT_CONFIG) == 0
    assert "right to publish" in capsys.readouterr().out
