"""Make skipped tests visible, and generated examples the same in each run."""

import os
from collections.abc import Generator
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.tools import INSTALL

NO_SKIP: Final = os.environ.get("MAMMO_NO_SKIP") == "1"
"""Set by CI, whose machine can run everything: a skip is then a failure."""

# What fails by chance, or on a busy machine, tells nobody why.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI, unless only ../shared could have fed the test."""
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
    """Print one line that installs everything whose lack was skipped over."""
    reports = terminalreporter.getreports("skipped")
    packages = {
        str(report.longrepr[2]).partition(INSTALL)[2]
        for report in reports
        if isinstance(report.longrepr, tuple)
    } - {""}
    if packages:
        terminalreporter.section("to run what was skipped")
        terminalreporter.line(f"{INSTALL}{' '.join(sorted(packages))}")
