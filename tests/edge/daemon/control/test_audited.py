"""Commands are written down before and after, with the one who gave them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.config.settings import Settings
from edge.daemon.control.audited import Handler, audited
from edge.daemon.control.unix_socket import ControlServer, ask
from edge.daemon.wiring.settings_noted import note_settings
from edge.errors import ConfigError, Unavailable
from edge.health import Health
from edge.storage.audit import NAME, Audit, Caller

IMAGE = "78f06004a516965b" * 4


def steps(audit: Audit) -> list[tuple[str, object]]:
    return [(entry["event"], entry["details"].get("step")) for entry in audit.entries()]


def refuse(_: Mapping[str, Any]) -> dict[str, Any]:
    msg = f"{IMAGE}: no image of that id"
    raise ConfigError(msg)


def test_the_uid_is_that_of_the_process_at_the_socket(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    obeyed: dict[str, Handler] = {
        "retry": lambda _: {"images": [IMAGE]},
        "status": lambda _: {"state": "ready"},
    }
    server = ControlServer(tmp_path / "control.sock", audited(obeyed, audit), Health())
    server.start()
    try:
        ask(tmp_path / "control.sock", "status", uid=4711)
        ask(tmp_path / "control.sock", "retry", images=[IMAGE], uid=4711)
    finally:
        server.close()
    assert steps(audit) == [("retry", "asked"), ("retry", "done")]
    assert {entry["by"]["uid"] for entry in audit.entries()} == {os.getuid()}
    assert list(audit.entries())[-1]["details"] == {"images": 1, "of": 1, "step": "done"}
    assert IMAGE.encode() not in (tmp_path / NAME).read_bytes()


def test_a_refused_command_is_written_down_without_what_was_typed(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    with pytest.raises(ConfigError):
        audited({"retry": refuse}, audit)["retry"]({"images": [IMAGE]}, Caller(topic="t"))
    assert steps(audit) == [("retry", "asked"), ("retry", "refused")]
    assert IMAGE.encode() not in (tmp_path / NAME).read_bytes()


def test_nothing_is_done_that_cannot_be_written_down(tmp_path: Path) -> None:
    done: list[int] = []
    (tmp_path / NAME).mkdir()

    def obey(_: Mapping[str, Any]) -> dict[str, Any]:
        done.append(1)
        return {}

    with pytest.raises(Unavailable):
        audited({"reload": obey}, Audit(tmp_path))["reload"]({}, Caller(uid=0))
    assert done == []


def test_settings_are_written_down_when_they_changed(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    for settings in (Settings(), Settings(), Settings.model_validate({"log": {"level": "debug"}})):
        note_settings(settings, audit)
    assert steps(audit) == [("settings", None)] * 2
