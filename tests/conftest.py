"""What several tests share: real brokers, real subscribers, and skips that are seen."""

import errno
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from deploy.demo.brokers import Embedded, Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.tools import INSTALL, ROOT, need

SHARED: Final = ROOT.parent / "shared"
NO_SKIP: Final = os.environ.get("MAMMO_NO_SKIP") == "1"
"""Set by CI: a machine that could run everything must."""

settings.register_profile(
    "repeatable", derandomize=True, deadline=None
)  # what fails by chance tells nobody why
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failure, except where only ../shared could have fed it."""
    report = yield
    if (
        NO_SKIP
        and report.skipped
        and not hasattr(report, "wasxfail")
        and "../shared" not in str(report.longrepr)
    ):
        report.outcome = "failed"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that installs everything whose lack was skipped over."""
    reports = terminalreporter.getreports("skipped")
    packages = {
        str(report.longrepr[2]).partition(INSTALL)[2]
        for report in reports
        if isinstance(report.longrepr, tuple)
    } - {""}
    if packages:
        terminalreporter.section("to run what was skipped")
        terminalreporter.line(f"{INSTALL}{' '.join(sorted(packages))}")


@pytest.fixture
def shared() -> Path:
    """The folder beside the checkout with data that is not ours to commit."""
    if not SHARED.is_dir():
        pytest.skip("../shared is absent: only its data can feed this test")
    return SHARED


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """
    A running mosquitto of this test's own: start, stop, kill and restart it at will, the port
    stays.
    """
    need("mosquitto", "mosquitto")
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """The broker that needs no system package."""
    with Embedded(tmp_path / "iotcore") as broker:
        yield broker


@pytest.fixture
def subscriber(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    """Hears everything under mammo/v1/ on this test's mosquitto."""
    with Subscriber(mosquitto.port) as listener:
        yield listener


@pytest.fixture
def another_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renames out of a folder called inbox fail as they do between two mounts."""
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.parent.name == "inbox":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
