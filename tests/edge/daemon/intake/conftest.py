"""The desk of an inbox."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from edge.config.settings import Inbox
from edge.daemon.intake import Receiver, folder
from edge.daemon.intake.folder import FolderIntake
from edge.health import Health
from tests.support.desks import QUIET_S, Desk, Taker


@pytest.fixture(params=["auto"])
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    inbox, taker, health = tmp_path / "inbox", Taker(), Health()
    inbox.mkdir()
    settings = Inbox(path=inbox, quiet_s=QUIET_S, rescan_s=1e6, poll=request.param, poll_s=0.001)
    intake = FolderIntake(settings, cast("Receiver", taker), health)
    made = Desk(inbox, taker, intake, health)
    began = float(int(time.monotonic()))  # whole, so that sums are exact
    monkeypatch.setattr(time, "monotonic", lambda: began + made.ahead_s)
    monkeypatch.setattr(folder, "TICK_S", 0.0)
    monkeypatch.setattr(folder, "IDLE_S", 0.0)
    made.turn()
    yield made
    intake.last_turn()
    subprocess.run(["rm", "-rf", inbox], check=True)  # some of it is too deep for pytest
