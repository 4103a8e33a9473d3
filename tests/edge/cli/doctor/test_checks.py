"""The doctor makes only checks that concern the device."""

import pytest

from edge.cli.doctor import checks
from edge.config.settings import Intake, Publish, Settings


def test_a_device_that_speaks_to_no_broker_is_not_told_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "findings", lambda *_: ())
    alone = Settings(publish=Publish(mqtt=False), intake=Intake(mqtt=False))
    assert not [line for line in checks.examine(alone) if line.what.startswith("broker")]
